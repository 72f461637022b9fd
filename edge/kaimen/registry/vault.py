"""The key that voiceprints are sealed under, kept apart from them.

AES-256-GCM (NIST SP 800-38D): what is sealed can be neither read nor changed without the key,
and opens only in the context it was sealed for, so that no piece can stand in for another.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kaimen.errors import GalleryError
from kaimen.storage import write_whole

KEY = 32  # bytes
NONCE = 12  # bytes
HEADER = "kaimen-key-1"
RENEWED = "kaimen-key-2"  # the same, with the keys that outlive a renewal
# What must be recognised again after a new key: lines of the log, names of who was removed, whose
# PINs were wrong, and what people did at the console.
CARRIED = ("audit", "erased", "pins", "acts")
FIRST_CARRIED = 3  # of them, that the first release which renewed keys wrote


class Vault:
    """Seals and opens under one key."""

    def __init__(
        self, key: bytes | None = None, carried: Mapping[str, bytes] | None = None
    ) -> None:
        """A vault under ``key`` (32 bytes); under a new one that nobody keeps without.

        ``carried`` are derived keys of an earlier one, by what they are for.
        """
        self._key = secrets.token_bytes(KEY) if key is None else key
        self._carried = dict(carried or {})
        self._cipher = AESGCM(self._key)

    def __repr__(self) -> str:
        return f"Vault({self.identity})"

    @property
    def identity(self) -> str:
        """Return which key it is, and nothing of what it is."""
        return hashlib.sha256(HEADER.encode() + self._key).hexdigest()[:16]

    def derive(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for something else; of no use for anything sealed."""
        if purpose in self._carried:
            return self._carried[purpose]
        return hmac.digest(self._key, f"kaimen {purpose}".encode(), "sha256")

    @property
    def log_key(self) -> bytes:
        """Return the key of the audit log."""
        return self.derive("audit")

    @property
    def acts_key(self) -> bytes:
        """Return the key of the log of what people did at the console."""
        return self.derive("acts")

    def renewed(self) -> Vault:
        """Return a vault under a new key that still recognises the log and who was removed."""
        return Vault(carried={purpose: self.derive(purpose) for purpose in CARRIED})

    def seal(self, content: bytes, context: str) -> bytes:
        """Encrypt; the same ``context`` opens it again."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, content, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Decrypt. Raises GalleryError for what was changed or sealed elsewhere."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], context.encode())
        except (InvalidTag, ValueError, TypeError):  # a database may give a text for bytes
            raise GalleryError(f"{context}: changed, or sealed under another key") from None

    def save(self, path: Path) -> None:
        """Write the key for its owner alone. Raises StorageError."""
        write_whole(path, self._rendered(), private=True)

    @classmethod
    def load(cls, path: Path) -> Vault:
        """Read a key. Raises GalleryError where there is none or it was changed."""
        try:
            written = path.read_bytes()
        except FileNotFoundError:
            raise GalleryError(
                f"{path}: the key is not there; without it voiceprints cannot be read: "
                "restore it from its copy, or enroll everybody again into a new gallery"
            ) from None
        except OSError as error:
            raise GalleryError(f"{path}: the key cannot be read ({error.strerror})") from None
        try:
            _, first, *others = written.decode("ascii").split()[:-1]
            key, *carried = map(bytes.fromhex, (first, *others))
            vault = cls(key, dict(zip(CARRIED, carried, strict=False)))
            whole = len(carried) in (0, FIRST_CARRIED, len(CARRIED)) and {
                len(each) for each in (key, *carried)
            } == {KEY}
        except ValueError:
            whole = False
        if not whole or written != vault._rendered():
            raise GalleryError(f"{path}: the key is damaged; restore it from its copy")
        return vault

    def _rendered(self) -> bytes:
        keys = [self._key, *self._carried.values()]
        check = hashlib.sha256(b"".join(keys)).hexdigest()[:16]
        words = [RENEWED if self._carried else HEADER, *(key.hex() for key in keys), check]
        return f"{' '.join(words)}\n".encode()
