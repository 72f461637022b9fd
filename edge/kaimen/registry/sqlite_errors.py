"""What an error of SQLite means: only what SQLite itself proved to be damaged is damaged.

A file that is locked, on a full or read-only disk, or not permitted is as good as it ever was:
nobody may discard it. Everything that opens a database asks here.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from enum import Enum
from pathlib import Path

from kaimen.errors import DiskFull, GalleryError, KaimenError, StorageError

ROOM = 1 << 16  # bytes that SQLite needs beside a file before it can begin


class Failure(Enum):
    """The kinds, each with what to do about it."""

    BUSY = "another process holds it; try again in a moment"
    FULL = "the disk is full; make room, then try again"
    READ_ONLY = "the disk or the file is read-only; make it writable, then try again"
    FORBIDDEN = "this user may not use it; call it as the gate's own user"
    DESCRIPTORS = "too many files are open; stop other programs, then try again"
    DISK = "the disk does not answer as it should; look into 'dmesg', then try again"
    DAMAGED = "damaged, or not a registry; restore the newest backup with 'kaimen restore'"
    OTHER = "not a registry that can be used"


# What keeps a file from being written, and not from being read.
UNWRITABLE = frozenset({Failure.FULL, Failure.READ_ONLY, Failure.FORBIDDEN, Failure.DISK})

_BY_CODE = {
    sqlite3.SQLITE_BUSY: Failure.BUSY,
    sqlite3.SQLITE_LOCKED: Failure.BUSY,
    sqlite3.SQLITE_PROTOCOL: Failure.BUSY,
    sqlite3.SQLITE_FULL: Failure.FULL,
    sqlite3.SQLITE_READONLY: Failure.READ_ONLY,
    sqlite3.SQLITE_PERM: Failure.FORBIDDEN,
    sqlite3.SQLITE_AUTH: Failure.FORBIDDEN,
    sqlite3.SQLITE_CORRUPT: Failure.DAMAGED,
    sqlite3.SQLITE_NOTADB: Failure.DAMAGED,
}
_BY_ERRNO = {
    errno.ENOSPC: Failure.FULL,
    errno.EDQUOT: Failure.FULL,
    errno.EROFS: Failure.READ_ONLY,
    errno.EACCES: Failure.FORBIDDEN,
    errno.EPERM: Failure.FORBIDDEN,
    errno.EMFILE: Failure.DESCRIPTORS,
    errno.ENFILE: Failure.DESCRIPTORS,
    errno.EIO: Failure.DISK,
}


def kind_of(error: sqlite3.Error | OSError, path: Path | str) -> Failure:
    """Return what kind of error it is, of the database at ``path``."""
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, Failure.OTHER)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Failure.OTHER
    if code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        known = Failure.DISK if code & 0xFF == sqlite3.SQLITE_IOERR else Failure.OTHER
        return _why(Path(path)) or known
    return _BY_CODE.get(code & 0xFF, Failure.OTHER)


def as_error(error: sqlite3.Error | OSError, path: Path | str) -> KaimenError:
    """Return the same as one of ours: a GalleryError only where the file itself is at fault."""
    kind = kind_of(error, path)
    if kind is Failure.OTHER and isinstance(error, OSError):
        return StorageError(f"{path}: cannot be made ({error.strerror})")
    return error_of(kind, path, str(error))


def error_of(kind: Failure, path: Path | str, said: str = "") -> KaimenError:
    """Return the error of a kind, in one sentence."""
    if kind in (Failure.OTHER, Failure.DAMAGED):
        return GalleryError(f"{path}: {kind.value} ({said})")
    made = DiskFull if kind is Failure.FULL else StorageError
    return made(f"{path}: {kind.value}; what was there is untouched")


def _why(path: Path) -> Failure | None:
    """Find out what SQLite does not tell: why a file could not be opened or grow."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        disk = os.statvfs(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _BY_ERRNO.get(error.errno or 0)
    if disk.f_flag & os.ST_RDONLY:
        return Failure.READ_ONLY
    if disk.f_bavail * disk.f_frsize < ROOM or (disk.f_files and not disk.f_favail):
        return Failure.FULL
    if not os.access(path.parent, os.W_OK) or not os.access(path, os.W_OK):
        return Failure.FORBIDDEN
    return None
