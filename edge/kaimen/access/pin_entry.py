"""Another way in than a voice: a card says who comes, and a PIN typed after it proves it.

The reader's lines come from its thread; all else happens in the thread of the gate. A line that
names a student is a card. Other digits are a PIN: they belong to the card before them, and become
neither a claim nor a line of a log.
"""

from __future__ import annotations

import datetime
import math
import queue
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kaimen.access.pin_lockout import PinLockout
from kaimen.clock import local_now
from kaimen.errors import KaimenError
from kaimen.names import as_kept
from kaimen.registry.registry import Registry
from kaimen.registry.student_rows import Student
from kaimen.settings.roster import Rule, groups_at

PATIENCE = 20.0  # seconds for which a card waits for its PIN
BEHIND = datetime.timedelta(days=1)  # that a clock may be behind a student's enrollment
TYPED = re.compile(r"[0-9*#]+")  # what a keypad can type
UNKNOWN = ""  # cards of nobody share one count of wrong PINs


@dataclass(frozen=True, slots=True)
class PinAnswer:
    """What became of one PIN."""

    opens: bool
    student: str  # whose card it was; empty: nobody's
    why: str  # it does not open
    wait: float = 0.0  # seconds until a PIN of this card is compared again; infinite: locked


class PinEntry:
    """Decides about cards and PINs for one door."""

    def __init__(
        self,
        registry: Registry,
        lockout: PinLockout,
        claim: Callable[[str], None],
        *,
        roster: tuple[Rule, ...] = (),
        unwell: Callable[[], str] = lambda: "",
        now: Callable[[], datetime.datetime] = local_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``claim`` gets every line that is no PIN. While ``unwell`` says why, nothing opens."""
        self._registry = registry
        self._lockout = lockout
        self._claim = claim
        self._roster = roster
        self._unwell = unwell
        self._now = now
        self._clock = clock
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._card: tuple[str, float] | None = None

    def read(self, line: str) -> None:
        """Take over a line of the reader. From any thread."""
        self._lines.put(line)

    def answers(self) -> Iterator[PinAnswer]:
        """Yield what became of each PIN that was typed since. In the gate's own thread."""
        while True:
            try:
                line = as_kept(self._lines.get_nowait())
            except queue.Empty:
                return
            answer = self._heard(line)
            if answer is not None:
                yield answer

    def _heard(self, line: str) -> PinAnswer | None:
        typed = TYPED.fullmatch(line) is not None
        try:
            known = self._registry.knows(line)
        except KaimenError as error:  # a PIN must not become a claim while nobody can tell
            return PinAnswer(False, UNKNOWN, str(error))
        if known or not typed:
            self._card = (line if known else UNKNOWN, self._clock())
            self._claim(line)
            return None
        card, self._card = self._card, None
        if card is None or self._clock() - card[1] > PATIENCE:
            return None  # a PIN without a card is nobody's
        try:
            answer = self._compared(card[0], line.rstrip("*#"))
        except KaimenError as error:
            answer = PinAnswer(False, card[0], str(error))
        if not answer.opens:
            self._card = card  # until its time is over
        return answer

    def _compared(self, name: str, pin: str) -> PinAnswer:
        shut = self._unwell()
        if shut:
            return PinAnswer(False, name, f"the door stays shut: {shut}")
        wait = self._lockout.wait(name)
        if wait:
            locked = "too many wrong PINs: set another with 'kaimen students --pin'"
            why = locked if math.isinf(wait) else "not compared, after wrong PINs"
            return PinAnswer(False, name, why, wait)
        student = self._registry.student(name) if name else None
        self._lockout.begin(name)
        if not self._registry.pins.fits(-1 if student is None else student.number, pin):
            return PinAnswer(False, name, "a wrong PIN", self._lockout.wait(name))
        assert student is not None
        self._lockout.forget(name)
        if not self._may_enter(student):
            return PinAnswer(False, name, "may not enter at that time")
        return PinAnswer(True, name, "")

    def _may_enter(self, student: Student) -> bool:
        now = self._now()
        groups = groups_at(self._roster, now)
        if groups is None:
            return True
        enrolled = datetime.datetime.fromisoformat(student.enrolled)
        # By a wrong clock nobody knows whose hours these are.
        right = now.astimezone(datetime.UTC) + BEHIND >= enrolled
        return right and student.group in groups
