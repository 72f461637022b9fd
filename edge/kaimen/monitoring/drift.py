"""Whether scores at the door drift away from those that the school was calibrated by.

A new microphone, another room or a cold winter move scores. What students lose by it they say
themselves; what strangers gain by it nobody notices, so it is measured: see ``Passage``.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kaimen.audit.passages import WINDOW, Passage, strangers_at
from kaimen.calibration.calibration import Calibration
from kaimen.calibration.intervals import CONFIDENCE, Share, share_of
from kaimen.registry.pseudonyms import SHORT

FACTOR = 1.5  # times the promise, from which on it is broken
SEVERAL = 3  # students without whom there is no alarm: two alike are twins, and no drift
CERTAIN = 0.998  # confidence of an alarm's interval: its lower end is too high once in 1,000
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class DriftRow:
    """How scores were in a week, of a group, or at a microphone."""

    name: str
    phrases: int
    verdicts: dict[str, int]
    accepted: tuple[float, float, float] | None  # quartiles of the scores that opened
    strangers: tuple[float, float, float] | None  # the same of strangers' scores
    above: Share  # of strangers' scores, at or above the threshold

    @property
    def fields(self) -> dict[str, object]:
        """Return it as a program reads it."""
        return {
            "name": self.name,
            "phrases": self.phrases,
            "verdicts": self.verdicts,
            "accepted": self.accepted and list(self.accepted),
            "strangers": self.strangers and list(self.strangers),
            "above": self.above.fields,
        }


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """Tell how far strangers' scores break the promise."""

    above: Share
    students: int  # whose next student's score was above
    promise: float  # the FPIR that was aimed at

    @property
    def trips(self) -> bool:
        """Return whether they are certainly more than FACTOR times as often above the threshold."""
        return self.students >= SEVERAL and self.above.low > FACTOR * self.promise

    @property
    def sentence(self) -> str:
        """Return what was found, for a person."""
        if not self.above.of:
            return "no opening tells of strangers' scores yet"
        share = (
            f"{self.above.counted} of {self.above.of} strangers' scores reach the threshold "
            f"({self.above.value:.1%}, at least {self.above.low:.1%})"
        )
        if self.trips:
            return f"{share}, more than {FACTOR:g} times the {self.promise:.1%} that were promised"
        return f"{share}; {self.promise:.1%} were promised"


def rows(
    passages: Iterable[Passage], by: Callable[[Passage], str], calibration: Calibration
) -> list[DriftRow]:
    """Return how scores were, by what ``by`` calls a passage; the empty name is left out."""
    found: dict[str, list[Passage]] = {}
    for each in passages:
        found.setdefault(by(each), []).append(each)
    return [_row(name, found[name], calibration) for name in sorted(found) if name]


def alarm(
    passages: Sequence[Passage], calibration: Calibration, now: datetime.datetime
) -> DriftAlarm:
    """Return whether the promise was broken in the last WINDOW, or since it was last mended."""
    since = now - WINDOW
    if calibration.drift_from:
        since = max(since, datetime.datetime.fromisoformat(calibration.drift_from))
    recent = [each for each in passages if since <= each.at <= now]
    strangers = strangers_at(recent, calibration.encoder)
    reached = {student for student, score in strangers if score >= calibration.threshold}
    return DriftAlarm(_above(recent, calibration, CERTAIN), len(reached), calibration.fpir)


def _row(name: str, passages: Sequence[Passage], calibration: Calibration) -> DriftRow:
    ours = [each for each in passages if each.encoder == calibration.encoder[:SHORT]]
    return DriftRow(
        name,
        len(passages),
        dict(sorted(Counter(each.verdict for each in passages).items())),
        _quartiles([each.accepted for each in ours]),
        _quartiles([each.stranger for each in ours]),
        _above(ours, calibration, CONFIDENCE),
    )


def _above(passages: Iterable[Passage], calibration: Calibration, confidence: float) -> Share:
    """Return the share of strangers' scores at or above the threshold of one try."""
    known = list(strangers_at(passages, calibration.encoder))
    # One student a hundred times is no hundred strangers.
    _, owners = np.unique([student for student, _ in known], return_inverse=True)
    hits = np.array([score >= calibration.threshold for _, score in known], bool)
    return share_of(hits, owners.astype(np.int64), confidence)


def _quartiles(scores: Iterable[float | None]) -> tuple[float, float, float] | None:
    known = [score for score in scores if score is not None]
    if not known:
        return None
    low, middle, high = np.quantile(known, QUARTILES).tolist()
    return low, middle, high
