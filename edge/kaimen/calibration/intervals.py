"""Shares with their intervals, where one student is counted several times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, and the interval of that share."""

    counted: int
    of: int
    low: float  # of the interval; 0 to 1 where nothing was counted
    high: float

    @property
    def value(self) -> float | None:
        """Return the share itself; None of nothing."""
        return self.counted / self.of if self.of else None

    @property
    def fields(self) -> dict[str, float | int | None]:
        """Return it as a program reads it."""
        return {
            "share": self.value,
            "low": self.low,
            "high": self.high,
            "counted": self.counted,
            "of": self.of,
        }


def share_of(
    hits: NDArray[np.bool_], owners: NDArray[np.int64], confidence: float = CONFIDENCE
) -> Share:
    """Return the share of ``hits``, (trials,), whose trials are of students ``owners``, (trials,).

    Wilson's interval (1927) of as many trials as these are worth: those of one student are alike,
    so that their variance, a ratio's, is divided by that of independent ones (Kish's design
    effect). Where none are hits it cannot be told, and each trial counts; where all are, each
    student does.
    """
    count = len(hits)
    if not count:
        return Share(0, 0, 0.0, 1.0)
    counted = int(hits.sum())
    low, high = wilson(counted / count, count / _design_effect(hits, owners), confidence)
    return Share(counted, count, low, high)


def wilson(share: float, trials: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of a share of so many independent trials; they need not be whole."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def _design_effect(hits: NDArray[np.bool_], owners: NDArray[np.int64]) -> float:
    count, share = len(hits), float(hits.mean())
    _, whose = np.unique(owners, return_inverse=True)
    trials = np.bincount(whose)
    students = len(trials)
    if share == 0:
        return 1.0
    if share == 1 or students == 1:
        return count / students
    apart = np.bincount(whose, hits) - share * trials
    variance = students / (students - 1) * float((apart**2).sum()) / count**2
    return max(1.0, variance * count / (share * (1 - share)))
