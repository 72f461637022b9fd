"""A file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import pytest

from kaimen.errors import StorageError
from kaimen.storage import clear_temporary, require_folder, write_over, write_whole


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


def test_a_file_that_is_written_over_stays_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.json"
    write_over(path, b"a longer text")
    which = path.stat().st_ino
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", None)  # no name and no size changes: the content is enough
        write_over(path, b"short")
        patched.setattr(os, "fdatasync", None)
        write_over(path, b"shorter", flush=False)
    assert path.read_bytes() == b"shorter".ljust(512) and path.stat().st_ino == which
    write_over(path, b"x" * 600)
    assert path.read_bytes() == b"x" * 600
    write_over(path, b"short")
    assert path.read_bytes() == b"short".ljust(512)


def test_the_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.txt"
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path.exists()))
    write_whole(path, hello)
    assert synced == [False, True]  # the file, then the folder with its name


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o640)])
def test_a_private_file_is_for_its_owner_alone_and_no_thread_meets_another_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: bool, mode: int
) -> None:
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as other_threads:
            other_threads.setattr(os, "umask", lambda mask: pytest.fail(f"umask {mask:o}"))
            write_whole(tmp_path / "b.txt", hello, private=private)
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


def test_what_a_killed_writer_left_is_gone_with_the_next_one(tmp_path: Path) -> None:
    for name in (".b.txt-abcdefgh", ".b.txt-____0000", ".b.txt-short", ".a.txt-abcdefgh"):
        (tmp_path / name).touch()
    (tmp_path / ".b.txt-12345678").mkdir()  # of somebody else
    write_whole(tmp_path / "b.txt", hello)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"b.txt", ".b.txt-short", ".a.txt-abcdefgh", ".b.txt-12345678"}


def test_what_somebody_is_writing_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"

    def write(file: IO[bytes]) -> None:
        clear_temporary(path)
        write_whole(tmp_path / "c.txt", hello)
        clear_temporary(path)
        hello(file)

    write_whole(path, write)
    assert path.read_bytes() == b"hello"


def test_no_folder_is_made_for_what_somebody_names(tmp_path: Path) -> None:
    require_folder(tmp_path / "x")
    require_folder(Path("x"))
    for path in (tmp_path / "no" / "x", tmp_path / "no" / "such" / "x"):
        with pytest.raises(StorageError, match="there is no folder"):
            require_folder(path)
    assert list(tmp_path.iterdir()) == []
