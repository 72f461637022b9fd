"""Simulated seconds: the clock on the wall, and the clock that the gate's threads sleep by."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

START = datetime(datetime.now().year + 1, 3, 1, 8)


class Clock:
    """Simulated seconds, on which threads sleep; the watcher keeps step with it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = timedelta()  # of the clock on the wall
        self._changed = threading.Condition()
        self._sleeping: dict[str, float] = {}  # until when, by the names of threads

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now) + self.step

    def advance(self, seconds: float) -> None:
        with self._changed:
            self.now += seconds
            due = self._sleeping.get("watcher", np.inf) <= self.now
            self._changed.notify_all()
            # Whoever is woken works as long as that takes, in no time.
            if due:
                self._changed.wait_for(
                    lambda: self._sleeping.get("watcher", -np.inf) > self.now, timeout=30
                )

    def sleep(self, seconds: float, over: Callable[[], bool]) -> bool:
        name = threading.current_thread().name
        with self._changed:
            until = self.now + seconds
            self._sleeping[name] = until
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.now >= until or over(), timeout=60)
            if over():
                self._sleeping.pop(name, None)
                self._changed.notify_all()
            return over()

    def expect(self) -> None:
        """A watcher is about to begin."""
        with self._changed:
            self._sleeping["watcher"] = self.now

    def end(self) -> None:
        """It is to end."""
        with self._changed:
            self._sleeping.clear()
            self._changed.notify_all()


class Stop(threading.Event):
    """What supervised threads sleep on, by that clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        clock.expect()

    def wait(self, timeout: float | None = None) -> bool:
        return self._clock.sleep(np.inf if timeout is None else timeout, self.is_set)

    def set(self) -> None:
        super().set()
        self._clock.end()
