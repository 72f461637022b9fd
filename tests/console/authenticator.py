"""An authenticator in software: it answers as a browser with a passkey would, or wrongly."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import bytes_to_base64url as text

PRESENT, VERIFIED, ATTESTED = 1, 4, 64  # flags


@dataclass
class Authenticator:
    """One passkey."""

    origin: str
    host: str
    number: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    owner: str = ""
    counter: int = 0
    flags: int = PRESENT | VERIFIED

    def make(self, asked: dict[str, Any]) -> str:
        """Return the answer to a page that asks for a new passkey."""
        self.owner = asked["user"]["id"]
        where = self.key.public_key().public_numbers()
        public = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: where.x.to_bytes(32, "big"), -3: where.y.to_bytes(32, "big")}
        )
        length = len(self.number).to_bytes(2, "big")
        data = self._data(ATTESTED) + bytes(16) + length + self.number + public
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": text(self._client(asked, "webauthn.create")),
            "attestationObject": text(attestation),
        }
        return self._answer(response)

    def sign(self, asked: dict[str, Any]) -> str:
        """Return the answer to a page where somebody signs in."""
        data, client = self._data(0), self._client(asked, "webauthn.get")
        signed = data + hashlib.sha256(client).digest()
        response = {
            "clientDataJSON": text(client),
            "authenticatorData": text(data),
            "signature": text(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
            "userHandle": self.owner,
        }
        return self._answer(response)

    def _answer(self, response: dict[str, str]) -> str:
        number = text(self.number)
        return json.dumps(
            {"id": number, "rawId": number, "type": "public-key", "response": response}
        )

    def _data(self, more: int) -> bytes:
        host = hashlib.sha256(self.host.encode()).digest()
        return host + bytes([self.flags | more]) + self.counter.to_bytes(4, "big")

    def _client(self, asked: dict[str, Any], kind: str) -> bytes:
        said = {"type": kind, "challenge": asked["challenge"], "origin": self.origin}
        return json.dumps(said).encode()
