"""What desks say: sealed under the fleet's key, then signed by the desk, for one topic alone.

``magic, kind, version, desk, nonce, ciphertext, signature``. AES-256-GCM (NIST SP 800-38D) takes
the topic and the head along; Ed25519 (RFC 8032) signs topic, head and ciphertext. So nobody without
a desk's key makes one, and none is of use under another topic. Gates have no such key: what they
say is sealed under a key of their own, which they share with the desks.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kaimen.errors import ForeignMessage, ForgedMessage, TruncatedMessage

MAGIC = b"KF1"
HEAD = struct.Struct(">3scQ8s12s")  # magic, kind, version, desk, nonce
SIGNATURE = 64  # bytes
NONCE = 12  # bytes
TAG = 16  # bytes
LONGEST = 64 << 20  # bytes of a message: a bundle is the longest


class MessageKind(Enum):
    """What a desk can say."""

    STUDENT = b"S"
    REMOVED = b"R"
    MANIFEST = b"M"
    ORDER = b"O"
    RECEIPT = b"E"  # of events
    CONTENT = b"C"  # a bundle, or settings


@dataclass(frozen=True, slots=True)
class FleetMessage:
    """What a desk said."""

    kind: MessageKind
    version: int
    desk: str
    content: bytes


def desk_of(key: Ed25519PublicKey) -> str:
    """Return what a desk is called in messages: 16 hexadecimal digits of its key's SHA-256."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def seal(
    topic: str, kind: MessageKind, version: int, content: bytes, key: bytes, desk: Ed25519PrivateKey
) -> bytes:
    """Return a message of a desk for a topic; ``key``: the fleet's, 32 bytes."""
    name = bytes.fromhex(desk_of(desk.public_key()))
    head = HEAD.pack(MAGIC, kind.value, version, name, os.urandom(NONCE))
    sealed = AESGCM(key).encrypt(head[-NONCE:], content, topic.encode() + head)
    return head + sealed + desk.sign(_signed(topic, head, sealed))


def head_of(payload: bytes) -> tuple[MessageKind, int, str]:
    """Return the kind, the version and the desk that a message claims to be of.

    Nobody vouches for them before it is opened. Raises TruncatedMessage and ForgedMessage.
    """
    if len(payload) < HEAD.size + TAG + SIGNATURE:
        raise TruncatedMessage("cut off: too short for a message of the fleet")
    magic, kind, version, desk, _ = HEAD.unpack_from(payload)
    try:
        found = MessageKind(kind)
    except ValueError:
        found = None
    if magic != MAGIC or found is None:
        raise ForgedMessage("not a message of this fleet, or of a newer Kaimen; update this one")
    return found, version, desk.hex()


def open_message(
    topic: str, payload: bytes, key: bytes, desks: Mapping[str, Ed25519PublicKey]
) -> FleetMessage:
    """Open a message of one of the desks. Raises MessageError of every kind."""
    kind, version, desk = head_of(payload)
    if desk not in desks:
        raise ForeignMessage(f"signed by the desk {desk}, which is not one of this fleet's")
    head, sealed = payload[: HEAD.size], payload[HEAD.size : -SIGNATURE]
    try:
        desks[desk].verify(payload[-SIGNATURE:], _signed(topic, head, sealed))
        content = AESGCM(key).decrypt(head[-NONCE:], sealed, topic.encode() + head)
    except InvalidSignature:
        raise ForgedMessage("not what the desk signed for this topic: cut off or changed") from None
    except InvalidTag:
        raise ForgedMessage("sealed under another fleet's key") from None
    return FleetMessage(kind, version, desk, content)


def _signed(topic: str, head: bytes, sealed: bytes) -> bytes:
    return b"kaimen fleet\0" + topic.encode() + b"\0" + head + sealed


def seal_report(topic: str, content: bytes, key: bytes) -> bytes:
    """Return what a gate says under its own key."""
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, content, topic.encode())


def open_report(topic: str, payload: bytes, key: bytes) -> bytes:
    """Open what a gate said. Raises TruncatedMessage and ForgedMessage."""
    if len(payload) < NONCE + TAG:
        raise TruncatedMessage("cut off: too short for a report of a gate")
    try:
        return AESGCM(key).decrypt(payload[:NONCE], payload[NONCE:], topic.encode())
    except InvalidTag:
        raise ForgedMessage("not what this gate sealed for this topic") from None
