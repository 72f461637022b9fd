"""Bundles that tests are made of."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kaimen.bundle.bundle import MODELS, Manifest, make
from kaimen.bundle.selftest import parts_of, takes_in
from kaimen.bundle.signing import Trusted, new_key, private_key
from kaimen.rehearsal import RECORDINGS
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models

TINY = {name: name.encode() for name in MODELS}  # parts that no runtime loads


def key_in(folder: Path, name: str = "maker") -> Ed25519PrivateKey:
    """A new key whose public half lies in a folder."""
    path = folder / f"{name}.pem"
    new_key(path)
    return private_key(path)


def tiny(folder: Path, **options: Any) -> tuple[Path, Trusted]:
    """A bundle without models, and the folder of keys that trusts it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.kaimen"
    key = key_in(folder)
    make(path, TINY, key, **{"name": "tiny", "version": 3, **options})
    return path, Trusted(folder)


@cache
def second() -> tuple[bytes, bytes]:
    """Another encoder that does what the shipped one does, and its card."""
    network = SHIPPED.read_bytes() + bytes(16)  # no runtime minds what follows
    return network, card_of(network, name="second")


def card_of(network: bytes, **changed: Any) -> bytes:
    """The shipped encoder's card, for another network."""
    card = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
    return json.dumps(
        {**card, "sha256": hashlib.sha256(network).hexdigest(), **changed}
    ).encode()  # fmt: skip


@cache
def parts() -> dict[str, bytes]:
    """The parts of a bundle with the second encoder and all else that ships."""
    shipped = {name: (SHIPPED.parent / name).read_bytes() for name in MODELS}
    tests = parts_of(Models.shipped(Encoder()), takes_in(RECORDINGS))
    network, card = second()
    return {**shipped, "encoder.tflite": network, "encoder.json": card, **tests}


def real(path: Path, key: Ed25519PrivateKey, version: int = 2, **changed: bytes) -> Manifest:
    """Write a bundle of real models; parts are changed by their names, with _ for the dot."""
    named = {name.replace("_", "."): content for name, content in changed.items()}
    return make(path, {**parts(), **named}, key, name="second", version=version)
