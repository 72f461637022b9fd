"""Keeps a running gate up to date: who was enrolled or removed, what was calibrated, who claims.

It works beside the gate, which goes on listening and answering meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from kaimen.access.decision import Thresholds
from kaimen.calibration.calibration import Calibration
from kaimen.errors import KaimenError
from kaimen.gate.gate import Gate

EVERY = 1.0  # seconds between looks


class Watcher:
    """Looks at the registry and the calibration, and tells the gate; a context manager."""

    def __init__(self, gate: Gate, calibration: Path, say: Callable[[str], None]) -> None:
        self._gate = gate
        self._path = calibration
        self._say = say
        self._seen = _changed(calibration)
        self._said = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._ended.wait(EVERY):
            self.look()

    def look(self) -> None:
        """Take over what changed. Where that leaves no valid threshold, nothing opens."""
        try:
            changed = self._gate.gallery.refresh()
            seen = _changed(self._path)
            if not changed and seen == self._seen:
                return
            self._seen = seen
            learned = Calibration.load(self._path)
            learned.require(self._gate.gallery)
        except KaimenError as error:
            self._gate.thresholds = Thresholds()
            self._seen = None  # until it is well again
            self._tell(f"the door stays shut: {error}")
        else:
            self._gate.thresholds = learned.thresholds
            self._tell(f"{len(self._gate.gallery)} students; the door is armed")

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)


def claims(path: Path, claim: Callable[[str], None]) -> threading.Thread:
    """Pass on every line of a file, a pipe or a terminal as a claim, from a thread of its own."""

    def read() -> None:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip():
                    claim(line.strip())

    reader = threading.Thread(target=read, name="reader", daemon=True)
    reader.start()
    return reader


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
