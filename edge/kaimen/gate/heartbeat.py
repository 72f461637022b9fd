"""The daemon's heartbeat: proof that sound arrives and decisions can be made, not a bare timer."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY = 5.0  # seconds between beats, unless somebody wants them sooner


class Heartbeat:
    """Beats as long as it is called and the rehearsal works; a hang anywhere stops it."""

    def __init__(
        self,
        rehearse: Callable[[], None],
        beat: Callable[[], None],
        *,
        every: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``every``: seconds within which somebody expects a beat."""
        self._rehearse = rehearse
        self._beat = beat
        self._every = EVERY if every is None else min(EVERY, every)
        self._clock = clock
        self._last = -float("inf")

    def __call__(self) -> None:
        """Beat when it is time; called for every block."""
        now = self._clock()
        if now - self._last >= self._every:
            self._rehearse()
            self._beat()
            self._last = now
