"""A disk that is full, read-only or busy keeps no student outside, and loses nothing."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import GalleryError, StorageError
from kaimen.registry import replay_memory
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.registry.sqlite_errors import Failure, kind_of
from kaimen.registry.vault import Vault
from tests.registry.disks import on_a_small_disk

VAULT = Vault()
PRINT = np.zeros((12, 117), np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a replay memory is that knows one phrase of Li."""
    file = tmp_path / "gallery.heard.sqlite"
    with closing(ReplayMemory(file, VAULT)) as memory:
        memory.keep("Li", PRINT)
    return file


def known(path: Path) -> int:
    with closing(ReplayMemory(path, VAULT)) as memory:
        return len(memory.of("Li"))


def test_a_replay_memory_that_another_process_holds_is_not_begun_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_memory, "PATIENCE", 0.05)
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="another process holds it"):
            ReplayMemory(path, VAULT)
        assert path.read_bytes() == before
    assert known(path) == 1


def test_a_replay_memory_is_not_begun_anew_where_too_many_files_are_open(path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with path.open("rb") as file:
        resource.setrlimit(resource.RLIMIT_NOFILE, (file.fileno() + 1, limits[1]))
        try:
            with pytest.raises(StorageError, match="too many files"):
                ReplayMemory(path, VAULT)
            with pytest.raises(StorageError, match="too many files"):
                Registry(path.with_name("gallery.sqlite"), VAULT)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert known(path) == 1


def test_a_phrase_that_the_memory_cannot_tell_is_no_new_phrase(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_memory, "PATIENCE", 0.05)
    with closing(ReplayMemory(path, VAULT)) as memory:
        memory._database.execute("PRAGMA busy_timeout = 50")
        memory._database.execute("PRAGMA journal_mode = DELETE")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StorageError, match="another process holds it"):
                memory.of("Li")
        assert len(memory.of("Li")) == 1


def test_a_replay_memory_that_is_damaged_is_kept_beside_the_new_one(path: Path) -> None:
    spoiled = b"no database at all, whatever it was before" * 100
    path.write_bytes(spoiled)
    said: list[str] = []
    with closing(ReplayMemory(path, VAULT, say=said.append)) as memory:
        assert memory.of("Li") == []
    (aside,) = path.parent.glob("gallery.heard.sqlite.damaged-*")
    assert aside.read_bytes() == spoiled
    assert len(said) == 1 and aside.name in said[0] and "begun anew" in said[0]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, Failure.BUSY),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Failure.BUSY),
        (sqlite3.SQLITE_LOCKED, Failure.BUSY),
        (sqlite3.SQLITE_FULL, Failure.FULL),
        (sqlite3.SQLITE_READONLY_DIRECTORY, Failure.READ_ONLY),
        (sqlite3.SQLITE_IOERR_READ, Failure.DISK),
        (sqlite3.SQLITE_IOERR_SHMSIZE, Failure.DISK),
        (sqlite3.SQLITE_PERM, Failure.FORBIDDEN),
        (sqlite3.SQLITE_CORRUPT_INDEX, Failure.DAMAGED),
        (sqlite3.SQLITE_NOTADB, Failure.DAMAGED),
        (sqlite3.SQLITE_NOMEM, Failure.OTHER),
        (sqlite3.SQLITE_CANTOPEN, Failure.OTHER),
        (sqlite3.SQLITE_SCHEMA, Failure.OTHER),
    ],
)
def test_only_what_sqlite_proves_damaged_is_damaged(path: Path, code: int, kind: Failure) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    assert kind_of(error, path) is kind


def test_a_registry_of_no_database_is_damaged_and_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    path.write_bytes(b"open sesame" * 100)
    with pytest.raises(GalleryError, match="damaged"):
        Registry(path, VAULT)
    assert path.read_bytes() == b"open sesame" * 100


def test_on_a_full_disk_the_enrolled_are_known_and_nothing_is_lost(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
gallery.close(); heard.close()  # the gate ends
fill()
gallery, heard = opened(said), memory(said)
assert len(said) == 2 and all("disk is full" in each for each in said), said
assert gallery.students == ["Li", "Wang", "Zhao"]
assert gallery.nearest(POINTS[1])[0].student == "Wang"
assert len(heard.of("Li")) == 1
for attempt in (
    lambda: heard.keep("Wang", PRINT),
    lambda: heard.forget("Li"),
    lambda: gallery.remove("Li"),
    lambda: gallery.enroll("Sun", POINTS[3:4]),
):
    try:
        attempt()
    except DiskFull as error:
        assert "make room" in str(error) and error.exit_code == 6
    else:
        raise AssertionError("nothing was said")
assert (DISK / "gallery.index").exists() and gallery.students == ["Li", "Wang", "Zhao"]
assert len(heard.of("Wang")) == 1  # remembered until the gate ends
free()
heard.keep("Wang", PRINT)  # and now what waited, too
gallery.remove("Li")
assert gallery.students == ["Wang", "Zhao"] and not heard.of("Li")
gallery.close(); heard.close()
assert len(memory(said).of("Wang")) == 2 and opened(said).students == ["Wang", "Zhao"]
""",
    )


def test_a_gate_on_a_full_disk_takes_over_what_others_write_once_there_is_room(
    tmp_path: Path,
) -> None:
    on_a_small_disk(
        tmp_path,
        """
gallery.close(); heard.close()
fill()
gate = opened(said)
assert len(gate) == 3
free()
operator = opened(said)
operator.remove("Li")
assert gate.refresh() and gate.students == ["Wang", "Zhao"]
""",
    )


def test_on_a_read_only_disk_the_enrolled_are_known(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
gallery.close(); heard.close()
mount("-o", "remount,ro")
gallery, heard = opened(said), memory(said)
assert len(said) == 2 and all("read-only" in each for each in said), said
assert gallery.students == ["Li", "Wang", "Zhao"] and len(heard.of("Li")) == 1
try:
    gallery.remove("Li")
except StorageError as error:
    assert "read-only" in str(error)
else:
    raise AssertionError("nothing was said")
mount("-o", "remount,rw")
gallery.remove("Li")
assert gallery.students == ["Wang", "Zhao"]
""",
    )


@pytest.mark.parametrize("shared", [True, False], ids=["with its index", "without it"])
def test_on_a_read_only_disk_nothing_that_the_log_holds_is_missed(
    tmp_path: Path, shared: bool
) -> None:
    on_a_small_disk(
        tmp_path,
        f"""
gallery.enroll("Sun", POINTS[3:4])  # only the log has it: a pulled plug leaves it there
import shutil
for name in ("gallery.sqlite", "gallery.sqlite-wal", "gallery.sqlite-shm"):
    shutil.copy(DISK / name, DISK / f"copy-{{name}}")
gallery.close(); heard.close()
for name in ("gallery.sqlite", "gallery.sqlite-wal", "gallery.sqlite-shm"):
    (DISK / f"copy-{{name}}").rename(DISK / name)
if not {shared}:
    (DISK / "gallery.sqlite-shm").unlink()
mount("-o", "remount,ro")
gallery = opened(said)
assert gallery.students == ["Li", "Sun", "Wang", "Zhao"], gallery.students
""",
    )


def test_a_first_gate_on_a_full_disk_remembers_until_it_ends(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
heard.close()
for each in DISK.glob("gallery.heard*"):
    each.unlink()
gallery.close()
fill()
heard = memory(said)
try:
    heard.keep("Li", PRINT)
except DiskFull:
    pass
assert len(heard.of("Li")) == 1
free()
heard.keep("Li", PRINT)
heard.close()
assert len(memory(said).of("Li")) == 2
""",
    )
