"""Tell whether a voice is enrolled already, under another name.

A student's mean voiceprint is compared with everybody's, exactly. Where there are enough others,
they say how alike two students of this school are at most; before that, the development strangers
of the encoder's card do, by the gate's own score. And the other must be nearly as alike as the
student is to themselves. ``docs/figures/enrollment.md`` has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import RecordingError
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.score import among_themselves, score_of
from kaimen.voice.spread import HIGHEST, exceeded_by

MISTAKEN = 0.001  # share of students taken for another by mistake that is aimed at
AS_OWN = 0.7  # of a student's likeness to themselves that the other must reach
HIGH = 0.95  # of all others, by which the spread of their upper half is told
ENOUGH = 50  # others from which they say themselves how alike students are


class AlikeAnother(RecordingError):
    """The voice of another student, as far as can be told."""


class EnrolledVoices:
    """Students' voices, each as its mean voiceprint."""

    def __init__(self, dimension: int, strangers: dict[str, float]) -> None:
        """Nobody's voice yet; ``strangers`` are those of the encoder's card."""
        self._strangers = strangers
        self._places: dict[str, int] = {}  # in their order
        self._points: list[NDArray[np.float32]] = []
        self._means = np.zeros((ENOUGH, dimension), np.float32)  # those after the last are room

    def __len__(self) -> int:
        return len(self._places)

    def add(self, student: str, points: NDArray[np.float32]) -> None:
        """Take over a student's voiceprints (recordings, dimension), or their new ones."""
        place = self._places.setdefault(student, len(self))
        if place == len(self._points):
            self._points.append(points)
            if place == len(self._means):
                self._means = np.concatenate((self._means, np.zeros_like(self._means)))
        self._points[place] = points
        self._means[place] = _mean(points)

    def alike(self, student: str, voiceprints: Sequence[Voiceprint]) -> str | None:
        """Return who else has the student's voice, if anybody has."""
        points = np.stack(voiceprints)
        cosines = self._means[: len(self)] @ _mean(points)
        others = len(self) - (student in self._places)
        if not others:
            return None
        if student in self._places:
            cosines[self._places[student]] = -1
        nearest = int(cosines.argmax())
        # One comparison may go wrong so rarely that with all others the share stays.
        share = 1 - (1 - MISTAKEN) ** (1 / others)
        score = _score(self._points[nearest], points)
        if others >= ENOUGH:
            theirs = np.delete(cosines, [nearest, self._places.get(student, nearest)])
            beyond = float(cosines[nearest]) >= exceeded_by(_upper_spread(theirs), share)
        else:
            beyond = score >= exceeded_by(self._strangers, share)
        own = _own_score(points)
        alike = beyond and (own is None or math.atanh(score) >= AS_OWN * math.atanh(own))
        return list(self._places)[nearest] if alike else None


def _upper_spread(cosines: NDArray[np.float32]) -> dict[str, float]:
    """Of cosines after Fisher's transformation, as their upper half is spread.

    They are skewed: the deviation of all would make twins of those who are a little alike.
    """
    half, high = np.arctanh(np.quantile(cosines.clip(-HIGHEST, HIGHEST), [0.5, HIGH]))
    return {"mean": float(half), "deviation": float(high - half) / NormalDist().inv_cdf(HIGH)}


def _score(enrolled: NDArray[np.float32], points: NDArray[np.float32]) -> float:
    """Return the gate's score of points against a student's, on average; below 1."""
    return min(HIGHEST, float(score_of(enrolled, points).mean()))


def _own_score(points: NDArray[np.float32]) -> float | None:
    """Return the same of points against each other, each left out in turn; None of a single one."""
    if len(points) < 2:
        return None
    return min(HIGHEST, float(among_themselves(points).mean()))


def _mean(points: NDArray[np.float32]) -> Voiceprint:
    mean: Voiceprint = points.mean(axis=0)
    return mean / np.float32(np.linalg.norm(mean) or 1)
