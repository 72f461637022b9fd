"""Taking a backup of a school, of one moment, while its gate runs."""

from __future__ import annotations

import datetime
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kaimen import __version__, audit
from kaimen.backup.archive import MADE, SETTINGS, Writer
from kaimen.backup.school import BACKED_UP, SchoolFiles
from kaimen.errors import GalleryError, StorageError
from kaimen.registry.lock import Lock
from kaimen.registry.registry import Registry
from kaimen.registry.sqlite_errors import Failure, as_error, kind_of
from kaimen.storage import write_whole

PATIENCE = 10.0  # seconds to wait for another process's transaction


@dataclass(frozen=True, slots=True)
class Taken:
    """What is in a backup."""

    pieces: list[str]
    students: int
    bytes: int  # of the file
    same_disk: bool  # whether it lies on the disk that the school lies on


def take(school: SchoolFiles, settings: Path | None, file: Path, passphrase: bytes) -> Taken:
    """Write a school and its settings' file into a sealed file, in one step.

    Raises GalleryError, and StorageError; what was at ``file`` is untouched then.
    """
    if not school.registry.exists():
        raise GalleryError(f"{school.registry}: no gallery there; begin with 'kaimen enroll'")
    in_use = Lock(school.registry)
    try:
        with school.aside() as folder:
            snapshot = SchoolFiles(Path(folder) / school.registry.name, school.key)
            students = _freeze(school, snapshot)
            found = {**school.pieces, **{name: snapshot.pieces[name] for name in snapshot.there}}
            pieces = [name for name in BACKED_UP if name in school.there]

            def write(out: IO[bytes]) -> None:
                writer = Writer(out, passphrase)
                writer.add(MADE, _made(students))
                if settings is not None:
                    writer.add_path(SETTINGS, settings)
                for name in pieces:
                    writer.add_path(name, found[name])
                writer.finish()

            write_whole(file, write, private=True)
            made = file.stat()
            same_disk = made.st_dev == school.registry.stat().st_dev
            return Taken(pieces, students, made.st_size, same_disk)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{error.filename}: {error.strerror}; nothing is backed up") from None
    finally:
        in_use.leave()


def _made(students: int) -> bytes:
    """When, by what, and how much."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return json.dumps({"version": __version__, "at": now, "students": students}).encode()


def _freeze(school: SchoolFiles, snapshot: SchoolFiles) -> int:
    """Copies of one moment of what others write meanwhile; how many students there are."""
    registry = Registry(school.registry, school.vault)
    students = len(registry)
    registry.close()
    for name in ("registry", "heard"):
        if name in school.there:
            _copy(school.pieces[name], snapshot.pieces[name])
    if "audit" in school.there:
        audit.copy(school.pieces["audit"], school.log_key, snapshot.pieces["audit"])
    return students


def _copy(path: Path, to: Path) -> None:
    """Copy a database without the pages of what was deleted from it.

    Raises GalleryError and StorageError.
    """
    try:
        database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            database.execute("VACUUM INTO ?", (str(to),))
        finally:
            database.close()
    except sqlite3.Error as error:
        # Of two files, only the one that is read can be damaged; the other's disk may be full.
        damaged = kind_of(error, path) is Failure.DAMAGED
        raise as_error(error, path if damaged else to) from None
