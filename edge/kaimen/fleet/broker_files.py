"""What Mosquitto needs to be a fleet's broker: its settings, certificates, users and their rights.

Any other broker of MQTT 5 will do with the same rights. The folder belongs on the broker's
machine, and the authority's key nowhere but with the first desk.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kaimen.fleet.topics import Topics
from kaimen.storage import write_whole

YEARS = datetime.timedelta(days=3650)
HASHED = 101  # rounds, as mosquitto_passwd writes
CONFIGURATION = """# Mosquitto as the broker of a fleet of gates: mosquitto -c mosquitto.conf
per_listener_settings false
listener {port}
certfile {folder}/server.crt
keyfile {folder}/server.key
tls_version tlsv1.2
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/rights
# What is retained is kept over a restart; what a crash loses, desks publish again.
persistence true
persistence_location {folder}/
autosave_interval 60
# A gate asks for few students at a time, so that none is dropped from its queue.
max_queued_messages 5000
max_inflight_messages 100
message_size_limit 67108864
"""


def write_broker(folder: Path, host: str, port: int) -> str:
    """Write a broker's files; return its authority's certificate, PEM. Raises StorageError."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("Kaimen fleet", authority_key, None, None)
    server = _certificate(host, server_key, authority, authority_key)
    written = authority.public_bytes(form.Encoding.PEM)
    settings = CONFIGURATION.format(folder=folder.absolute(), port=port)
    _write(folder / "authority.key", _pem(authority_key))
    _write(folder / "server.key", _pem(server_key))
    _write(folder / "authority.crt", written, private=False)
    _write(folder / "server.crt", server.public_bytes(form.Encoding.PEM), private=False)
    _write(folder / "mosquitto.conf", settings.encode(), private=False)
    _write(folder / "passwords", b"")
    _write(folder / "rights", b"")
    return written.decode()


def allow(folder: Path, user: str, password: str, topics: Topics, *, desk: bool) -> None:
    """Let a machine in with a password, to what it needs and no more. Raises StorageError.

    A machine of the same name is let in no more by its earlier password.
    """
    passwords, others = _without(folder, user)
    _write(folder / "passwords", f"{passwords}{user}:{hashed(password)}\n".encode())
    _write(folder / "rights", (others + rights(user, topics, desk)).encode())


def withdraw(folder: Path, user: str) -> bool:
    """Let a machine in no more; return whether it was. Raises StorageError."""
    passwords, others = _without(folder, user)
    there = passwords != _read(folder / "passwords")
    _write(folder / "passwords", passwords.encode())
    _write(folder / "rights", others.encode())
    return there


def rights(user: str, topics: Topics, desk: bool) -> str:
    """Return a user's lines of Mosquitto's list of rights."""
    root = topics.root
    if desk:
        allowed = [f"readwrite {root}/#"]
    else:
        own = f"{root}/gates/{user}"
        allowed = [
            *(f"read {root}/{each}/#" for each in ("students", "manifest", "content")),
            *(f"read {own}/{each}" for each in ("order", "receipt")),
            *(f"write {own}/{each}" for each in ("status", "online", "events")),
        ]
    return f"user {user}\n" + "".join(f"topic {each}\n" for each in allowed) + "\n"


def hashed(password: str) -> str:
    """Return a password as mosquitto_passwd writes it: PBKDF2 with SHA-512."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, HASHED)
    return f"$7${HASHED}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _without(folder: Path, user: str) -> tuple[str, str]:
    """Return the passwords and the rights of everybody but a user, as they are written."""
    lines = _read(folder / "passwords").splitlines(keepends=True)
    sections = _read(folder / "rights").split("\n\n")
    kept = [each for each in sections if each.strip() and not each.startswith(f"user {user}\n")]
    return (
        "".join(line for line in lines if not line.startswith(f"{user}:")),
        "".join(f"{each.strip()}\n\n" for each in kept),
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write(path: Path, content: bytes, *, private: bool = True) -> None:
    write_whole(path, content, private=private)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey | None,
) -> x509.Certificate:
    """Return a certificate: an authority's own without an issuer, else a server's."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))  # a Pi's clock may be late
        .not_valid_after(now + YEARS)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(name)]), critical=False
        )
    return builder.sign(key if issuer_key is None else issuer_key, hashes.SHA256())


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
