"""Patience with wrong passwords: some are free, then each costs a longer wait.

They are counted for accounts and addresses, and outlive the program in a file, which knows both by
keyed hashes alone.
"""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kaimen.errors import StorageError
from kaimen.parsing import read_json
from kaimen.storage import write_whole

# Wrong passwords before the first wait: for an account from one address, which locks nobody out
# elsewhere; for an account from anywhere; from an address for any account.
FREE = {"pair": 5, "name": 50, "address": 20}
FIRST = 30.0  # seconds, doubled by each further one
LONGEST = 900.0  # seconds
FORGET = 3600.0  # seconds without another after which they are forgotten
MOST = 2000  # accounts and addresses that are remembered


class Attempts:
    """Counts attempts to sign in; from any thread."""

    def __init__(self, path: Path, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        """The attempts kept at a path; a file that cannot be read has none."""
        self._path, self._key, self._clock = path, key, clock
        self._lock = threading.Lock()
        self._counted: dict[str, tuple[int, float]] = {}  # how many, and the last one when
        with suppress(OSError, ValueError, TypeError, AttributeError):
            kept = read_json(path.read_bytes())
            self._counted = {str(each): (int(n), float(at)) for each, (n, at) in kept.items()}

    def begin(self, name: str, address: str) -> float:
        """Count an attempt as a wrong one; return how many seconds it must wait instead, or 0.

        An attempt that must wait is not counted.
        """
        with self._lock:
            now = self._clock()
            who = self._who(name, address)
            wait = max(self._wait(each, free, now) for each, free in who.items())
            if wait > 0:
                return wait
            for each in who:
                count = 0 if self._is_forgotten(each, now) else self._counted[each][0]
                self._counted[each] = (count + 1, now)
            self._keep(now)
            return 0.0

    def right(self, name: str, address: str) -> None:
        """Take back the attempt of somebody whose password was right, and forget their others."""
        with self._lock:
            pair, named, addressed = self._who(name, address)
            for each in (pair, named):
                self._counted.pop(each, None)
            if addressed in self._counted:
                count, last = self._counted[addressed]
                self._counted[addressed] = (max(0, count - 1), last)
            self._keep(self._clock())

    def _who(self, name: str, address: str) -> dict[str, int]:
        """Return what is counted, and how often it is free."""
        kinds = {"pair": f"{address} {name}", "name": name, "address": address}
        return {self._hashed(kind, it): FREE[kind] for kind, it in kinds.items()}

    def _wait(self, who: str, free: int, now: float) -> float:
        count, last = self._counted.get(who, (0, now))
        if count < free or self._is_forgotten(who, now):
            return 0.0
        wait = min(LONGEST, FIRST * 2.0 ** min(count - free, 10))
        # A clock that was set back makes nobody wait longer than that.
        return min(wait, max(0.0, last + wait - now))

    def _is_forgotten(self, who: str, now: float) -> bool:
        return who not in self._counted or now - self._counted[who][1] > FORGET

    def _hashed(self, kind: str, it: str) -> str:
        return hmac.digest(self._key, f"{kind} {it}".encode(errors="replace"), "sha256").hex()[:24]

    def _keep(self, now: float) -> None:
        there = {each: it for each, it in self._counted.items() if now - it[1] <= FORGET}
        latest = sorted(there, key=lambda each: there[each][1])[-MOST:]
        self._counted = {each: there[each] for each in latest}
        with suppress(StorageError):  # a full disk: they are counted until the program ends
            write_whole(self._path, json.dumps(self._counted).encode(), private=True)
