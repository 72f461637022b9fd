"""Patience with unknown voices: a few tries are free, then each costs a longer wait.

Guessing needs tries. Three are free; the next one that stays unknown shuts the gate's ears
for half a minute, and each after that for twice as long. Who says who they are is compared with
one student alone and need not wait, and the exit button knows nothing of all this.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kaimen.settings.gate import FREE_TRIES, LOCKOUT, LONGEST_LOCKOUT

FORGET = 600.0  # seconds without an unknown voice after which all is forgotten


class Lockout:
    """How long a door hears nobody who does not say who they are."""

    def __init__(
        self,
        *,
        free: int = FREE_TRIES,
        first: float = LOCKOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """With ``first`` zero it never waits. Times are in seconds."""
        self._free = free
        self._first = first
        self._clock = clock
        self._tries = 0
        self._until = self._last = -float("inf")

    def wait(self) -> float:
        """Seconds until the door hears again; 0 while it does."""
        return max(0.0, self._until - self._clock())

    def unknown(self) -> None:
        """A voice was heard that nobody knows."""
        now = self._clock()
        if now - max(self._last, self._until) > FORGET:
            self._tries = 0
        self._tries += 1
        self._last = now
        beyond = self._tries - self._free
        if beyond > 0 and self._first:
            self._until = now + min(LONGEST_LOCKOUT, self._first * 2.0 ** (beyond - 1))

    def opened(self) -> None:
        """A student was let in: whoever came before need not be remembered."""
        self._tries = 0
