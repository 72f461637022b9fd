"""What a machine of a fleet is, and the keys that it has: in one file, for its owner alone.

All have the fleet's key, which opens what desks say. A desk has a key of its own that signs, and
the desks' secret, of which every gate's own key is derived; a gate has only that one key. So a
gate can enroll nobody, and reads no other gate's events.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kaimen.errors import FleetError, SettingsError
from kaimen.fleet.message import MessageKind, desk_of, seal
from kaimen.fleet.topics import GATE, LENGTH, Topics
from kaimen.names import as_kept
from kaimen.parsing import read_json
from kaimen.storage import write_whole

FILE = "membership.json"
TLS_PORT = 8883
DESK, GATE_ROLE = "desk", "gate"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a fleet's broker is, and as whom a machine speaks to it."""

    host: str
    port: int = TLS_PORT
    user: str = ""
    password: str = field(default="", repr=False)
    authority: str = ""  # the certificate that signed the broker's, PEM; empty: without TLS


@dataclass(frozen=True)
class Membership:
    """A machine's place in a fleet."""

    fleet: str  # drawn when the fleet was made
    role: str
    name: str
    broker: Broker
    key: str = field(repr=False)  # the fleet's, 32 bytes in hexadecimal digits
    secret: str = field(repr=False)  # a gate's own key; of a desk, what those are derived of
    desks: Mapping[str, str]  # public keys in hexadecimal digits, by what desks are called
    signing: str = field(default="", repr=False)  # a desk's private key
    tags: tuple[str, ...] = ()
    since: int = 0  # the version of the set when it was invited: no older one is the latest

    @property
    def is_desk(self) -> bool:
        """Return whether it may say who is a student."""
        return self.role == DESK

    @cached_property
    def topics(self) -> Topics:
        """Return the fleet's topics."""
        return Topics(self.fleet)

    @cached_property
    def message_key(self) -> bytes:
        """Return the key under which desks seal what they say."""
        return self._derived("messages")

    @cached_property
    def content_key(self) -> bytes:
        """Return the key of hashes that tell whether a student's record changed."""
        return self._derived("content")

    @cached_property
    def _topic_key(self) -> bytes:
        return self._derived("topics")

    @cached_property
    def signing_key(self) -> Ed25519PrivateKey:
        """Return a desk's key. Raises FleetError at a gate."""
        if not self.signing:
            raise FleetError(f"{self.name} is a gate of the fleet; do this at a desk")
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.signing))

    @cached_property
    def desk(self) -> str:
        """Return what this desk is called in messages. Raises FleetError at a gate."""
        return desk_of(self.signing_key.public_key())

    @cached_property
    def desk_keys(self) -> dict[str, Ed25519PublicKey]:
        """Return the keys of desks that are believed."""
        return public_keys(self.desks)

    def pseudonym(self, student: str) -> str:
        """Return what a student is called in topics."""
        name = as_kept(student).encode()
        return hmac.digest(self._topic_key, name, "sha256").hex()[:LENGTH]

    def seal(self, topic: str, kind: MessageKind, version: int, content: bytes) -> bytes:
        """Return a message of this desk for a topic. Raises FleetError at a gate."""
        return seal(topic, kind, version, content, self.message_key, self.signing_key)

    def gate_key(self, gate: str) -> bytes:
        """Return the key of a gate's own, at a desk, or of this gate."""
        if not self.is_desk:
            return bytes.fromhex(self.secret)
        return hmac.digest(bytes.fromhex(self.secret), f"gate {gate}".encode(), "sha256")

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(bytes.fromhex(self.key), f"kaimen fleet {purpose}".encode(), "sha256")

    @classmethod
    def create(cls, name: str, broker: Broker) -> Membership:
        """Return the first desk of a new fleet. Raises SettingsError."""
        signing, desks = _new_desk()
        return cls(
            fleet=secrets.token_hex(8),
            role=DESK,
            name=named(name),
            broker=broker,
            key=secrets.token_hex(32),
            secret=secrets.token_hex(32),
            desks=desks,
            signing=signing,
        )

    def invited(self, name: str, role: str, broker: Broker, tags: tuple[str, ...]) -> Membership:
        """Return the place of a new machine in this desk's fleet. Raises SettingsError."""
        signing, new = _new_desk() if role == DESK else ("", {})
        return replace(
            self,
            role=role,
            name=named(name),
            broker=broker,
            secret=self.secret if role == DESK else self.gate_key(name).hex(),
            desks={**self.desks, **new},
            signing=signing,
            tags=tuple(map(named, tags)),
        )

    def rendered(self) -> bytes:
        """Return it as it is written."""
        return json.dumps(asdict(self), indent=1).encode()

    def save(self, folder: Path) -> None:
        """Write it for its owner alone. Raises StorageError."""
        write_whole(folder / FILE, self.rendered(), private=True)

    @classmethod
    def parse(cls, written: bytes, where: str) -> Membership:
        """Return what was written. Raises FleetError."""
        try:
            fields: dict[str, Any] = read_json(written)
            fields["broker"] = Broker(**fields["broker"])
            fields["tags"] = tuple(map(named, fields["tags"]))
            found = cls(**fields)
            named(found.name)
            keys = [found.key, found.secret, *found.desks.values()]
            whole = all(len(bytes.fromhex(key)) == 32 for key in keys) and bool(found.desk_keys)
            if whole and found.is_desk:
                whole = found.desk in found.desks
            if whole and found.role in (DESK, GATE_ROLE):
                return found
        except (ValueError, TypeError, KeyError, AttributeError, FleetError):
            pass  # the last of a desk without its key
        raise FleetError(f"{where}: damaged; join the fleet again with 'kaimen fleet join'")

    @classmethod
    def load(cls, folder: Path) -> Membership:
        """Read it. Raises FleetError with what to do where this machine is in no fleet."""
        path = folder / FILE
        try:
            return cls.parse(path.read_bytes(), str(path))
        except FileNotFoundError:
            raise FleetError(
                f"{path}: this machine is in no fleet; make one with 'kaimen fleet create', or "
                "join one with 'kaimen fleet join'"
            ) from None
        except OSError as error:
            raise FleetError(f"{path}: cannot be read ({error.strerror}); check it") from None


def named(name: str) -> str:
    """Return the name of a gate, a desk or a tag. Raises SettingsError."""
    if not GATE.fullmatch(name):
        raise SettingsError(
            f"{name!r:.40} is no name for a machine or a tag: write small letters, digits and "
            "hyphens, at most 31"
        )
    return name


def _new_desk() -> tuple[str, dict[str, str]]:
    """Return a private key, and its public key by what the desk is called, in digits."""
    signing = Ed25519PrivateKey.generate()
    public = signing.public_key()
    return signing.private_bytes_raw().hex(), {desk_of(public): public.public_bytes_raw().hex()}


def public_keys(desks: Mapping[str, str]) -> dict[str, Ed25519PublicKey]:
    """Return keys from hexadecimal digits. Raises ValueError where a desk is called otherwise."""
    found = {}
    for desk, digits in desks.items():
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(digits))
        if desk_of(key) != desk:
            raise ValueError(desk)
        found[desk] = key
    return found
