"""An enrollment by the door's lights and sounds alone: what the student at the gate sees of it."""

from __future__ import annotations

from collections.abc import Callable

from kaimen.enrollment.at_microphone import METER, HeardLevel
from kaimen.enrollment.coach import TakeJudgement

VERDICT = 2.0  # seconds that a take's verdict is shown


class DoorLights:
    """Shows what is heard and what becomes of each take."""

    def __init__(self, show: Callable[[str], None]) -> None:
        """``show`` puts on one of the door's patterns."""
        self._show = show
        self._showing = ""
        self._verdict = 0.0  # seconds that it is still shown

    def event(self, event: HeardLevel | TakeJudgement) -> None:
        """Show a level, or what became of a take."""
        if isinstance(event, TakeJudgement):
            self._verdict = VERDICT
            self._put_on("enrolled" if event.complete else "kept" if event.kept else "again")
            return
        self._verdict = max(0.0, self._verdict - METER)
        if not self._verdict:
            self._put_on("listening" if event.speaking else "enrolling")

    def _put_on(self, what: str) -> None:
        # A verdict like the one before is shown again; what lasts is not begun anew.
        if what != self._showing or what not in ("listening", "enrolling"):
            self._show(what)
        self._showing = what
