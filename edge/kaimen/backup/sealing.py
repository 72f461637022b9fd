"""A stream that only its passphrase opens, and only as it was written.

``magic, scrypt's log2(n), r, p, salt``, then chunks under AES-256-GCM (NIST SP 800-38D). A chunk's
nonce is its place in the file and whether it is the last: the STREAM construction (Hoang,
Reyhanitabar, Rogaway, Vizár, CRYPTO 2015). So a chunk that was changed, swapped, repeated or cut
off is found when it is its turn. The key is of this file alone, since its salt is.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kaimen.errors import GalleryError

MAGIC = b"kaimen-backup-1\n"
HEAD = struct.Struct(">16sBBB16s")
CHUNK = 1 << 16  # bytes before they are sealed
TAG = 16  # bytes that sealing adds
PLACE = 11  # bytes of a nonce; the twelfth says whether the chunk is the last
MOST_MEMORY = 256 << 20  # bytes: no file makes whoever opens it take more
MOST_WORK = 512 << 20  # bytes gone through: four times what is written today


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess of a passphrase takes, by scrypt (RFC 7914)."""

    log_n: int = 16
    r: int = 8
    p: int = 2  # with these 64 MB twice, as OWASP advises: a third of a second on x86

    @property
    def memory(self) -> int:
        """Return bytes."""
        return (128 * self.r) << self.log_n

    def key(self, passphrase: bytes, salt: bytes) -> bytes:
        """Return 32 bytes. Raises GalleryError for a cost that nobody writes."""
        known = 1 <= self.log_n <= 30 and 1 <= self.r <= 64 and 1 <= self.p <= 16
        if not known or self.log_n >= 16 * self.r:  # RFC 7914, 2: n is less than 2^(128 r / 8)
            raise GalleryError("not a backup that this Kaimen reads")
        if self.memory > MOST_MEMORY or self.memory * self.p > MOST_WORK:
            raise GalleryError(
                "a backup that takes too much memory or time to open; no Kaimen wrote it"
            )
        return hashlib.scrypt(
            passphrase, salt=salt, n=1 << self.log_n, r=self.r, p=self.p,
            maxmem=self.memory + (128 * self.r * (self.p + 2)) + (1 << 20), dklen=32,
        )  # fmt: skip


COST = Cost()  # of backups that are written; each file says what its own is


class Sealer:
    """Writes a stream; ``finish`` ends it, and without it nobody opens it."""

    def __init__(self, file: IO[bytes], passphrase: bytes) -> None:
        """Write the head into ``file``."""
        salt = os.urandom(16)
        self._file = file
        self._head = HEAD.pack(MAGIC, COST.log_n, COST.r, COST.p, salt)
        self._cipher = AESGCM(COST.key(passphrase, salt))
        self._waiting = bytearray()
        self._place = 0
        file.write(self._head)

    def write(self, content: bytes) -> int:
        """Take over any number of bytes."""
        self._waiting += content
        while len(self._waiting) > CHUNK:  # the last chunk is known only by nothing following
            self._write(last=False)
        return len(content)

    def finish(self) -> None:
        """Write what waits as the last chunk."""
        self._write(last=True)

    def _write(self, *, last: bool) -> None:
        nonce = _nonce(self._place, last=last)
        self._file.write(self._cipher.encrypt(nonce, bytes(self._waiting[:CHUNK]), self._head))
        del self._waiting[:CHUNK]
        self._place += 1


class Opener:
    """Reads a stream; every byte it gives out was sealed at that place."""

    def __init__(self, file: IO[bytes], passphrase: bytes) -> None:
        """Read the head. Raises GalleryError for what is no backup."""
        self._file = file
        self._head = file.read(HEAD.size)
        if len(self._head) < HEAD.size or not self._head.startswith(MAGIC):
            raise GalleryError("not a backup of this Kaimen")
        _, log_n, r, p, salt = HEAD.unpack(self._head)
        self._cipher = AESGCM(Cost(log_n, r, p).key(passphrase, salt))
        self._following = file.read(CHUNK + TAG)
        self._open = b""
        self._place = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes; none at the end. Raises GalleryError for what was changed."""
        while not self._open and not self._ended:
            self._next()
        given, self._open = self._open[:size], self._open[size:]
        return given

    def _next(self) -> None:
        sealed, self._following = self._following, self._file.read(CHUNK + TAG)
        self._ended = not self._following
        try:
            nonce = _nonce(self._place, last=self._ended)
            self._open = self._cipher.decrypt(nonce, sealed, self._head)
        except (InvalidTag, ValueError):
            raise GalleryError(
                "cut off, or changed since it was written; take another backup"
                if self._place
                else "another passphrase than it was made with, or it was changed since"
            ) from None
        self._place += 1


def _nonce(place: int, *, last: bool) -> bytes:
    return place.to_bytes(PLACE, "big") + bytes([last])
