"""PINs of students who may enter by a card and a number: hashed, and sealed in the registry.

A PIN has few digits: whoever could try them all would find it. The hash (scrypt, RFC 7914) makes
each try take a moment, and only the key opens the seal around it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from itertools import pairwise

from kaimen.errors import SettingsError
from kaimen.registry.database import Database

DIGITS = re.compile(r"[0-9]{6,12}")
SALT = 16  # bytes
KEPT = SALT + 32  # bytes of salt and hash
LOG_N, R, P = 14, 8, 1  # 16 MiB and about 50 ms on x86


class UnfitPin(SettingsError):
    """A PIN that is too short, or the first to be guessed."""


class Pins:
    """The PINs of a registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has(self, student: int) -> bool:
        """Return whether a student has a PIN."""
        return bool(self._database.read("SELECT 1 FROM pins WHERE student = ?", student))

    def everybody(self) -> set[int]:
        """Return the numbers of students with a PIN."""
        return {number for (number,) in self._database.read("SELECT student FROM pins")}

    def set(self, student: int, pin: str) -> None:
        """Keep a PIN in place of the one before, in a transaction of the caller's or its own.

        Raises UnfitPin and StorageError; nothing was changed then.
        """
        require_fit(pin)
        salt = os.urandom(SALT)
        self.put(student, salt + _hash(pin, salt))

    def kept(self, student: int) -> bytes | None:
        """Return a PIN's salt and hash, KEPT bytes, or None of whom has none. GalleryError."""
        rows = self._database.read("SELECT sealed FROM pins WHERE student = ?", student)
        if not rows:
            return None
        return self._database.vault.unseal(rows[0][0], _context(student))

    def put(self, student: int, kept: bytes | None) -> None:
        """Keep what another registry has, in a transaction of the caller's; None: no PIN."""
        if kept is None:
            self.remove(student)
            return
        sealed = self._database.vault.seal(kept, _context(student))
        with self._database.writing() as database:
            database.execute("INSERT OR REPLACE INTO pins VALUES (?, ?)", (student, sealed))

    def remove(self, student: int) -> None:
        """Forget a PIN. Raises StorageError."""
        with self._database.writing() as database:
            database.execute("DELETE FROM pins WHERE student = ?", (student,))

    def fits(self, student: int, pin: str) -> bool:
        """Return whether it is a student's PIN. Raises GalleryError where that was changed."""
        kept = self.kept(student)
        # Who has none takes as long as who has one.
        compared = bytes(KEPT) if kept is None else kept
        fits = hmac.compare_digest(_hash(pin, compared[:SALT]), compared[SALT:])
        return fits and kept is not None


def require_fit(pin: str) -> None:
    """Raise UnfitPin for a PIN that nobody should have."""
    if not DIGITS.fullmatch(pin):
        raise UnfitPin("a PIN has 6 to 12 digits and nothing else; choose another")
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise UnfitPin(
            "digits that are all the same or count up or down are guessed first; choose another PIN"
        )


def _hash(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        pin.encode(), salt=salt, n=1 << LOG_N, r=R, p=P, maxmem=64 << 20, dklen=32
    )


def _context(student: int) -> str:
    return f"pin of student {student}"
