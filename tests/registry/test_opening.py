"""A file that cannot be written is read as it lies there, or from a copy with its log."""

from __future__ import annotations

import datetime
import errno
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kaimen.errors import DiskFull, KaimenError, StorageError
from kaimen.registry import database, opening, replay_memory
from kaimen.registry.database import MEMORY, SETTINGS
from kaimen.registry.opening import (
    IN_MEMORY,
    OpenDatabase,
    open_file,
    open_for_reading,
    open_for_writing,
    set_aside,
)
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.registry.sqlite_errors import Failure, as_error, kind_of
from kaimen.registry.vault import Vault
from tests.registry.whole_student import POINTS, PRINT

VAULT = Vault()
WHY = Failure.READ_ONLY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a registry of Li is that nobody has open."""
    place = tmp_path / "a school's #1?.sqlite"
    with closing(Registry(place, VAULT)) as registry:
        registry.enroll("Li", POINTS[0], "encoder")
    return place


@pytest.fixture
def left(path: Path, tmp_path: Path) -> Path:
    """Return where a registry is of which Wang is in the log alone, as a pulled plug leaves it."""
    place = tmp_path / "left" / path.name
    place.parent.mkdir()
    with closing(Registry(path, VAULT)) as registry:
        registry.enroll("Wang", POINTS[1], "encoder")
        for log in ("", "-wal"):
            shutil.copy(path.with_name(path.name + log), place.with_name(place.name + log))
    return place


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no index of a log be made, as on a disk that cannot be written."""
    real = sqlite3.connect

    def connect(place: str, **options: object) -> sqlite3.Connection:
        if str(place).endswith("mode=ro"):
            raise failed(sqlite3.SQLITE_READONLY_DIRECTORY)
        return real(place, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect)


def failed(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


def names(opened: OpenDatabase) -> list[str]:
    rows = opened.connection.execute("SELECT name FROM students ORDER BY name")
    return [name for (name,) in rows]


def change(opened: OpenDatabase) -> None:
    opened.connection.execute("DELETE FROM students")


def test_a_file_is_made_for_its_owner_alone_with_the_settings_asked_for(tmp_path: Path) -> None:
    place = tmp_path / "folder" / "file.sqlite"
    opened = open_for_writing(place, SETTINGS, 0.25)
    with closing(opened.connection) as connection:
        assert place.stat().st_mode & 0o777 == 0o600
        asked = ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "busy_timeout")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]
        assert found == ["wal", 2, 1, 1, 250]
        assert (opened.read_only, opened.frozen, opened.is_stale) == (None, None, False)
        place.rename(place.with_name("elsewhere"))
        assert not opened.is_stale
        place.write_bytes(b"")
        assert opened.is_stale


def test_a_file_that_this_user_may_not_write_is_said_by_the_system(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(place: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, f"{flags & os.O_ACCMODE}")

    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError, match=f"{os.O_RDWR}"):
        open_for_writing(path, SETTINGS, 0.25)


def test_a_file_is_read_beside_others_who_read_it(path: Path) -> None:
    opened = open_for_reading(path, WHY, 1.0)
    with closing(opened.connection):
        assert (names(opened), opened.read_only, opened.is_stale) == (["Li"], WHY, False)
        assert opened.frozen is None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            change(opened)


@pytest.mark.usefixtures("no_index")
def test_a_file_without_a_log_is_read_as_it_lies_until_it_changes(path: Path) -> None:
    opened = open_for_reading(path, WHY, 1.0)
    with closing(opened.connection):
        assert (names(opened), opened.read_only, opened.is_stale) == (["Li"], WHY, False)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            change(opened)
        log = path.with_name(f"{path.name}-wal")
        log.write_bytes(b"")
        assert opened.is_stale
        log.unlink()
        assert not opened.is_stale
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        assert opened.is_stale
        log.write_bytes(b"")
    again = open_for_reading(path, WHY, 1.0)
    with closing(again.connection):
        assert names(again) == ["Li"]


