"""Who may sign in to the desk is sealed, and nobody else reads the file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kaimen.errors import GalleryError
from kaimen.registry.accounts_file import accounts_path, read_accounts, write_accounts
from kaimen.registry.vault import Vault


def test_accounts_are_sealed_in_a_file_of_their_owner(tmp_path: Path) -> None:
    vault, path = Vault(), accounts_path(tmp_path / "gallery.sqlite")
    assert read_accounts(path, vault) is None
    write_accounts(path, vault, b"a password's hash")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"hash" not in path.read_bytes()
    assert read_accounts(path, vault) == b"a password's hash"
    with pytest.raises(GalleryError, match="another key"):
        read_accounts(path, Vault())
