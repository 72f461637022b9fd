"""Opening a database's file: for writing, or where its disk forbids that, for reading alone.

In WAL mode even a reader writes: into the index of the log beside the file. On a disk where that
cannot be made, the file is read as one that nobody changes (SQLite's ``immutable``), which is
right only while nobody does: whoever holds it looks at ``is_stale``. What the log still holds
would be missed so, a student's removal among it: such a pair is copied into memory first.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kaimen.registry.sqlite_errors import UNWRITABLE, Failure, kind_of
from kaimen.storage import make_folder, sync

IN_MEMORY = Path("/dev/shm")

Status = tuple[int, int, int, int]  # device, number, bytes, when it was written
Signature = tuple[Status | None, Status | None]


@dataclass(slots=True)
class OpenDatabase:
    """A connection, and what it is good for."""

    connection: sqlite3.Connection
    path: Path | str
    read_only: Failure | None = None  # why nothing can be written
    frozen: Signature | None = None  # of files that nobody may have changed meanwhile
    file: tuple[int, int] | None = None  # which file it is

    @property
    def is_stale(self) -> bool:
        """Return whether another file is in its place, or a file read as frozen was changed."""
        if self.file is None:
            return False
        path = Path(self.path)
        if self.frozen is not None and _signature(path) != self.frozen:
            return True
        return _file(path) not in (self.file, None)


def open_for_writing(path: Path, settings: Sequence[str], patience: float) -> OpenDatabase:
    """Open a file, or make it. Raises OSError and sqlite3.Error."""
    if not path.exists():
        make_folder(path.parent)
        path.touch(mode=0o600)  # SQLite gives its files the mode of the first one
    elif not os.access(path, os.R_OK | os.W_OK):
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))  # says why
    return OpenDatabase(_connected(str(path), settings, patience), path, file=_file(path))


def open_for_reading(path: Path, why: Failure, patience: float) -> OpenDatabase:
    """Open a file that cannot be written, for a reason. Raises OSError and sqlite3.Error."""
    place = f"file:{quote(str(path))}?mode=ro"
    try:
        return OpenDatabase(_connected(place, (), patience), path, why, file=_file(path))
    except sqlite3.Error as error:
        if kind_of(error, path) not in {*UNWRITABLE, Failure.OTHER}:
            raise
    frozen = _signature(path)
    log = frozen[1]
    if log is None or not log[2]:
        connection = _connected(f"{place}&immutable=1", (), patience)
    else:
        connection = _copied(path, patience)
    return OpenDatabase(connection, path, why, frozen, _file(path))


def open_file(path: Path, settings: Sequence[str], patience: float) -> OpenDatabase:
    """Open a file for writing, or make it; where it cannot be written, for reading.

    Raises OSError and sqlite3.Error.
    """
    try:
        return open_for_writing(path, settings, patience)
    except (OSError, sqlite3.Error) as error:
        why = kind_of(error, path)
        # An empty file is one that was just made, or could only just be made.
        if why not in UNWRITABLE or not path.exists() or not path.stat().st_size:
            raise
    return open_for_reading(path, why, patience)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Write all that is written in here, or nothing of it. Raises sqlite3.Error."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def set_aside(path: Path) -> Path:
    """Give a damaged file and its log another name, with the time. Raises OSError."""
    now = datetime.datetime.now(datetime.UTC)
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%S.%fZ}")
    path.rename(aside)
    with contextlib.suppress(FileNotFoundError):
        _log(path).rename(_log(aside))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)  # derived from the log
    sync(path.parent)
    return aside


def _connected(place: str, settings: Sequence[str], patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        place,
        timeout=patience,
        isolation_level=None,
        check_same_thread=False,
        uri=place.startswith("file:"),
    )
    try:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _copied(path: Path, patience: float) -> sqlite3.Connection:
    """Open a copy in memory of a file and its log; the copy's names are gone at once."""
    with tempfile.TemporaryDirectory(prefix="kaimen-", dir=IN_MEMORY) as folder:
        copy = Path(folder) / path.name
        for each, to in ((path, copy), (_log(path), _log(copy))):
            shutil.copyfile(each, to)
            to.chmod(0o600)
        connection = _connected(str(copy), (), patience)
        for setting in ("journal_mode = DELETE", "query_only = ON"):
            connection.execute(f"PRAGMA {setting}").fetchall()
        return connection


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _signature(path: Path) -> Signature:
    """Say of a file and its log which files they are, how long, and when last written."""
    return _status(path), _status(_log(path))


def _file(path: Path) -> tuple[int, int] | None:
    status = _status(path)
    return None if status is None else status[:2]


def _status(path: Path) -> Status | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