@pytest.mark.usefixtures("no_index")
def test_what_the_log_alone_holds_is_read_from_a_copy_that_has_no_name(left: Path) -> None:
    content, copies = left.read_bytes(), set(IN_MEMORY.glob("kaimen-*"))
    opened = open_for_reading(left, WHY, 1.0)
    with closing(opened.connection):
        assert (names(opened), opened.read_only, opened.is_stale) == (["Li", "Wang"], WHY, False)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            change(opened)
        assert set(IN_MEMORY.glob("kaimen-*")) == copies
        assert left.read_bytes() == content
        with left.with_name(f"{left.name}-wal").open("ab") as log:
            log.write(b"more")
        assert opened.is_stale


def test_what_is_no_question_of_the_disk_keeps_a_file_from_being_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(place: str, **_: object) -> sqlite3.Connection:
        raise failed(sqlite3.SQLITE_BUSY)

    monkeypatch.setattr(sqlite3, "connect", busy)
    with pytest.raises(sqlite3.OperationalError):
        open_for_reading(path, WHY, 1.0)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.EROFS, "no"), Failure.READ_ONLY),
        (OSError(errno.EACCES, "no"), Failure.FORBIDDEN),
        (failed(sqlite3.SQLITE_FULL), Failure.FULL),
        (OSError(errno.EMFILE, "no"), None),
        (failed(sqlite3.SQLITE_BUSY), None),
        (failed(sqlite3.SQLITE_CORRUPT), None),
    ],
)
def test_only_a_disk_that_cannot_be_written_has_a_file_read_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, why: Failure | None
) -> None:
    def unwritable(*_: object) -> OpenDatabase:
        raise error

    monkeypatch.setattr(opening, "open_for_writing", unwritable)
    if why is None:
        with pytest.raises(type(error)):
            open_file(path, SETTINGS, 1.0)
    else:
        opened = open_file(path, SETTINGS, 1.0)
        with closing(opened.connection):
            assert (names(opened), opened.read_only) == (["Li"], why)
    path.write_bytes(b"")
    for place in (path, path.with_name("nowhere")):
        with pytest.raises(type(error)):
            open_file(place, SETTINGS, 1.0)


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine's clock show another day's time than UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_east")
@pytest.mark.parametrize("logs", [(), ("-wal",), ("-wal", "-shm")])
def test_a_damaged_file_is_set_aside_with_its_log(path: Path, logs: tuple[str, ...]) -> None:
    content = path.read_bytes()
    for log in logs:
        path.with_name(path.name + log).write_bytes(log.encode())
    aside = set_aside(path)
    assert re.fullmatch(rf"{re.escape(path.name)}\.damaged-\d{{8}}T\d{{6}}\.\d{{6}}Z", aside.name)
    when = datetime.datetime.strptime(aside.name[-23:], "%Y%m%dT%H%M%S.%fZ")
    apart = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - when
    assert abs(apart) < datetime.timedelta(hours=1)
    assert aside.read_bytes() == content
    there = {each.name for each in path.parent.iterdir()}
    assert there == {aside.name, *(aside.name + log for log in logs if log == "-wal")}


# A registry whose disk cannot be written for a while


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[Failure]]:
    """Return what is the matter with the disk: nothing where it is empty."""
    ill: set[Failure] = set()

    def opened(path: Path, settings: tuple[str, ...], patience: float) -> OpenDatabase:
        for why in ill:
            return open_for_reading(path, why, patience)
        return open_for_writing(path, settings, patience)

    for module in (database, replay_memory):
        monkeypatch.setattr(module, "open_file", opened)
    yield ill


def look_again(of: object) -> None:
    """Let the time be over after which a disk is looked at again."""
    of._look_again = 0.0  # type: ignore[attr-defined]


