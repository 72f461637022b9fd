"""A certificate that a student was erased, signed by the school, checked by anybody.

It is a JSON file. What is signed (Ed25519, RFC 8032) names no student: it holds a commitment, which
an **opening** shows to be of one name. The copy for the student has the opening; the one that the
school keeps has not, and tells nobody who was erased.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kaimen.errors import CertificateError
from kaimen.names import as_kept
from kaimen.parsing import read_json
from kaimen.registry.vault import Vault
from kaimen.storage import write_whole

FORMAT = "kaimen-erasure-1"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a school says of one erasure."""

    identity: str
    subject: str  # commitment to the student's name
    began: str  # UTC
    finished: str  # UTC
    erased: dict[str, int]  # how many of what
    digests: list[str]  # SHA-256 of each sealed piece as it was stored; backups hold the same
    log_end: str  # of the audit log when it was signed: a line's number and hash
    registry: str  # which registry, and how often it was written by then
    backups: list[dict[str, str]]  # that were taken before, and still hold what was erased
    software: str
    format: str = FORMAT

    def rendered(self) -> bytes:
        """Return the bytes that are signed: JSON with sorted names and no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed statement."""

    statement: Statement
    key: str  # the public one, hexadecimal
    signature: str
    opening: str = ""  # hexadecimal; empty: it does not say whose it is

    @classmethod
    def sign(cls, statement: Statement, vault: Vault) -> Certificate:
        """Sign by the school's key of today."""
        key = _signing_key(vault)
        return cls(statement, public_key(vault), key.sign(statement.rendered()).hex())

    @classmethod
    def read(cls, path: Path) -> Certificate:
        """Read one that may still be forged. Raises CertificateError."""
        try:
            content = read_json(path.read_bytes())
            found = cls(Statement(**content.pop("certificate")), **content)
            if found.statement.format != FORMAT:
                raise ValueError
        except OSError as error:
            raise CertificateError(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CertificateError(
                f"{path}: not a certificate of 'kaimen erase'; ask the school for the file itself"
            ) from None
        return found

    def rendered(self) -> bytes:
        """Return its file's content."""
        fields = {"key": self.key, "signature": self.signature}
        if self.opening:
            fields["opening"] = self.opening
        content = {"certificate": asdict(self.statement), **fields}
        return f"{json.dumps(content, indent=1)}\n".encode()

    def save(self, path: Path) -> None:
        """Write it in one step. Raises StorageError."""
        write_whole(path, self.rendered(), private=True)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of what was signed."""
        return hashlib.sha256(self.statement.rendered()).hexdigest()

    def opened(self, vault: Vault) -> Certificate:
        """Return the same with its opening: the copy for the student."""
        return replace(self, opening=opening_of(vault, self.statement.identity))

    def verify(self, public: str) -> None:
        """Require that the school of a public key signed exactly this. Raises CertificateError."""
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
            signature = bytes.fromhex(self.signature)
        except (ValueError, TypeError):
            raise CertificateError(
                "the public key or the signature is no Ed25519 one; ask the school for what "
                "'kaimen erase --public-key' prints"
            ) from None
        try:
            key.verify(signature, self.statement.rendered())
        except InvalidSignature:
            raise CertificateError(
                "not signed by this key, or changed since; ask the school for the key of the day "
                "it was signed"
            ) from None

    def is_of(self, student: str, opening: str = "") -> bool:
        """Return whether it is of a student, by its own opening or by one that is given."""
        try:
            secret = bytes.fromhex(opening or self.opening)
        except ValueError:
            return False
        return bool(secret) and hmac.compare_digest(
            self.statement.subject.encode(), commitment(secret, student).encode()
        )


def public_key(vault: Vault) -> str:
    """Return the public key that a school's certificates of today are checked by, hexadecimal."""
    return _signing_key(vault).public_key().public_bytes_raw().hex()


def opening_of(vault: Vault, identity: str) -> str:
    """Return the opening of a certificate that was signed under this key, hexadecimal."""
    return vault.derive(f"opening of certificate {identity}").hex()


def commitment(opening: bytes, student: str) -> str:
    """Return what stands for a student in a certificate."""
    return hmac.digest(opening, as_kept(student).encode(), "sha256").hex()


def parse_public_key(given: str) -> str:
    """Return a public key from its digits, or from a file that holds them. CertificateError."""
    text = given
    if Path(given).is_file():
        text = Path(given).read_text(encoding="ascii", errors="replace")
    text = text.strip().lower()
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise CertificateError(
            f"{given[:80]}: not a public key; give the 64 digits that 'kaimen erase --public-key' "
            "prints, or a file with them"
        )
    return text


def _signing_key(vault: Vault) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(vault.derive("certificates"))


def fields_of(certificate: Certificate) -> dict[str, Any]:
    """Return what a program is told of one."""
    statement = certificate.statement
    return {
        "certificate": statement.identity,
        "began": statement.began,
        "finished": statement.finished,
        "erased": statement.erased,
        "backups": statement.backups,
        "key": certificate.key,
    }
