"""Keeps a running gate up to date: who was enrolled or removed, and what was calibrated.

It works beside the gate, which goes on listening and answering meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.calibration.calibration import Calibration
from kaimen.errors import KaimenError
from kaimen.gate.supervisor import Pulse
from kaimen.progress import Step
from kaimen.settings.roster import Rule

EVERY = 1.0  # seconds between looks
PAUSE = 0.002  # seconds between small steps of a look, in which a phrase is answered
PATIENCE = 25.0  # seconds a look may take: twice what a locked registry is waited for


class Watcher:
    """Looks at the registry and the calibration, and arms or disarms the gate's policy."""

    def __init__(
        self,
        policy: AccessPolicy,
        calibration: Path,
        say: Callable[[str], None],
        roster: tuple[Rule, ...] = (),
    ) -> None:
        """``roster`` is the policy's: who may enter at once sets the threshold."""
        self._policy = policy
        self._roster = roster
        self._path = calibration
        self._say = say
        self._seen: int | None = -1  # when the calibration was written that is in use; none yet
        self._said = ""
        self._alive: Callable[[], None] = lambda: None

    def run(self, pulse: Pulse) -> None:
        """Look until it is told to stop; work for a supervised thread."""
        self._alive = pulse.alive
        while not pulse.stopped:
            self.look()
            pulse.well()
            pulse.wait(EVERY)

    def look(self) -> None:
        """Take over what changed. Where that leaves no valid threshold, nothing opens."""
        try:
            changed = self._policy.gallery.refresh(self._counted, pause=PAUSE)
            seen = _changed(self._path)
            if not changed and seen == self._seen:
                return
            self._seen = seen
            kept = Calibration.load(self._path, self._policy.gallery.registry.vault)
            kept.require(self._policy.gallery)
            learned = kept.at_door(self._roster, self._policy.gallery)
        except BaseException as error:
            self._policy.thresholds = Thresholds()
            self._seen = None  # until it is well again
            if not isinstance(error, KaimenError):
                raise
            self._tell(f"the door stays shut: {error}")
        else:
            self._policy.thresholds = learned.thresholds
            misfit = kept.roster_misfit(self._roster, self._policy.gallery)
            self._tell(_armed(len(self._policy.gallery), learned.at_once, misfit))

    def _counted(self, steps: Iterable[Step], what: str, count: int) -> Iterable[Step]:
        """Pass on the steps of a long work, each a sign of life."""
        for step in steps:
            self._alive()
            yield step

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)


def _armed(students: int, at_once: int, misfit: str) -> str:
    """Say that the door is armed, and for how many where not everybody may enter."""
    if misfit:
        return f"{students} students; the door is armed; {misfit}; run 'kaimen calibrate'"
    if at_once:
        return f"{students} students; the door is armed for {at_once} who may enter at once"
    return f"{students} students; the door is armed"


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
