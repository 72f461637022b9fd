"""What is sealed opens only whole, in its place and under its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import GalleryError
from kaimen.registry.vault import Vault


@given(content=st.binary(max_size=200), context=st.text(max_size=20))
def test_what_was_sealed_is_what_is_opened(content: bytes, context: str) -> None:
    vault = Vault()
    assert vault.unseal(vault.seal(content, context), context) == content


def test_sealing_twice_never_gives_the_same() -> None:
    vault = Vault()
    assert vault.seal(b"voice", "a") != vault.seal(b"voice", "a")


@given(content=st.binary(min_size=1, max_size=64), data=st.data())
def test_every_changed_bit_is_noticed(content: bytes, data: st.DataObject) -> None:
    vault = Vault()
    sealed = bytearray(vault.seal(content, "a"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(GalleryError, match="changed"):
        vault.unseal(bytes(sealed), "a")


def test_nothing_opens_in_another_place_or_under_another_key() -> None:
    vault = Vault()
    sealed = vault.seal(b"voice", "recording 1")
    with pytest.raises(GalleryError, match="recording 2"):
        vault.unseal(sealed, "recording 2")
    with pytest.raises(GalleryError, match="another key"):
        Vault().unseal(sealed, "recording 1")


@pytest.mark.parametrize("found", ["a text in its place", None, 7])
def test_what_a_database_gives_for_bytes_was_changed(found: object) -> None:
    with pytest.raises(GalleryError, match="recording 1: changed"):
        Vault().unseal(found, "recording 1")  # type: ignore[arg-type]


def test_less_than_a_nonce_is_no_content() -> None:
    with pytest.raises(GalleryError, match="changed"):
        Vault().unseal(b"abc", "a")


def test_a_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    vault = Vault()
    vault.save(tmp_path / "folder" / "gallery.key")
    assert (tmp_path / "folder" / "gallery.key").stat().st_mode & 0o777 == 0o600
    loaded = Vault.load(tmp_path / "folder" / "gallery.key")
    assert loaded.identity == vault.identity
    assert loaded.unseal(vault.seal(b"voice", "a"), "a") == b"voice"


def test_every_changed_byte_of_a_key_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "gallery.key"
    Vault().save(path)
    content = path.read_bytes()
    for position in range(len(content)):
        for mask in (0x01, 0x20, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[position] ^= mask
            path.write_bytes(damaged)
            with pytest.raises(GalleryError, match="damaged; restore it"):
                Vault.load(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"kaimen-key-1", b"\xff\xfe", b"a b c\n"])
def test_what_is_no_key_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gallery.key").write_bytes(content)
    with pytest.raises(GalleryError, match="damaged"):
        Vault.load(tmp_path / "gallery.key")


def test_without_a_key_it_is_said_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match=r"restore it from its copy.*enroll everybody again"):
        Vault.load(tmp_path / "gallery.key")
    with pytest.raises(GalleryError, match="cannot be read"):
        Vault.load(tmp_path)


def test_a_key_is_never_shown() -> None:
    vault = Vault(bytes(range(32)))
    assert bytes(range(32)).hex()[:8] not in repr(vault)
    assert vault.identity in repr(vault)


def test_a_key_that_was_renewed_is_read_with_what_it_carries(tmp_path: Path) -> None:
    first = Vault()
    vault = first.renewed().renewed()
    vault.save(tmp_path / "gallery.key")
    loaded = Vault.load(tmp_path / "gallery.key")
    assert loaded.identity == vault.identity != first.identity
    assert (loaded.log_key, loaded.acts_key) == (first.log_key, first.acts_key)
    assert loaded.derive("erased") == first.derive("erased")
    assert loaded.derive("registry") == vault.derive("registry") != first.derive("registry")
