"""Patience with unknown voices: a few tries are free, then each costs a longer wait.

Guessing needs tries. Three are free; after the next one that stays unknown the gate hears nobody
for half a minute, and after each further one for twice as long. Who says who they are is compared
with one student alone and need not wait, and the exit button knows nothing of all this.

The tries outlive the program in a file. Its times are of the clock that no operator and no
network sets, CLOCK_MONOTONIC, which begins anew with each boot: after one, the last wait begins
anew, too.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kaimen.errors import StorageError
from kaimen.parsing import read_json
from kaimen.settings.gate import FREE_TRIES, LOCKOUT, LONGEST_LOCKOUT
from kaimen.storage import write_over

FORGET = 600.0  # seconds without an unknown voice after which all is forgotten
DOUBLED = 20  # times that a wait is doubled, at most
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass
class UnknownVoices:
    """How many voices stayed unknown, the last one when, and until when nobody is heard."""

    count: int = 0
    last: float = -math.inf
    until: float = -math.inf


class Lockout:
    """How long a door hears nobody who does not say who they are."""

    def __init__(
        self,
        *,
        free: int = FREE_TRIES,
        first: float = LOCKOUT,
        tries: UnknownVoices | None = None,
        path: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """With ``first`` zero it never waits. Times are in seconds.

        ``tries`` are those of a lockout before this one; without, those kept at ``path``, where
        they are kept from now on. ``say`` is told once that they cannot be.
        """
        self._free = free
        self._first = first
        self._clock = clock
        self._path = path
        self._say = say
        self._said = False
        self.tries = _kept(path, clock(), free) if tries is None else tries

    @property
    def left(self) -> float:
        """Return how many tries are free now."""
        if not self._first:
            return math.inf
        return self._free if self._forgotten() else max(0, self._free - self.tries.count)

    @property
    def is_calm(self) -> bool:
        """Return whether no unknown voice was heard of late."""
        return not self.tries.count or self._forgotten()

    def wait(self) -> float:
        """Return seconds until the door hears again; 0 while it does."""
        return max(0.0, self.tries.until - self._clock())

    def unknown(self, times: int = 1) -> None:
        """Count voices that nobody knows."""
        tries, now = self.tries, self._clock()
        if self._forgotten():
            tries.count = 0
        tries.count += times
        tries.last = now
        beyond = tries.count - self._free
        if beyond > 0 and self._first:
            doubled = 2.0 ** min(beyond - 1, DOUBLED)
            tries.until = now + min(LONGEST_LOCKOUT, self._first * doubled)
        self._keep()

    def opened(self) -> None:
        """Forget who came before: a student was let in."""
        if self.tries.count:
            self.tries.count = 0
            self._keep(flush=False)  # a power cut may bring the tries back, and lets nobody in

    def _forgotten(self) -> bool:
        return self._clock() - max(self.tries.last, self.tries.until) > FORGET

    def _keep(self, *, flush: bool = True) -> None:
        if self._path is None:
            return
        kept = json.dumps({"boot": _boot(), **asdict(self.tries)}).encode()
        try:
            # One that is torn uses up the free tries.
            write_over(self._path, kept, flush=flush)
            self._said = False
        except StorageError as error:
            if not self._said:
                self._say(f"{error}; a restart would forget who was turned away")
            self._said = True


def _kept(path: Path | None, now: float, free: int) -> UnknownVoices:
    """Return the tries that are kept at a path; all free ones used up where they are damaged."""
    if path is None or not path.exists():
        return UnknownVoices()
    with suppress(OSError, ValueError, TypeError, KeyError, OverflowError):
        kept = read_json(path.read_bytes())
        count, last, until = int(kept["count"]), float(kept["last"]), float(kept["until"])
        wait = max(0.0, until - last)
        if kept["boot"] != _boot() or not last <= now:
            last, until = now, now + wait
        if count >= 0 and wait <= LONGEST_LOCKOUT and not math.isnan(until):
            return UnknownVoices(count, last, until)
    return UnknownVoices(free, now)


def _boot() -> str:
    """Return the name of this boot of the machine; empty where it has none."""
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
