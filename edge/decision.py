"""From scores to one answer, with the reasons behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

BEST = 3  # of a student's recordings that count towards the score


class Verdict(Enum):
    """What the gate answers."""

    OPEN = "open"
    UNKNOWN = "unknown"
    REFUSED = "refused"  # not even looked for: too many unknown voices before


@dataclass(frozen=True, slots=True)
class Match:
    """A student, and how alike the probe is."""

    student: str
    score: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one probe: the nearest students first, and the threshold they met."""

    verdict: Verdict
    threshold: float
    nearest: tuple[Match, ...]
    claim: str | None = None  # who somebody said they are: then nobody else was looked for
    wait: float = 0.0  # seconds until the door hears again

    @property
    def opens(self) -> bool:
        """Whether the door may open."""
        return self.verdict is Verdict.OPEN

    @property
    def student(self) -> str | None:
        """Who was let in."""
        return self.nearest[0].student if self.opens else None

    @property
    def score(self) -> float | None:
        """The nearest student's score; None in an empty gallery."""
        return self.nearest[0].score if self.nearest else None

    @property
    def reason(self) -> str:
        """One sentence for a person."""
        if self.verdict is Verdict.REFUSED:
            return f"too many unknown voices; the door hears again in {math.ceil(self.wait)} s"
        if not self.nearest:
            if self.claim is not None:
                return f"{self.claim} is not enrolled, or may not enter now"
            return "nobody is enrolled who may enter now"
        best = self.nearest[0]
        if self.opens:
            return f"{best.student} at {best.score:.3f}, the threshold is {self.threshold:.3f}"
        found = "nearest is" if self.claim is None else "claimed to be"
        return (
            f"{found} {best.student} at {best.score:.3f}, "
            f"{self.threshold - best.score:.3f} below the threshold of {self.threshold:.3f}"
        )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How near a probe must come; by default nothing is near enough."""

    anybody: float = math.inf  # to be found among all
    claimed: float = math.inf  # to be who one says
    source: str = ""  # hash of the calibration they come from


def student_score(cosines: NDArray[np.float32]) -> float:
    """One student's score: the mean of the BEST highest cosines, shape (recordings,).

    One bad recording among five does no harm, and one lucky likeness opens nothing.
    """
    best = np.sort(cosines)[-BEST:]  # NaN comes last, so it counts, and opens nothing
    return float(best.sum()) / len(best)


def decide(nearest: Sequence[Match], threshold: float, *, claim: str | None = None) -> Decision:
    """Open for the nearest student if the score reaches the threshold.

    A score or threshold that is no number opens nothing.
    """
    ordered = tuple(sorted(nearest, key=lambda match: -match.score))
    opens = bool(ordered) and ordered[0].score >= threshold
    return Decision(Verdict.OPEN if opens else Verdict.UNKNOWN, threshold, ordered, claim)


def refuse(threshold: float, wait: float) -> Decision:
    """Nobody is looked for, for ``wait`` more seconds."""
    return Decision(Verdict.REFUSED, threshold, (), wait=wait)
