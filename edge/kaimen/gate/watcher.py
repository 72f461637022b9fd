"""Keeps a running gate up to date: who was enrolled or removed, and what was calibrated.

It works beside the gate, which goes on listening and answering meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.calibration.calibration import Calibration
from kaimen.closing import Closing
from kaimen.errors import KaimenError

EVERY = 1.0  # seconds between looks


class Watcher(Closing):
    """Looks at the registry and the calibration, and tells the gate's policy."""

    def __init__(self, policy: AccessPolicy, calibration: Path, say: Callable[[str], None]) -> None:
        self._policy = policy
        self._path = calibration
        self._say = say
        self._seen = _changed(calibration)
        self._said = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            self.look()

    def look(self) -> None:
        """Take over what changed. Where that leaves no valid threshold, nothing opens."""
        try:
            changed = self._policy.gallery.refresh()
            seen = _changed(self._path)
            if not changed and seen == self._seen:
                return
            self._seen = seen
            learned = Calibration.load(self._path, self._policy.gallery.registry.vault)
            learned.require(self._policy.gallery)
        except KaimenError as error:
            self._policy.thresholds = Thresholds()
            self._seen = None  # until it is well again
            self._tell(f"the door stays shut: {error}")
        else:
            self._policy.thresholds = learned.thresholds
            self._tell(f"{len(self._policy.gallery)} students; the door is armed")

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
