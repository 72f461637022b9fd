"""Who has signed in, kept here and not in the browser: a cookie holds nothing but a number."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kaimen.console.accounts import Account

MOST = 1000  # sessions at a time


@dataclass(slots=True)
class SignIn:
    """Somebody's exchange, from signing in to signing out."""

    account: Account  # as it was then: whoever changes it signs it out
    began: float  # seconds of the clock
    seen: float
    proxied: bool = False  # signed in by a proxy, which must go on saying so
    passkey: str = ""  # the number of the passkey that signed in; it ends with that
    said: list[str] = field(default_factory=list)  # to be shown on the next page

    @property
    def name(self) -> str:
        """Return the account's name."""
        return self.account.name


class Sessions:
    """Sessions by their number; they end by themselves."""

    def __init__(
        self, *, idle: float, longest: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``idle`` and ``longest``: seconds after the last exchange, and after signing in."""
        self._idle, self._longest, self._clock = idle, longest, clock
        self._secret = secrets.token_bytes(32)
        self._sessions: dict[str, SignIn] = {}
        self._lock = threading.Lock()

    def begin(self, account: Account, *, proxied: bool = False, passkey: str = "") -> str:
        """Begin a session of an account; returns its number, a secret."""
        number, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            self._sessions = {each: it for each, it in self._sessions.items() if self._lives(it)}
            if len(self._sessions) >= MOST:  # whoever was seen last stays
                oldest = min(self._sessions, key=lambda each: self._sessions[each].seen)
                del self._sessions[oldest]
            self._sessions[number] = SignIn(account, now, now, proxied, passkey)
        return number

    def get(self, number: str, *, visit: bool = True) -> SignIn | None:
        """Return the session of a number; ``visit`` says that somebody is there."""
        with self._lock:
            session = self._sessions.get(number)
            if session is None or not self._lives(session):
                self._sessions.pop(number, None)
                return None
            if visit:
                session.seen = self._clock()
            return session

    def end(self, number: str) -> None:
        """End one session."""
        with self._lock:
            self._sessions.pop(number, None)

    def token(self, cookie: str) -> str:
        """Return what every form carries: only a page of ours can know it (HMAC-SHA256)."""
        return hmac.digest(self._secret, cookie.encode(), "sha256").hex()

    def is_token(self, given: str, cookie: str) -> bool:
        """Return whether a form's token belongs to the cookie that came with it."""
        return hmac.compare_digest(given.encode(), self.token(cookie).encode())

    def _lives(self, session: SignIn) -> bool:
        now = self._clock()
        return now - session.seen < self._idle and now - session.began < self._longest
