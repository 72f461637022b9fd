"""The daemon's heartbeat: proof that sound arrives and decisions can be made, not a bare timer."""

from __future__ import annotations

import time
from collections.abc import Callable

UNWATCHED = 10.0  # seconds between beats where nobody set an interval


class Heart:
    """Beats as long as it is called and the rehearsal works; a hang anywhere stops it."""

    def __init__(
        self,
        rehearse: Callable[[], None],
        beat: Callable[[], None],
        *,
        watchdog: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``watchdog``: seconds without a beat after which somebody will act."""
        self._rehearse = rehearse
        self._beat = beat
        self._every = UNWATCHED if watchdog is None else watchdog / 3
        self._clock = clock
        self._last = -float("inf")

    def __call__(self) -> None:
        """Called for every block: beats when it is time."""
        now = self._clock()
        if now - self._last >= self._every:
            self._rehearse()
            self._beat()
            self._last = now
