"""Challenges that a passkey is to sign: each for one browser, one place, one answer."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from kaimen.console.origin import Origin

MOST = 1000  # challenges at a time
LIVES = 300.0  # seconds that somebody has to answer


@dataclass(frozen=True, slots=True)
class PasskeyChallenge:
    """What is to be signed, and what the answer is for."""

    content: bytes
    origin: Origin
    began: float  # seconds of the clock
    name: str = ""  # the account that is to have a new passkey; empty: somebody signs in
    label: str = ""  # what that passkey is to be called
    owner: str = ""  # the user handle it is made for


class PasskeyChallenges:
    """Challenges by the cookie of who asked; a new one takes the place of the one before."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._given: dict[str, PasskeyChallenge] = {}

    def give(
        self, cookie: str, origin: Origin, *, name: str = "", label: str = "", owner: str = ""
    ) -> PasskeyChallenge:
        """Return a new challenge of 32 random bytes for who has a cookie."""
        challenge = PasskeyChallenge(
            secrets.token_bytes(32), origin, self._clock(), name=name, label=label, owner=owner
        )
        with self._lock:
            self._given.pop(cookie, None)
            while len(self._given) >= MOST:  # the oldest is the first
                del self._given[next(iter(self._given))]
            self._given[cookie] = challenge
        return challenge

    def take(self, cookie: str, origin: Origin, *, name: str = "") -> PasskeyChallenge | None:
        """Return the challenge of a cookie, once; None where it was of another use or is old."""
        with self._lock:
            found = self._given.pop(cookie, None)
        if found is None or self._clock() - found.began > LIVES:
            return None
        return found if (found.origin, found.name) == (origin, name) else None
