"""Watches a running gate's scores, and says when they drift; on request it keeps the door shut.

What was said before the gate started is read from the log once, what is said since is counted as
it happens. It works beside the gate, in a supervised thread.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kaimen.audit import Record
from kaimen.audit.passages import WINDOW, Passage, passage_of, passages_since
from kaimen.calibration.calibration import Calibration
from kaimen.clock import utc_now
from kaimen.errors import KaimenError, StorageError
from kaimen.gate.supervisor import Pulse
from kaimen.monitoring.drift import DriftAlarm, alarm

EVERY = 1.0  # seconds between looks whether there is anything to do
COUNTED = 60.0  # seconds between counts while people come
PATIENCE = 30.0  # seconds a look may take without a sign of life
BATCH = 256  # lines read between two signs of life

ENDS = ("the door goes on", "the door opens for no voice")  # the latter with stop_on_drift
MENDED = "look at the microphone and the room, then say so with 'kaimen calibrate --drift-mended'"


class DriftWatch:
    """Counts strangers' scores of one gate. ``add`` may be called from another thread."""

    def __init__(
        self,
        before: Callable[[], Iterable[Record]],
        calibration: Callable[[], Calibration],
        calibrated: Path,
        say: Callable[[str], None],
        *,
        stops: bool = False,
        now: Callable[[], datetime.datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``before`` yields the log's lines, the latest first; none where there is no log yet.

        With ``stops`` the door is kept shut while the promise is broken. ``calibrated`` is where
        the calibration is kept: it is read anew when that changes.
        """
        self._before = before
        self._calibration = calibration
        self._path = calibrated
        self._say = say
        self._stops = stops
        self._end = ENDS[stops]
        self._now = now
        self._clock = clock
        self._passages: deque[Passage] | None = None  # oldest first; None: the log is not read
        self._added: deque[Passage] = deque()
        self._seen: int | None = None  # when the calibration was written that was counted by
        self._counted = -COUNTED
        self._found: DriftAlarm | None = None
        self._began = now()
        self._unread = ""  # why the log cannot be read

    @property
    def shut(self) -> str:
        """Return why no voice opens the door, in words; empty while it may."""
        if not self._stops:
            return ""
        if self._unread or self._passages is None:
            return self._unread or "the log is still being read, to see whether scores drift"
        found = self._found
        return f"{found.sentence}; {MENDED}" if found is not None and found.trips else ""

    def add(self, record: Record) -> None:
        """Count what was just decided. Returns at once."""
        passage = passage_of({**record, "at": self._now().isoformat()})
        if passage is not None:
            self._added.append(passage)

    def run(self, pulse: Pulse) -> None:
        """Look until it is told to stop; work for a supervised thread."""
        while not pulse.stopped:
            self.look(pulse.alive)
            pulse.well()
            pulse.wait(EVERY)

    def look(self, alive: Callable[[], None] = lambda: None) -> None:
        """Count anew where there is something new, and say what changed."""
        now = self._now()
        if self._passages is None:
            try:
                self._passages, self._unread = self._read(now, alive), ""
            except StorageError as error:
                self._cannot_read(error)
                return
            self._seen = None
        changed = _changed(self._path)
        due = self._added and self._clock() - self._counted >= COUNTED
        if changed == self._seen and not due:
            return
        while self._added:
            self._passages.append(self._added.popleft())
        while self._passages and self._passages[0].at < now - WINDOW:
            self._passages.popleft()
        with contextlib.suppress(KaimenError):  # one that arms no door: the watcher says so
            found = alarm(tuple(self._passages), self._calibration(), now)
            tripped = self._found is not None and self._found.trips
            self._found = found
            if found.trips and not tripped:
                self._say(f"drift: {found.sentence}; {self._end}; {MENDED}")
            elif tripped and not found.trips:
                self._say(f"the drift is over: {found.sentence}")
        self._seen, self._counted = changed, self._clock()

    def _cannot_read(self, error: StorageError) -> None:
        """Say it once; only a gate that is asked to stop by drift stays shut."""
        said = f"whether scores drift is not known: {error}"
        if said != self._unread:
            self._say(f"{said}; {self._end}")
        self._unread = said

    def _read(self, now: datetime.datetime, alive: Callable[[], None]) -> deque[Passage]:
        """Return what the log tells of the last WINDOW. Raises StorageError."""
        found: deque[Passage] = deque()
        for passage in passages_since(_alive(self._before(), alive), now - WINDOW):
            if passage.at < self._began:  # what came later is added
                found.appendleft(passage)
        return found


def _alive(records: Iterable[Record], alive: Callable[[], None]) -> Iterator[Record]:
    """Pass on lines of a long log, with signs of life."""
    for place, record in enumerate(records):
        if place % BATCH == 0:
            alive()
        yield record


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1
