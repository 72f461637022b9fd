"""Patience with wrong PINs: each student's are counted, and outlive the program.

A try is written down before the PIN is compared: who pulls the plug gains no try. Some are free,
each after those costs twice the wait of the one before, and in the end the PIN is of no use any
more until the operator sets another (NIST SP 800-63B-4, 3.2.2: at most 100 in a row).
"""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from kaimen.errors import StorageError
from kaimen.names import as_kept
from kaimen.parsing import read_json
from kaimen.registry.vault import Vault
from kaimen.storage import changing, write_whole

FREE = 3  # wrong PINs in a row before the first wait
FIRST = 30.0  # seconds of it, doubled by each further one
LONGEST = 3600.0  # seconds
MOST = 20  # wrong ones in a row, after which the PIN is locked


@dataclass(slots=True)
class WrongPins:
    """A student's wrong PINs in a row."""

    count: int = 0
    until: float = 0.0  # seconds since the epoch: no PIN is compared before


class PinLockout:
    """The wrong PINs of a school, kept in a file."""

    def __init__(
        self, path: Path | None, vault: Vault, clock: Callable[[], float] = time.time
    ) -> None:
        """Those that are kept at ``path``; kept nowhere without."""
        self._path = path
        self._key = vault.derive("pins")
        self._clock = clock
        self._lock = threading.RLock()
        self._damaged = False
        self._seen: tuple[int, int] | None = None  # which file was read last
        self._wrong: dict[str, WrongPins] = {}
        self._keep_up()

    def wait(self, student: str) -> float:
        """Return for how many seconds no PIN of a student is compared; infinite: locked."""
        with self._lock:
            self._keep_up()
            wrong = self._of(student)
        if wrong.count >= MOST:
            return float("inf")
        # A clock that was set back makes nobody wait longer than the longest wait.
        return min(max(0.0, wrong.until - self._clock()), LONGEST)

    def begin(self, student: str) -> None:
        """Count a try as wrong until it turns out right. Raises StorageError: compare nothing."""
        with self._changing():
            wrong = self._of(student)
            wrong.count += 1
            beyond = wrong.count - FREE
            if beyond > 0:
                wrong.until = self._clock() + min(LONGEST, FIRST * 2.0 ** (beyond - 1))
            self._wrong[self._hash(student)] = wrong

    def forget(self, student: str) -> None:
        """Forget wrong PINs: one was right, or it is another, or the student left. StorageError."""
        with self._lock:
            self._keep_up()
            if self._hash(student) in self._wrong:
                with self._changing():
                    self._wrong.pop(self._hash(student), None)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Change what is kept, and lose no count of another gate, command or thread.

        Raises StorageError.
        """
        with self._lock, nullcontext() if self._path is None else changing(self._path):
            self._seen = None  # a file that looks the same may be another
            self._keep_up()
            yield
            self._keep()

    def _of(self, student: str) -> WrongPins:
        # Of a damaged file nobody knows how many were wrong: only one more is free.
        unknown = FREE - 1 if self._damaged else 0
        return self._wrong.get(self._hash(student), WrongPins(unknown))

    def _hash(self, student: str) -> str:
        return hmac.digest(self._key, as_kept(student).encode(), "sha256").hex()[:32]

    def _keep_up(self) -> None:
        """Take over what another process wrote: a command sets a PIN while a gate asks for it."""
        if self._path is not None and self._seen != _which(self._path):
            self._seen = _which(self._path)
            self._wrong = self._read(self._path)

    def _read(self, path: Path) -> dict[str, WrongPins]:
        try:
            kept = read_json(path.read_bytes())
            found = {
                str(name): WrongPins(int(fields["count"]), float(fields["until"]))
                for name, fields in kept["wrong"].items()
            }
            mac = self._mac(found)
        except FileNotFoundError:
            self._damaged = False
            return {}
        except OSError as error:
            raise StorageError(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            self._damaged = True
            return {}
        self._damaged = not hmac.compare_digest(str(kept.get("mac")).encode(), mac.encode())
        return found

    def _keep(self) -> None:
        if self._path is None:
            return
        kept = {
            "wrong": {name: asdict(each) for name, each in self._wrong.items()},
            "mac": self._mac(self._wrong),
        }
        content = json.dumps(kept).encode()
        write_whole(self._path, content, private=True)
        self._damaged, self._seen = False, _which(self._path)

    def _mac(self, wrong: dict[str, WrongPins]) -> str:
        told = json.dumps({name: asdict(each) for name, each in wrong.items()}, sort_keys=True)
        return hmac.digest(self._key, told.encode(), "sha256").hex()


def _which(path: Path) -> tuple[int, int]:
    """Say which file it is; each is written whole, and is another one."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns
