"""Many may be in a school, or one alone; who ends has left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kaimen.errors import StorageError
from kaimen.registry import lock
from kaimen.registry.lock import InUse, Lock, alone


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATIENCE", "PAUSE"):
        monkeypatch.setattr(lock, name, 0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "gallery.sqlite"


def test_many_may_be_in_a_school_and_nobody_is_alone_then(path: Path) -> None:
    one, other = Lock(path), Lock(path)
    assert path.with_name("gallery.lock").stat().st_mode & 0o777 == 0o600
    for each in (one, other):
        with pytest.raises(InUse, match=r"gallery\.sqlite: in use; stop the gate"), alone(path):
            raise AssertionError
        each.leave()
    with alone(path):
        pass


def test_while_somebody_is_alone_nobody_comes_in(path: Path) -> None:
    with alone(path):
        with pytest.raises(StorageError, match="a backup is being restored there"):
            Lock(path)
        with pytest.raises(InUse), alone(path):
            raise AssertionError
    Lock(path).leave()


def test_who_failed_alone_has_left(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone(path):
        raise ZeroDivisionError
    Lock(path).leave()


def test_who_comes_while_somebody_is_alone_waits_for_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 60.0)
    being_alone = alone(path)
    being_alone.__enter__()
    monkeypatch.setattr(lock.time, "sleep", lambda _: being_alone.__exit__(None, None, None))
    Lock(path).leave()


def test_whoever_is_needed_no_more_has_left(path: Path) -> None:
    Lock(path)
    with alone(path):
        pass


def test_a_place_that_cannot_be_locked_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError, match=r"gallery\.lock: cannot be written"):
        Lock(tmp_path / "file" / "gallery.sqlite")
    (tmp_path / "gallery.lock").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        Lock(tmp_path / "gallery.sqlite")


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize("there", [True, False])
def test_on_a_disk_that_cannot_be_written_what_is_there_is_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, there: bool
) -> None:
    if there:
        Lock(path).leave()
    else:
        path.parent.mkdir()
    real = os.open

    def unwritable(place: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(code, "no")
        return real(place, flags, mode)

    monkeypatch.setattr(lock.os, "open", unwritable)
    if code == errno.EACCES:
        with pytest.raises(StorageError, match="cannot be written"):
            Lock(path)
        return
    inside = Lock(path)
    with pytest.raises(InUse), alone(path):
        raise AssertionError
    inside.leave()
    with alone(path):
        pass
    assert path.with_name("gallery.lock").exists() == there