def test_a_registry_is_written_again_as_soon_as_its_disk_can_be(
    path: Path, disk: set[Failure]
) -> None:
    with closing(Registry(path, VAULT)) as registry:
        assert registry.database.read_only == ""
    disk.add(Failure.FULL)
    with closing(Registry(path, VAULT)) as registry:
        assert "the disk is full; make room" in registry.database.read_only
        before = registry.database.version(), registry.database.file()
        with pytest.raises(DiskFull):
            registry.describe("Li", group="7a")
        look_again(registry.database)
        assert registry.student("Li").group == ""
        disk.clear()
        assert registry.database.read_only  # nobody looked yet
        look_again(registry.database)
        assert registry.student("Li").group == "" and registry.database.read_only == ""
        assert registry.database.version() - before[0] >= 1 << 32
        assert registry.database.file() != before[1]
        registry.describe("Li", group="7a")
    disk.add(Failure.READ_ONLY)
    with closing(Registry(path, VAULT)) as registry:
        disk.clear()
        registry.describe("Li", group="8b")  # whoever writes looks at once
        assert registry.student("Li").group == "8b"


def test_a_registry_that_is_read_alone_is_not_brought_up_to_date(
    path: Path, disk: set[Failure], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, "CREATE TABLE t (c);"))
    disk.add(Failure.READ_ONLY)
    with pytest.raises(StorageError, match="read-only; make it writable"):
        Registry(path, VAULT)
    disk.clear()
    with closing(Registry(path, VAULT)) as registry:
        assert registry.database.read("SELECT * FROM t") == []
        assert registry.roll().complete and registry.student("Li").recordings == 3


def test_a_registry_stays_the_one_before_where_another_cannot_be_opened(path: Path) -> None:
    other = path.with_name("other.sqlite")
    Registry(other, Vault()).close()
    with closing(Registry(path, VAULT)) as registry:
        before = path.with_name("before.sqlite")
        path.rename(before)
        other.rename(path)
        with pytest.raises(KaimenError, match="another key"):
            registry.student("Li")
        before.rename(path)
        assert registry.student("Li").recordings == 3


def test_a_replay_memory_is_written_again_as_soon_as_its_disk_can_be(
    tmp_path: Path, disk: set[Failure]
) -> None:
    heard, said = tmp_path / "heard.sqlite", list[str]()
    with closing(ReplayMemory(heard, VAULT, say=said.append)) as memory:
        memory.keep("Li", PRINT)
    disk.add(Failure.READ_ONLY)
    with closing(ReplayMemory(heard, VAULT, say=said.append)) as memory:
        (told,) = said
        assert "read-only" in told and "until the gate ends" in told
        for act in (lambda: memory.keep("Li", PRINT), lambda: memory.forget("Wang")):
            with pytest.raises(StorageError, match="read-only"):
                act()
        assert len(memory.of("Li")) == 2
        disk.clear()
        assert len(memory.of("Li")) == 2
        with pytest.raises(StorageError, match="read-only"):
            memory.keep("Wang", PRINT)  # nobody looked yet
        look_again(memory)
        memory.keep("Wang", PRINT)
    with closing(ReplayMemory(heard, VAULT, say=said.append)) as memory:
        assert [len(memory.of(name)) for name in ("Li", "Wang")] == [2, 2] and len(said) == 1


# Threads and errors


@pytest.mark.parametrize("place", ["file", MEMORY])
def test_threads_may_use_one_after_another(place: str, tmp_path: Path) -> None:
    with (
        closing(Registry(place if place == MEMORY else tmp_path / place, VAULT)) as registry,
        closing(ReplayMemory(tmp_path / "heard", VAULT)) as memory,
    ):

        def use() -> None:
            registry.enroll("Li", POINTS[0], "encoder")
            memory.keep("Li", PRINT)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert registry.student("Li").recordings == 3 and len(memory.of("Li")) == 1
        registry.remove("Li")
        assert registry.database.read("SELECT * FROM recordings") == []


