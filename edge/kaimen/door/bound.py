"""A bound on openings that follow each other: no voice process holds the relay for ever.

A voice process that resends ``open`` by mistake is refused after a while, for longer each time,
until the relay has rested by itself. The exit button is not bound.
"""

from __future__ import annotations

import math

REST = 1.0  # seconds off from which on the relay has rested
PAUSE = 30.0  # seconds of the first refusal, doubled by each further one
LONGEST_PAUSE = 960.0  # seconds


class Bound:
    """How long the voice's openings have held the relay. Times are seconds of any one clock."""

    def __init__(self, longest: float, lease: float) -> None:
        """``longest``: seconds in a row that openings of ``lease`` seconds may hold it."""
        self._longest, self._lease = longest, lease
        self._began: float | None = None  # of the row
        self._leased = -math.inf  # when the relay was last on
        self._pause = PAUSE
        self._until = -math.inf  # refused

    def look(self, now: float, leased: bool) -> None:
        """Take note of whether a lease runs."""
        if leased:
            self._leased = now
        elif self._began is not None and now - self._leased > REST:
            self._began = None
            if not self.refuses(now):
                self._pause = PAUSE

    def refuses(self, now: float) -> bool:
        """Return whether the voice is refused now."""
        return now < self._until

    def allows(self, now: float) -> bool:
        """Return whether the voice may open now, and count it if so."""
        if self.refuses(now):
            return False
        if self._began is None:
            self._began = now
        if now + self._lease > self._began + self._longest:
            self._until = now + self._pause
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            return False
        self._leased = now
        return True
