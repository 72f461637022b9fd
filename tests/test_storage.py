"""A file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import pytest

from kaimen.errors import StorageError
from kaimen.storage import write_whole


def hello(file: IO[bytes]) -> None:
    file.write(b"hello")


def test_what_is_written_is_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b.txt", hello)
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"hello"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"a longer text that was there before")
    write_whole(tmp_path / "b.txt", hello)
    assert (tmp_path / "b.txt").read_bytes() == b"hello"


def test_the_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.txt"
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path.exists()))
    write_whole(path, hello)
    assert synced == [False, True]  # the file, then the folder with its name


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o640)])
def test_a_private_file_is_for_its_owner_alone(tmp_path: Path, private: bool, mode: int) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "b.txt", hello, private=private)
        assert os.umask(0o027) == 0o027  # left as it was
    finally:
        os.umask(before)
    assert (tmp_path / "b.txt").stat().st_mode & 0o777 == mode


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_bytes(b"old")

    def half(file: IO[bytes]) -> None:
        file.write(b"ne")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(path, half)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a file")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        write_whole(tmp_path / "a" / "b.txt", hello)
    assert caught.value.exit_code == 6
    assert str(caught.value).startswith(f"{tmp_path / 'a' / 'b.txt'}: ")
