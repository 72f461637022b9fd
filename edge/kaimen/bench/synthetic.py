"""Synthetic schools: voiceprints drawn from what was measured of real ones.

Nobody has 20,000 students' voices to try a gate on. A population holds how real people's
voiceprints are spread (``kaimen-train school --fit`` measures it); a school of any size is drawn
from it. What is drawn is nobody's voice, and is always called synthetic. A population is
``turned`` before it is handed on: then nothing that is drawn lies where anybody's voice does.

A student is a direction: the mean voiceprint and a deviation from it. How deviations are drawn is
the model: normal numbers for all of it, or a learned shape (``shapes``) for its widest directions.
A recording lies at some angle from its student, towards a mixture of the few manners in which
that student varies. How near it lies differs from student to student and from recording to
recording. One normal distribution for everybody (the model ``gaussian``) knows neither a bad
recording nor two alike, and far fewer errors.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.bench.shapes import SHAPES, Layers, diffusion
from kaimen.errors import GalleryError
from kaimen.storage import write_whole

SHIPPED = Path(__file__).parents[1] / "models" / "school.npz"
BLOCK = 2_000  # students drawn at a time
FURTHER = "further"  # the learned shape of what a first recording leaves open
MODELS = ("gaussian", "population", *SHAPES)
PARTS = ("kernel", "bias")  # of a layer
LEAST_VARIANCE = 1e-9  # of a nearness: a beta distribution needs some

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Population:
    """How people's voiceprints are spread; schools are drawn from it."""

    encoder: str  # identity of the encoder whose voiceprints were measured
    speakers: int  # whom it was fitted to
    recordings: int
    mean: Points  # (dimension,)
    # (dimension, rank): students' deviations from the mean, times numbers; the widest first
    between: Points
    within: Points  # (dimension, rank): the same for recordings; of these the direction counts
    manners: int  # directions in which one student's recordings differ
    near: float  # mean squared cosine between a student's recordings and their direction
    near_students: float  # variance of a student's mean squared cosine
    near_recordings: float  # variance of a recording's cosine around the student's
    model: str = "population"  # one of MODELS
    weights: Mapping[str, Layers] = field(default_factory=dict)  # of the learned ones

    @property
    def dimension(self) -> int:
        """Return the dimension of a voiceprint."""
        return len(self.mean)

    def draw(self, students: int, recordings: int, seed: int) -> Points:
        """A synthetic school: voiceprints (students, recordings, dimension) of unit length."""
        random = np.random.default_rng(seed)
        school = np.empty((students, recordings, self.dimension), np.float32)
        for start in range(0, students, BLOCK):
            block = school[start : start + BLOCK]
            block[:] = self._draw(len(block), recordings, random)
        return school

    def using(self, model: str) -> Population:
        """Return these voices drawn by another of MODELS. Raises GalleryError if not fitted."""
        if model in SHAPES and model not in self.weights:
            raise GalleryError(f"{model}: not fitted; run 'kaimen-train school --fit'")
        return replace(self, model=model)

    def turned(self) -> Population:
        """Return the same population in directions that no encoder has, turned as nobody will know.

        Cosines within what is drawn stay as they are, so that a school forecasts as much; beside
        anybody's real voiceprint it says nothing, and so nothing of whom it was fitted to.
        """
        normal = np.random.default_rng().standard_normal((self.dimension, self.dimension))
        axes, triangle = np.linalg.qr(normal)
        turn = axes * np.sign(np.diag(triangle))  # any turn is as likely as any other
        mean, between, within = (
            (turn @ each).astype(np.float32) for each in (self.mean, self.between, self.within)
        )
        return replace(self, mean=mean, between=between, within=within)

    def further(self, first: Points, recordings: int, seed: int) -> Points:
        """More recordings of students known by one, (students, dimension); as ``draw`` otherwise.

        Each number of a student is normal, and so is what a recording adds to it; by the model
        ``diffusion`` what the recording leaves open is drawn as it was learned.
        """
        random = np.random.default_rng(seed)
        size = np.maximum(np.sum(self.between**2, axis=0), LEAST_VARIANCE)
        seen = ((first / np.sqrt(self.near) - self.mean) @ self.between / size).astype(np.float32)
        aside = (1 - self.near) / self.near * np.sum((self.within.T @ self.between) ** 2, axis=0)
        doubt = aside / size**2  # variance of a recording's numbers around the student's
        left = random.standard_normal(seen.shape, np.float32)
        if self.model == "diffusion":
            layers = self.weights[FURTHER]
            shaped = len(layers[-1][0])
            given = (seen / np.sqrt(1 + doubt))[:, :shaped]
            left[:, :shaped] = diffusion(layers, len(first), random, given)
        numbers = seen / (1 + doubt) + np.sqrt(doubt / (1 + doubt)) * left
        return self._record(numbers, recordings, random)

    def _draw(self, students: int, recordings: int, random: np.random.Generator) -> Points:
        numbers = random.standard_normal((students, self.between.shape[1]), np.float32)
        if self.model in SHAPES:
            shaped = SHAPES[self.model](self.weights[self.model], students, random)
            numbers[:, : shaped.shape[1]] = shaped
        return self._record(numbers, recordings, random)

    def _record(self, numbers: Points, recordings: int, random: np.random.Generator) -> Points:
        """Return recordings (students, recordings, dimension) of students of these numbers."""
        students, rank = len(numbers), self.within.shape[1]

        def normal(*shape: int) -> Points:
            return random.standard_normal(shape, np.float32)

        centres = (self.mean + numbers @ self.between.T)[:, np.newaxis]
        if self.model == "gaussian":
            aside = normal(students, recordings, rank) @ self.within.T
            return _unit(np.sqrt(self.near) * centres + np.sqrt(1 - self.near) * aside)
        centres = _unit(centres)
        manners = normal(students, self.manners, rank) @ self.within.T
        aside = normal(students, recordings, self.manners) @ manners
        # Sideways only: how far a recording lies from its student is said by its nearness.
        aside -= np.sum(aside * centres, axis=-1, keepdims=True) * centres
        means = np.sqrt(_beta(random, np.full((students, 1), self.near), self.near_students))
        around = np.broadcast_to(means, (students, recordings))
        near = _beta(random, around, self.near_recordings)[..., np.newaxis].astype(np.float32)
        return _unit(near * centres + np.sqrt(1 - near**2) * _unit(aside))

    def save(self, path: Path) -> None:
        """Write it in one step. Raises StorageError."""
        content = {name: np.asarray(getattr(self, name)) for name in MEASURED}
        for model, layers in self.weights.items():
            for number, layer in enumerate(layers):
                for part, values in zip(PARTS, layer, strict=True):
                    content[f"{model}_{number}_{part}"] = values.astype(np.float16)
        write_whole(path, lambda file: np.savez_compressed(file, **content))


MEASURED = [each.name for each in fields(Population) if each.name != "weights"]


def load(path: Path = SHIPPED, model: str | None = None) -> Population:
    """Read a population, to be drawn by its own or another of MODELS. Raises GalleryError."""
    try:
        with path.open("rb") as file, np.load(file) as kept:
            values = {name: kept[name] for name in MEASURED}
            plain = {name: each if each.ndim else each.item() for name, each in values.items()}
            found = Population(**plain, weights=_weights(kept))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise GalleryError(
            f"{path}: no population of voices there; run 'kaimen-train school --fit'"
        ) from None
    return found.using(model or found.model)


def _weights(kept: Mapping[str, NDArray[Any]]) -> dict[str, Layers]:
    weights: dict[str, Layers] = {}
    for name in (*SHAPES, FURTHER):
        count = sum(each.startswith(f"{name}_") for each in kept) // len(PARTS)
        layers = [
            [kept[f"{name}_{number}_{part}"].astype(np.float32) for part in PARTS]
            for number in range(count)
        ]
        if layers:
            weights[name] = [(kernel, bias) for kernel, bias in layers]
    return weights


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
