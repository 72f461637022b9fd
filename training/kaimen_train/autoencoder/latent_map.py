"""Show the same recordings in two latent spaces: the autoencoder's and the encoder's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kaimen.errors import SettingsError
from kaimen.sound.recording import SUFFIXES, main_phrase, read
from kaimen.voice import features
from kaimen.voice.encoder import Encoder
from kaimen_train.autoencoder.fit import Autoencoder
from kaimen_train.drawing import save_svg
from kaimen_train.points import unit

COLOURS = "tab20"
PASSPHRASE = "phrase"  # what the name of a file begins with that says it; others may say others

Flat = NDArray[np.float64]  # (n, 2)


@dataclass(frozen=True)
class Map:
    """What is drawn of one space."""

    name: str
    places: Flat
    shares: tuple[float, float]  # of the variance, along both axes
    nearest: float  # share of recordings whose nearest other is of the same speaker


def flat(name: str, points: NDArray[np.float32], speakers: Sequence[str]) -> Map:
    """Return the first two principal components of points (n, d); neighbours are those in all d.

    Neighbours are told by the cosine.
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, heights, axes = np.linalg.svd(centred, full_matrices=False)
    shares = (heights**2 / np.sum(heights**2))[:2].tolist()
    directions = unit(points)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -np.inf)
    who = np.array(speakers)
    nearest = float(np.mean(who[cosines.argmax(axis=1)] == who))
    return Map(name, centred @ axes[:2].T, (shares[0], shares[1]), nearest)


def recordings(folder: Path) -> list[Path]:
    """Return the recordings of a folder, as speaker/recording. Raises SettingsError for too few."""
    found = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if len({path.parent for path in found}) < 2:
        raise SettingsError(f"{folder}: a map needs folders of two speakers or more")
    return found


def maps(autoencoder: Autoencoder, encoder: Encoder, paths: Sequence[Path]) -> list[Map]:
    """Return both spaces. Raises RecordingError and NoSpeech."""
    heard = [features.log_mel(main_phrase(read(path)).samples) for path in paths]
    speakers = [path.parent.name for path in paths]
    placed = {"autoencoder": autoencoder.embed_features, "encoder": encoder.embed_features}
    return [
        flat(name, np.stack([place(each) for each in heard]), speakers)
        for name, place in placed.items()
    ]


def draw(both: Sequence[Map], paths: Sequence[Path], out: Path) -> None:
    """Draw maps as an SVG, a colour a speaker: dots say the passphrase, crosses something else.

    Raises StorageError.
    """
    speakers = sorted({path.parent.name for path in paths})
    who = np.array([speakers.index(path.parent.name) for path in paths])
    same = np.array([path.name.startswith(PASSPHRASE) for path in paths])
    colours = matplotlib.colormaps[COLOURS](np.arange(len(speakers)) % 20)
    figure = Figure(figsize=(5 * len(both), 4.6), layout="constrained")
    for place, drawn in zip(figure.subplots(1, len(both), squeeze=False)[0], both, strict=True):
        for chosen, marker in ((same, "o"), (~same, "x")):
            place.scatter(*drawn.places[chosen].T, c=colours[who[chosen]], marker=marker, s=18)
        title = f"{drawn.name}: the nearest is the same speaker's in {drawn.nearest:.0%}"
        place.set_title(title, fontsize=10)
        for name, share in zip(("x", "y"), drawn.shares, strict=True):
            place.set(**{f"{name}label": f"{share:.0%} of the variance", f"{name}ticks": []})
    save_svg(figure, out)
