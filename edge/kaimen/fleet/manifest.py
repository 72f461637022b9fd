"""What a desk says of the whole set: so that whoever has one knows whether it is complete."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from kaimen.errors import ForgedMessage
from kaimen.fleet.ledger import BUCKET_NAMES, BUCKETS, SHORT, Ledger
from kaimen.fleet.membership import public_keys
from kaimen.fleet.message import FleetMessage, MessageKind
from kaimen.local_time import now_as_kept
from kaimen.parsing import read_json


@dataclass(frozen=True, slots=True)
class FleetManifest:
    """The set of all entries at one version."""

    version: int
    desk: str
    students: int
    digests: Mapping[str, bytes]  # of buckets
    desks: Mapping[str, str]  # public keys of desks that are believed
    at: str  # when it was written, UTC


def manifest_of(ledger: Ledger, desks: Mapping[str, str]) -> bytes:
    """Return the content of a manifest of a ledger."""
    return json.dumps(
        {
            "students": ledger.students,
            "digests": base64.b64encode(b"".join(ledger.digests.values())).decode(),
            "desks": dict(desks),
            "at": now_as_kept(),
        }
    ).encode()


def read_manifest(message: FleetMessage) -> FleetManifest:
    """Return the manifest that a desk wrote. Raises ForgedMessage."""
    try:
        if message.kind is not MessageKind.MANIFEST:
            raise ValueError
        found = read_json(message.content)
        packed = base64.b64decode(found["digests"], validate=True)
        if len(packed) != BUCKETS * SHORT:
            raise ValueError
        digests = {
            name: packed[at : at + SHORT]
            for name, at in zip(BUCKET_NAMES, range(0, len(packed), SHORT), strict=True)
        }
        public_keys(found["desks"])
        return FleetManifest(
            message.version, message.desk, int(found["students"]), digests,
            dict(found["desks"]), str(found["at"]),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ForgedMessage("no manifest that this Kaimen reads; update it") from None
