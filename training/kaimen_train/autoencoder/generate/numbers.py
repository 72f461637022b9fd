"""Students as numbers along the widest directions: what the learned models see of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kaimen.bench.shapes import SHAPES, Layers, Points
from kaimen.bench.synthetic import LEAST_VARIANCE, Population
from kaimen_train.points import means_of
from kaimen_train.school.variance import LabelledPoints, Matrix

SHAPED = 32  # directions, at most: the others are too narrow for a shape to matter
LEAST = 1e-3  # of the variance between speakers, where there seems to be none
DRAWN = 8_000  # students, by which a network's numbers are corrected


@dataclass(frozen=True)
class Numbers:
    """Numbers of takes, those of one speaker and text together."""

    takes: Points  # (takes, k); means of a speaker's takes have the identity for a covariance
    starts: NDArray[np.int64]  # (groups,), of a speaker's takes of a text
    counts: NDArray[np.int64]  # (groups,)
    chances: NDArray[np.float64]  # (groups,): every speaker's add up to the same
    scale: Points  # (k, k): what undoes the covariance of means
    spread: Points  # (k,): deviation of speakers' numbers along each direction
    doubt: Points  # (k,): variance of a take around its speaker, where that of speakers is one

    def students(self, size: int, random: np.random.Generator) -> Points:
        """Return numbers (size, k) of as many students drawn from all speakers alike."""
        groups = self._groups(size, random)
        counts = self.counts[groups, np.newaxis].astype(np.float32)
        return self._totals[groups] / counts @ self.scale

    def known_by_one(self, size: int, random: np.random.Generator) -> tuple[Points, Points]:
        """Return the same as one of their takes leaves them open, and that take, (size, k) each.

        Both are of unit variance: students less what is to be expected by the take, if all were
        normal; their other takes stand for them, few or many.
        """
        groups = self._groups(size, random, repeated=True)
        takes = self.takes[self.starts[groups] + random.integers(self.counts[groups])]
        others = (self._totals[groups] - takes) / self.spread
        count = (self.counts[groups, np.newaxis] - 1).astype(np.float32)
        first = takes / self.spread
        open_to = np.sqrt(self.doubt / (1 + self.doubt) + self.doubt / count + LEAST**2)
        left = (others / count - first / (1 + self.doubt)) / open_to
        return left.astype(np.float32), first / np.sqrt(1 + self.doubt)

    @cached_property
    def _totals(self) -> Points:
        return np.add.reduceat(self.takes, self.starts)

    def _groups(
        self, size: int, random: np.random.Generator, *, repeated: bool = False
    ) -> NDArray[np.int64]:
        chances = np.cumsum(self.chances * (self.counts > 1) if repeated else self.chances)
        drawn = random.random(size) * chances[-1]
        return np.asarray(np.searchsorted(chances, drawn, side="right"), np.int64)


def numbers_of(voices: LabelledPoints, population: Population) -> Numbers:
    """Return the numbers of real recordings, less what their texts add to all of them alike."""
    texts = _numbered(voices.corpora, voices.texts)
    groups = _numbered(voices.corpora, voices.texts, voices.speakers)
    points = voices.points - means_of(voices.points, texts)[texts]
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    starts = np.cumsum(counts) - counts
    between = population.between[:, :SHAPED].astype(np.float64)
    size = np.maximum(np.sum(between**2, axis=0), LEAST_VARIANCE)
    takes = (points[order] / np.sqrt(population.near) @ between / size).astype(np.float32)
    owners = _numbered(voices.corpora, voices.speakers)[order][starts]
    chances = 1 / np.bincount(owners)[owners]
    means = np.add.reduceat(takes, starts) / counts[:, np.newaxis]
    aside = takes - np.repeat(means, counts, axis=0)
    repeated = counts > 1
    within = np.add.reduceat(aside**2, starts)[repeated] / (counts[repeated, np.newaxis] - 1)
    within = np.average(within, axis=0, weights=chances[repeated]) if repeated.any() else 0 * size
    weights = np.repeat(chances / counts, counts)
    apart = np.maximum(weights @ takes**2 / weights.sum() - within, LEAST * within + LEAST)
    return Numbers(
        takes,
        starts,
        counts,
        chances,
        scale=_whitening(means, chances),
        spread=np.sqrt(apart).astype(np.float32),
        doubt=(within / apart).astype(np.float32),
    )


def uncorrected(layers: Layers) -> Layers:
    """Return the network's layers, and a correction that changes nothing."""
    count = len(layers[-1][1])
    return [*layers, (np.eye(count, dtype=np.float32), np.zeros(count, np.float32))]


def corrected(model: str, layers: Layers) -> Layers:
    """Return the network's layers, and what brings its numbers to mean zero and the identity.

    A careful network draws numbers that are too near their mean.
    """
    drawn = SHAPES[model](uncorrected(layers), DRAWN, np.random.default_rng(0)).astype(np.float64)
    mean = drawn.mean(axis=0)
    return [*layers, (_whitening(drawn - mean, np.ones(DRAWN)), (-mean).astype(np.float32))]


def _whitening(points: Matrix, weights: NDArray[np.float64]) -> Points:
    """What brings weighted points (n, k) to the identity, turning them as little as can be."""
    covariance = (points * weights[:, np.newaxis]).T @ points / weights.sum()
    values, directions = np.linalg.eigh(covariance)
    whitening: Points = (directions / np.sqrt(np.maximum(values, 1e-9)) @ directions.T).astype(
        np.float32
    )
    return whitening


def _numbered(*names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return a number for each different combination of names."""
    keys: Sequence[NDArray[np.int64]] = [np.unique(each, return_inverse=True)[1] for each in names]
    return np.unique(np.stack(keys), axis=1, return_inverse=True)[1].ravel()
