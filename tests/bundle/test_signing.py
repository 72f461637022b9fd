"""Keys: who signs is known, who is not trusted is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kaimen.bundle.bundle import Bundle
from kaimen.bundle.signing import Trusted, new_key, private_key
from kaimen.errors import BundleError, ForeignBundle
from tests.bundle.made import key_in, tiny


def test_the_private_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "maker.pem"
    assert new_key(path) == tmp_path / "maker.pub"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(BundleError, match="never overwritten"):
        new_key(path)
    path.unlink()
    with pytest.raises(BundleError, match=r"maker\.pub: there already"):
        new_key(path)
    assert b"PRIVATE" in before and b"PRIVATE" not in (tmp_path / "maker.pub").read_bytes()


def test_without_a_trusted_key_it_is_said_what_to_do(tmp_path: Path) -> None:
    path, _ = tiny(tmp_path / "made")
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(ForeignBundle, match=f"no key is trusted yet; copy .* into {folder}"):
            Bundle.open(path, Trusted(folder))


def test_a_foreign_key_is_refused_by_its_name(tmp_path: Path) -> None:
    path, _ = tiny(tmp_path / "made")
    key_in(tmp_path, "another")
    with pytest.raises(ForeignBundle, match=r"signed by the key [0-9a-f]{16}, which is not among"):
        Bundle.open(path, Trusted(tmp_path))


def test_any_of_several_trusted_keys_will_do(tmp_path: Path) -> None:
    path, trusted = tiny(tmp_path)
    key_in(tmp_path, "another")
    assert Bundle.open(path, trusted).manifest.name == "tiny"


@pytest.mark.parametrize("content", [b"", b"\xff", b"-----BEGIN PUBLIC KEY-----\n"])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: bytes) -> None:
    path, trusted = tiny(tmp_path)
    (tmp_path / "odd.pub").write_bytes(content)
    with pytest.raises(BundleError, match=r"odd\.pub: not a public key of bundles"):
        Bundle.open(path, trusted)
    (tmp_path / "odd.pem").write_bytes(content)
    with pytest.raises(BundleError, match="not a private key that signs bundles"):
        private_key(tmp_path / "odd.pem")


def test_a_key_for_something_else_signs_nothing(tmp_path: Path) -> None:
    other = X25519PrivateKey.generate()
    pem = other.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
    )  # fmt: skip
    (tmp_path / "other.pem").write_bytes(pem)
    with pytest.raises(BundleError, match="not a private key that signs"):
        private_key(tmp_path / "other.pem")
    with pytest.raises(BundleError, match=r"cannot be read .* 'kaimen bundle key'"):
        private_key(tmp_path / "missing.pem")
