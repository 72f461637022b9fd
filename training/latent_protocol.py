"""What the autoencoder is worth, on the eval split: its pictures, its points, its novelty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.sound.recording import read
from edge.voice.encoder import Encoder
from training import protocols
from training.autoencoder import Autoencoder, Windows, load, pictures
from training.corpus import NOISE, Row
from training.evaluate import Heard, hear
from training.griffin_lim import sound
from training.novelty import features_of, novelty, rooms
from training.progress import track
from training.walk import distances, straight, walk

LEARNED = 8_192  # windows from which the mean and the principal components come
OVER = 16  # directions more than are kept of the range
ROUNDS = 4  # of the power iteration
WALKS = 100  # of each kind
STEPS = 9
REBUILT = 8  # of so many phrases one becomes sound again: that takes a second

Figures = dict[str, Any]


def evaluate(rows: Sequence[Row], folder: Path, autoencoder: Autoencoder | None = None) -> Figures:
    """All figures. Raises SettingsError and EncoderError."""
    autoencoder = autoencoder or load()
    heard = hear(rows)
    encoder = Encoder()
    learned = pictures(rows, folder, autoencoder.shape, held=False).draw(LEARNED)
    noise = [read(row.file, longest=None) for row in rows if row.corpus == NOISE]
    return {
        "reconstruction": reconstruction(autoencoder, learned, heard),
        "pair": pairs(autoencoder, encoder, heard),
        "novelty": novelty(autoencoder, heard, noise),
        "rooms": rooms(autoencoder, heard),
        "walks": walks(autoencoder, encoder, heard),
    }


@dataclass(frozen=True)
class Components:
    """Principal components of windows: the best that a linear autoencoder can do."""

    mean: NDArray[np.float32]  # (bins,)
    axes: NDArray[np.float32]  # (dimension, bins), orthonormal

    @classmethod
    def of(cls, windows: Windows, dimension: int, seed: int = 0) -> Components:
        """The first components, by a random projection and power iteration.

        N. Halko, P. Martinsson and J. Tropp, "Finding structure with randomness", SIAM Review
        53(2), 2011, algorithm 4.4.
        """
        rows = windows.reshape(len(windows), -1)
        mean = rows.mean(axis=0)
        centred = rows - mean
        random = np.random.default_rng(seed)
        width = min(dimension + OVER, *centred.shape)
        span = random.standard_normal((centred.shape[1], width)).astype(np.float32)
        for _ in range(ROUNDS):
            span, _ = np.linalg.qr(centred.T @ (centred @ span))
        _, _, turned = np.linalg.svd(centred @ span, full_matrices=False)
        return cls(mean, (turned @ span.T)[:dimension])

    def errors(self, windows: Windows) -> tuple[float, float]:
        """Mean squared errors a bin: of the mean alone, and of all components."""
        centred = windows.reshape(len(windows), -1) - self.mean
        left = centred - (centred @ self.axes.T) @ self.axes
        return float(np.mean(centred**2)), float(np.mean(left**2))


def reconstruction(autoencoder: Autoencoder, learned: Windows, heard: Heard) -> Figures:
    """Squared errors a bin in nats squared, by corpus: the mean's, PCA's, the autoencoder's."""
    components = Components.of(learned, autoencoder.shape.dimension)
    found = {}
    for corpus, sounds in {**heard.speech, "phrases": heard.phrases}.items():
        if not sounds:
            continue
        windows = np.concatenate([autoencoder.windows(features_of(each)) for each in sounds])
        mean, linear = components.errors(windows)
        error = float(np.mean((autoencoder.decode(autoencoder.encode(windows)) - windows) ** 2))
        found[corpus] = {
            "mean": mean, "pca": linear, "autoencoder": error, "windows": len(windows),
        }  # fmt: skip
    return found


def pairs(autoencoder: Autoencoder, encoder: Encoder, heard: Heard) -> Figures:
    """Pair EER of the latent means beside the encoder's, by corpus."""
    found: Figures = {}
    for corpus, sounds in heard.speech.items():
        placed = [features_of(each) for each in track(sounds, f"embedding {corpus}", len(sounds))]
        points = {
            "autoencoder": np.stack([_unit(autoencoder.place(each)) for each in placed]),
            "encoder": np.stack([encoder.place(each) for each in placed]),
        }
        found[corpus] = {}
        for name, made in points.items():
            errors = protocols.pairs(heard.rows[corpus], made).errors()
            found[corpus][name] = {key: errors[key] for key in ("eer", "interval")}
    return found


def walks(autoencoder: Autoencoder, encoder: Encoder, heard: Heard, seed: int = 0) -> Figures:
    """Distances to the encoder along walks between joined phrases, and what is lost before.

    "takes" are of one speaker and phrase, "speakers" say the same phrase, "phrases" are of one
    speaker. ``contrast`` is the deviation of the bins in the middle of the way over that at its
    ends, along the arc and along the straight line: what is blurred is flat.
    """
    random = np.random.default_rng(seed)
    said = list(zip(heard.names, map(features_of, heard.phrases), strict=True))
    frames = autoencoder.shape.frames
    found: Figures = {}
    for kind in ("takes", "speakers", "phrases"):
        possible = _between(kind, heard.names)
        ways, contrasts = [], []
        for ends in random.permutation(possible)[:WALKS]:
            windows = [said[at][1][:frames] for at in ends]
            first, last = (autoencoder.place(each) for each in windows)
            arc = autoencoder.decode(walk(first, last, STEPS))
            line = autoencoder.decode(straight(first, last, STEPS))
            ways.append(distances(encoder, list(arc), [encoder.place(each) for each in windows]))
            at_ends = (arc[0].std() + arc[-1].std()) / 2
            contrasts.append([way[STEPS // 2].std() / at_ends for way in (arc, line)])
        if ways:
            found[kind] = {
                "to_first": np.mean(ways, axis=0)[:, 0].tolist(),
                "to_last": np.mean(ways, axis=0)[:, 1].tolist(),
                "contrast_arc": float(np.mean(contrasts, axis=0)[0]),
                "contrast_line": float(np.mean(contrasts, axis=0)[1]),
            }
    if said:
        kept = [encoder.place(each) @ encoder.embed(sound(each)) for _, each in said[::REBUILT]]
        found["sound_from_features"] = float(1 - np.mean(kept))
    return found


def _between(kind: str, names: Sequence[protocols.Name]) -> list[tuple[int, int]]:
    """Every two phrases that differ in what a kind of walk is about, and in nothing before it."""
    found = []
    for first, last in permutations(range(len(names)), 2):
        same = tuple(one == other for one, other in zip(names[first], names[last], strict=True))
        if same[:2] == {"takes": (True, True), "speakers": (True, False)}.get(kind, (False, True)):
            found.append((first, last))
    return found


def _unit(point: NDArray[np.float32]) -> NDArray[np.float32]:
    return point / np.float32(np.linalg.norm(point) + 1e-9)
