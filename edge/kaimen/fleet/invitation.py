"""A machine's place in a fleet as a file that only its passphrase opens."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kaimen.backup.sealing import COST
from kaimen.errors import FleetError
from kaimen.fleet.membership import Membership
from kaimen.storage import write_whole

MAGIC = b"kaimen-invitation-1\n"
HEAD = struct.Struct(f">{len(MAGIC)}s16s12s")  # magic, salt, nonce
LONGEST = 1 << 20  # bytes


def write_invitation(path: Path, membership: Membership, passphrase: bytes) -> None:
    """Write an invitation for whoever knows the passphrase. Raises StorageError."""
    salt, nonce = os.urandom(16), os.urandom(12)
    head = HEAD.pack(MAGIC, salt, nonce)
    cipher = AESGCM(COST.key(passphrase, salt))
    sealed = cipher.encrypt(nonce, membership.rendered(), head)
    write_whole(path, head + sealed, private=True)


def read_invitation(path: Path, passphrase: bytes) -> Membership:
    """Open an invitation. Raises FleetError with what to do."""
    try:
        with path.open("rb") as file:
            written = file.read(LONGEST)
    except OSError as error:
        raise FleetError(
            f"{path}: cannot be read ({error.strerror}); name the file that 'kaimen fleet invite' "
            "wrote"
        ) from None
    head, sealed = written[: HEAD.size], written[HEAD.size :]
    if len(head) < HEAD.size or not head.startswith(MAGIC):
        raise FleetError(f"{path}: not an invitation; make one with 'kaimen fleet invite'")
    _, salt, nonce = HEAD.unpack(head)
    try:
        content = AESGCM(COST.key(passphrase, salt)).decrypt(nonce, sealed, head)
    except InvalidTag:
        raise FleetError(
            f"{path}: another passphrase than it was made with, or it was changed since; type it "
            "again, or have a new one made"
        ) from None
    return Membership.parse(content, str(path))
