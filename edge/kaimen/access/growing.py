"""Which phrases that opened may be taken in beside what enrolled a student.

Only what is certain many times over: who said at a card reader who they are, and was let in; far
above the threshold and far from everybody else by the recordings that enrolled, never by grown
voiceprints; in one try; past every check; and while nobody unknown was heard. So no voiceprint
that was taken in ever lets in the next one, and no voice alone teaches the gate another.
"""

from __future__ import annotations

import queue
from dataclasses import dataclass

from kaimen.access.decision import Decision, Thresholds
from kaimen.access.lockout import Lockout
from kaimen.gallery.gallery import Gallery
from kaimen.voice.encoder import Voiceprint

FAR = 0.06  # of score above the threshold among all students, whatever the roster
APART = 0.15  # of score above the next student's
CHECKED = frozenset(("phrase", "loudspeaker", "replay"))  # what must have been asked, and passed


@dataclass(frozen=True, slots=True, eq=False)
class GrowthCandidate:
    """A voiceprint that may be taken in."""

    student: str
    voiceprint: Voiceprint
    score: float  # by the recordings that enrolled
    needed: float  # what the guard asked for


class Growing:
    """Picks candidates while a gate decides; another thread takes them in."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._found: queue.SimpleQueue[GrowthCandidate] = queue.SimpleQueue()

    def consider(
        self, decision: Decision, voiceprint: Voiceprint, thresholds: Thresholds, lockout: Lockout
    ) -> None:
        """Look at a decision before it counts for the lockout; the first of two tries is none."""
        student = decision.student
        if student is None or decision.claim != student or decision.pooled is not None:
            return
        if lockout.wait() or not lockout.is_calm:
            return
        passed = {check.name for check in decision.checks if check.passed}
        if not (passed >= CHECKED and decision.failed is None):
            return
        needed = max(thresholds.anybody, thresholds.everybody) + FAR
        # Of all students: who may not enter now is somebody else, too.
        first, *others = self._gallery.nearest_enrolled(voiceprint)
        apart = first.score - others[0].score if others else float("inf")
        if first.student == student and first.score >= needed and apart >= APART:
            self._found.put(GrowthCandidate(student, voiceprint, first.score, needed))

    def candidates(self) -> list[GrowthCandidate]:
        """Return those since the last call."""
        return [self._found.get() for _ in range(self._found.qsize())]
