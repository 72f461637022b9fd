"""Keys that sign bundles (Ed25519, RFC 8032), and those that a gate trusts.

Whoever makes bundles keeps the private key where no gate is. A gate has public keys only, each a
PEM file of a folder that its operator fills.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kaimen.errors import BundleError, ForeignBundle, ForgedBundle
from kaimen.storage import write_whole

SIGNATURE = 64  # bytes
KEY = 32  # bytes of a public key
PUBLIC = ".pub"


def new_key(path: Path) -> Path:
    """Make a key: the private one at ``path``, for its owner alone; returns the public one's place.

    Raises BundleError where there is one already, and StorageError.
    """
    public = path.with_suffix(PUBLIC)
    for each in (path, public):
        if each.exists() or each.is_symlink():
            raise BundleError(f"{each}: there already; a key is never overwritten, name another")
    key = Ed25519PrivateKey.generate()
    pem, info = form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    private = key.private_bytes(pem, form.PrivateFormat.PKCS8, form.NoEncryption())
    shown = key.public_key().public_bytes(pem, info)
    write_whole(path, private, private=True)
    write_whole(public, shown)
    return public


def private_key(path: Path) -> Ed25519PrivateKey:
    """Read the key that signs. Raises BundleError."""
    try:
        key = form.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise BundleError(
            f"{path}: the private key cannot be read ({error.strerror}); "
            "make one with 'kaimen bundle key'"
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(
            f"{path}: not a private key that signs bundles; make one with 'kaimen bundle key'"
        )
    return key


def shown(key: bytes) -> str:
    """Return what people compare of a public key: the beginning of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:16]


class Trusted:
    """The public keys of a folder, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[bytes, Ed25519PublicKey]:
        """Return keys by their bytes. Raises BundleError for a file that is no public key."""
        found = {}
        try:
            for path in sorted(self.folder.glob(f"*{PUBLIC}")):
                key = form.load_pem_public_key(path.read_bytes())
                if not isinstance(key, Ed25519PublicKey):
                    raise ValueError
                found[key.public_bytes_raw()] = key
        except OSError as error:
            raise BundleError(f"{error.filename}: cannot be read ({error.strerror})") from None
        except (ValueError, UnsupportedAlgorithm):
            raise BundleError(
                f"{path}: not a public key of bundles; take it out of the folder"
            ) from None
        return found

    def verify(self, signer: bytes, signature: bytes, content: bytes, what: Path) -> None:
        """Require that a trusted key signed the content. Raises ForeignBundle and ForgedBundle."""
        keys = self.read()
        if not keys:
            raise ForeignBundle(
                f"{what}: no key is trusted yet; copy the public key of whoever makes your bundles "
                f"into {self.folder}"
            )
        if signer not in keys:
            raise ForeignBundle(
                f"{what}: signed by the key {shown(signer)}, which is not among those in "
                f"{self.folder}; if you trust its maker, copy their public key there"
            )
        try:
            keys[signer].verify(signature, content)
        except InvalidSignature:
            raise ForgedBundle(
                f"{what}: not what was signed, by chance or by somebody; fetch it again from its "
                "maker"
            ) from None