@pytest.mark.parametrize("ask", [Registry.students, lambda registry: registry.remove("Li")])
def test_one_that_was_closed_is_said(path: Path, ask: object) -> None:
    registry = Registry(path, VAULT)
    registry.close()
    with pytest.raises(KaimenError, match="not a registry that can be used"):
        ask(registry)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("number", "kind", "error"),
    [
        (errno.ENOSPC, Failure.FULL, DiskFull),
        (errno.EDQUOT, Failure.FULL, DiskFull),
        (errno.EROFS, Failure.READ_ONLY, StorageError),
        (errno.EPERM, Failure.FORBIDDEN, StorageError),
        (errno.ENFILE, Failure.DESCRIPTORS, StorageError),
        (errno.EIO, Failure.DISK, StorageError),
        (errno.ENOTDIR, Failure.OTHER, StorageError),
        (None, Failure.OTHER, StorageError),
    ],
)
def test_what_the_system_says_is_said_with_what_to_do(
    path: Path, number: int | None, kind: Failure, error: type[Exception]
) -> None:
    said = OSError("why") if number is None else OSError(number, "why")
    assert kind_of(said, path) is kind
    found = as_error(said, path)
    assert type(found) is error and str(path) in str(found)
    told = "cannot be made (" if kind is Failure.OTHER else f"{kind.value}; what was there"
    assert told in str(found)


def test_an_error_that_sqlite_gives_no_number_of_proves_nothing(path: Path) -> None:
    said = sqlite3.ProgrammingError("closed")
    assert kind_of(said, path) is Failure.OTHER
    assert str(as_error(said, path)) == f"{path}: {Failure.OTHER.value} (closed)"


Disk = os.statvfs_result


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_WRITE])
@pytest.mark.parametrize(
    ("flag", "room", "files", "free", "allowed", "kind"),
    [
        (os.ST_RDONLY, 1 << 20, 10, 10, True, Failure.READ_ONLY),
        (0, (1 << 16) - 1, 10, 10, True, Failure.FULL),
        (0, 1 << 20, 10, 0, True, Failure.FULL),
        (0, 1 << 20, 10, 10, False, Failure.FORBIDDEN),
        (0, 1 << 16, 0, 0, True, None),  # a disk that counts no files
        (0, 1 << 16, 10, 1, True, None),
    ],
)
def test_what_sqlite_does_not_tell_is_found_out(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, flag: int, room: int, files: int,
    free: int, allowed: bool, kind: Failure | None,
) -> None:  # fmt: skip
    state = Disk((1, 1, room, room, room, files, free, free, flag, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: state)
    monkeypatch.setattr(os, "access", lambda *_: allowed)
    known = Failure.OTHER if code == sqlite3.SQLITE_CANTOPEN else Failure.DISK
    assert kind_of(failed(code), path) is (kind or known)
    assert kind_of(failed(code), path.with_name("nowhere")) is known
    assert kind_of(failed(code), path / "in a file") is known


# A replay memory that cannot be made


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EROFS, "no"), "read-only"),
        (failed(sqlite3.SQLITE_FULL), "the disk is full"),
        (OSError(errno.EMFILE, "no"), ""),
        (failed(sqlite3.SQLITE_BUSY), ""),
    ],
)
@pytest.mark.parametrize("content", [None, b"", b"something"])
def test_a_memory_that_cannot_be_made_lasts_until_the_gate_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str,
    content: bytes | None,
) -> None:  # fmt: skip
    def unwritable(*_: object) -> OpenDatabase:
        raise error

    heard, said = tmp_path / "heard.sqlite", list[str]()
    if content is not None:
        heard.write_bytes(content)
    monkeypatch.setattr(replay_memory, "open_file", unwritable)
    if content or not told:
        with pytest.raises(StorageError):
            ReplayMemory(heard, VAULT, say=said.append)
        assert said == []
        return
    with closing(ReplayMemory(heard, VAULT, say=said.append)) as memory:
        with pytest.raises(StorageError, match=told):
            memory.keep("Li", PRINT)
        assert len(memory.of("Li")) == 1 and len(said) == 1 and told in said[0]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_memory_without_a_table_lasts_until_the_gate_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    def opened(path: Path, settings: tuple[str, ...], patience: float) -> OpenDatabase:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        return OpenDatabase(connection, path, Failure.FORBIDDEN if read_only else None)

    monkeypatch.setattr(replay_memory, "open_file", opened)
    said: list[str] = []
    with closing(ReplayMemory(tmp_path / "heard", VAULT, say=said.append)) as memory:
        with pytest.raises(StorageError, match="may not use it" if read_only else "read-only"):
            memory.keep("Li", PRINT)
        assert len(memory.of("Li")) == 1 and len(said) == 1
