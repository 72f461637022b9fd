"""Synthetic schools: voiceprints drawn from what was measured of real ones.

Nobody has 20,000 students' voices to try a gate on. A population holds how real people's
voiceprints are spread (``kaimen-train school --fit`` measures it); a school of any size is drawn
from it. What is drawn is nobody's voice, and is always called synthetic.

A student is a direction: the mean voiceprint and a normal deviation from it. A recording lies at
some angle from its student, towards a mixture of the few manners in which that student varies.
How near it lies differs from student to student and from recording to recording. One normal
distribution for everybody would know neither a bad recording nor two alike, and far fewer errors.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import GalleryError
from edge.storage import write_whole

SHIPPED = Path(__file__).parents[1] / "models" / "school.npz"
BLOCK = 2_000  # students drawn at a time
LEAST_VARIANCE = 1e-9  # of a nearness: a beta distribution needs some

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Population:
    """How people's voiceprints are spread; schools are drawn from it."""

    encoder: str  # identity of the encoder whose voiceprints were measured
    speakers: int  # whom it was fitted to
    recordings: int
    mean: Points  # (dimension,)
    between: Points  # (dimension, rank): students' deviations from the mean, times normal numbers
    within: Points  # (dimension, rank): the same for recordings; of these the direction counts
    manners: int  # directions in which one student's recordings differ
    near: float  # mean squared cosine between a student's recordings and their direction
    near_students: float  # variance of a student's mean squared cosine
    near_recordings: float  # variance of a recording's cosine around the student's

    @property
    def dimension(self) -> int:
        """Of a voiceprint."""
        return len(self.mean)

    def draw(self, students: int, recordings: int, seed: int) -> Points:
        """A synthetic school: voiceprints (students, recordings, dimension) of unit length."""
        random = np.random.default_rng(seed)
        school = np.empty((students, recordings, self.dimension), np.float32)
        for start in range(0, students, BLOCK):
            block = school[start : start + BLOCK]
            block[:] = self._draw(len(block), recordings, random)
        return school

    def _draw(self, students: int, recordings: int, random: np.random.Generator) -> Points:
        def normal(*shape: int) -> Points:
            return random.standard_normal(shape, np.float32)

        centres = _unit(self.mean + normal(students, 1, self.between.shape[1]) @ self.between.T)
        manners = normal(students, self.manners, self.within.shape[1]) @ self.within.T
        aside = normal(students, recordings, self.manners) @ manners
        # Sideways only: how far a recording lies from its student is said by its nearness.
        aside -= np.sum(aside * centres, axis=-1, keepdims=True) * centres
        means = np.sqrt(_beta(random, np.full((students, 1), self.near), self.near_students))
        around = np.broadcast_to(means, (students, recordings))
        near = _beta(random, around, self.near_recordings)[..., np.newaxis].astype(np.float32)
        return _unit(near * centres + np.sqrt(1 - near**2) * _unit(aside))

    def save(self, path: Path) -> None:
        """Write it in one step. Raises StorageError."""
        content = {each.name: np.asarray(getattr(self, each.name)) for each in fields(self)}
        write_whole(path, lambda file: np.savez_compressed(file, **content))


def load(path: Path = SHIPPED) -> Population:
    """Read a population. Raises GalleryError."""
    try:
        with path.open("rb") as file, np.load(file) as kept:
            return Population(
                encoder=str(kept["encoder"]),
                speakers=int(kept["speakers"]),
                recordings=int(kept["recordings"]),
                mean=kept["mean"],
                between=kept["between"],
                within=kept["within"],
                manners=int(kept["manners"]),
                near=float(kept["near"]),
                near_students=float(kept["near_students"]),
                near_recordings=float(kept["near_recordings"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise GalleryError(
            f"{path}: no population of voices there; run 'kaimen-train school --fit'"
        ) from None


def _unit(vectors: Points) -> Points:
    unit: Points = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _beta(
    random: np.random.Generator, mean: NDArray[np.float64], variance: float
) -> NDArray[np.float64]:
    """Numbers between 0 and 1 of these means and this variance, a little less at the ends."""
    most = mean * (1 - mean)
    weight = most / np.clip(variance, LEAST_VARIANCE, 0.9 * most) - 1
    drawn: NDArray[np.float64] = random.beta(mean * weight, (1 - mean) * weight)
    return drawn
