"""All students in two dimensions: a projection that is fitted once and kept, sealed.

A map is for the eye. Two dimensions keep few of the neighbourhoods of 192, and how many is measured
and said; who is whose neighbour the gallery knows. Whoever comes later, a student or a probe, lands
between the students they are nearest to, so no voiceprint is needed to show a probe: the log's
scores are enough.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import GalleryError, SettingsError
from kaimen.gallery.members import Numbers
from kaimen.registry.vault import Vault
from kaimen.storage import forget, unwritten, write_whole
from kaimen.voice.score import Points

METHODS = ("pca", "neighbours")
FEWEST = 3  # students of whom a map can be made
NEIGHBOURS = 10  # of each student, that a good map keeps
LANDING = 3  # students between whom somebody lands
SOFTNESS = 0.05  # of score: by how much nearer a student must be to count clearly more
PERPLEXITY = 30.0  # of t-SNE: about so many neighbours count
SAMPLE = 500  # students whose neighbours are compared

Places = NDArray[np.float32]  # (students, 2), from -1 to 1


@dataclass(frozen=True, slots=True)
class LatentMap:
    """Where each student lies."""

    encoder: str  # identity of the encoder of the voiceprints
    method: str  # one of METHODS
    numbers: Numbers  # of students in the registry
    places: Places
    kept: float  # share of a student's nearest students that are the nearest on the map

    @classmethod
    def fit(
        cls, encoder: str, numbers: Numbers, centroids: Points, method: str = "pca"
    ) -> LatentMap:
        """Make the map of students by their numbers and centroids; nothing is kept.

        Raises GalleryError for fewer than FEWEST, and SettingsError where a library is missing.
        """
        if len(numbers) < FEWEST:
            raise GalleryError(f"a map needs {FEWEST} students; enroll more with 'kaimen enroll'")
        places = _pca(centroids) if method == "pca" else _neighbours(centroids)
        places = _scaled(places)
        return cls(encoder, method, numbers, places, kept_neighbours(centroids, places))

    def save(self, path: Path, vault: Vault) -> None:
        """Keep it sealed. Raises StorageError."""
        written = io.BytesIO()
        np.savez(
            written, method=self.method, numbers=self.numbers, places=self.places, kept=self.kept
        )
        sealed = vault.seal(written.getvalue(), _context(self.encoder))
        write_whole(path, sealed, private=True)

    @classmethod
    def load(cls, path: Path, vault: Vault, encoder: str) -> LatentMap:
        """Read that of an encoder. Raises GalleryError with what to do."""
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            raise GalleryError("there is no map yet; make one with 'kaimen map --fit'") from None
        except OSError as error:
            raise GalleryError(f"{path}: cannot be read ({error.strerror})") from None
        try:
            opened = vault.unseal(sealed, _context(encoder))
        except GalleryError:
            raise GalleryError(
                f"{path}: of another encoder or key, or damaged; make it anew with 'kaimen map "
                "--fit'"
            ) from None
        with np.load(io.BytesIO(opened), allow_pickle=False) as kept:
            return cls(
                encoder, str(kept["method"]), kept["numbers"], kept["places"], float(kept["kept"])
            )

    def without(self, students: Collection[int]) -> LatentMap:
        """Return it without some students, by number."""
        stays = ~np.isin(self.numbers, list(students))
        return replace(self, numbers=self.numbers[stays], places=self.places[stays])

    def completed(self, numbers: Numbers, centroids: Points) -> LatentMap:
        """Return it of these students: others are gone, who came later lands among the rest.

        Raises GalleryError where none of the map is among them.
        """
        known = {number: place for place, number in enumerate(self.numbers.tolist())}
        there = np.array([number in known for number in numbers.tolist()], bool)
        if not there.any():
            raise GalleryError("nobody of the map is enrolled any more; 'kaimen map --fit'")
        places = np.zeros((len(numbers), 2), np.float32)
        places[there] = self.places[[known[number] for number in numbers[there].tolist()]]
        old = np.flatnonzero(there)
        for new in np.flatnonzero(~there).tolist():
            scores = centroids[old] @ centroids[new]
            best = np.argsort(-scores)[:LANDING]
            places[new] = _between(places[old[best]], scores[best])
        return replace(self, numbers=numbers, places=places)

    def land(self, nearest: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
        """Return where a probe lies, by its nearest students' numbers and scores; None of none."""
        found = [
            (int(np.flatnonzero(self.numbers == number)[0]), score)
            for number, score in nearest
            if number in self.numbers and math.isfinite(score)
        ]
        if not found:
            return None
        places, scores = zip(*found, strict=True)
        x, y = _between(self.places[list(places)], np.array(scores, np.float32)).tolist()
        return x, y


def map_path(registry: Path) -> Path:
    """Return where the map of a registry's students is kept: hidden, as no backup needs it."""
    return registry.with_name(f".{registry.stem}.map")


def kept_neighbours(points: Points, places: Places) -> float:
    """Return the share of the NEIGHBOURS nearest that are so on the map; of SAMPLE at most."""
    count = min(NEIGHBOURS, len(points) - 1)
    random = np.random.default_rng(0)
    shares = []
    for one in random.permutation(len(points))[:SAMPLE].tolist():
        near = _nearest(-(points @ points[one]), one, count)
        shown = _nearest(((places - places[one]) ** 2).sum(axis=1), one, count)
        shares.append(len(near & shown) / count)
    return float(np.mean(shares))


def forget_places(
    path: Path, vault: Vault, encoders: Iterable[str], students: Collection[int]
) -> None:
    """Take students off a map of one of these encoders; one that does not open is deleted.

    Raises StorageError; the map is as before then.
    """
    for encoder in encoders:
        with suppress(GalleryError):
            LatentMap.load(path, vault, encoder).without(students).save(path, vault)
            return
    try:
        forget(path)
    except OSError as error:
        raise unwritten(path, error, "the map") from None


def _nearest(distances: NDArray[np.float32], but: int, count: int) -> set[int]:
    apart = distances.copy()
    apart[but] = np.inf
    return set(np.argpartition(apart, count - 1)[:count].tolist())


def _pca(points: Points) -> Places:
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    widest: Places = (centred @ axes[:, ::-1][:, :2]).astype(np.float32)
    return widest


def _neighbours(points: Points) -> Places:
    """Return the points by t-SNE (van der Maaten and Hinton 2008), of unit vectors."""
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise SettingsError(
            "the method neighbours needs scikit-learn; install it with pip install 'kaimen[map]', "
            "or use --method pca"
        ) from None
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    fitted = TSNE(2, perplexity=perplexity, init="pca", random_state=0, n_jobs=1)
    places: Places = fitted.fit_transform(points).astype(np.float32)
    return places


def _scaled(places: Places) -> Places:
    centred = places - places.mean(axis=0)
    scaled: Places = centred / max(float(np.abs(centred).max()), 1e-9)
    return scaled.astype(np.float32)


def _between(places: Places, scores: NDArray[np.float32]) -> Places:
    """Return the point among places that is the nearer to one, the higher its score is."""
    weights = np.exp((scores - scores.max()) / SOFTNESS)
    between: Places = (weights @ places / weights.sum()).astype(np.float32)
    return between


def _context(encoder: str) -> str:
    return f"map of students by encoder {encoder}"
