"""Writing files so that a pulled plug leaves the old one or the new one, whole."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from kaimen.errors import DiskFull, StorageError


def write_whole(path: Path, write: Callable[[IO[bytes]], Any], *, private: bool = False) -> None:
    """Let ``write`` fill a file beside ``path``, then move it there in one step.

    A private file is for its owner alone; others may read what the umask lets them. Raises
    StorageError; whatever was at ``path`` is then untouched.
    """
    try:
        make_folder(path.parent)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            try:
                write(file)
                file.flush()
                os.fsync(file.fileno())
                if not private:
                    Path(file.name).chmod(0o666 & ~_umask())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        sync(path.parent)
    except OSError as error:
        raise unwritten(path, error) from None


def unwritten(path: Path | str, error: OSError, kept: str = "what was there") -> StorageError:
    """Return the error of a path that cannot be written; a full disk has a sentence of its own."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{path}: the disk is full; make room, then try again; {kept} is untouched")
    return StorageError(f"{path}: cannot be written ({error.strerror}); {kept} is untouched")


def move_whole(folder: Path, to: Path) -> None:
    """Give a folder of complete files another name in one step. Raises StorageError."""
    try:
        folder.rename(to)
        sync(to.parent)
    except OSError as error:
        raise unwritten(to, error, "what is in use") from None


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it, that survive a power cut. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=mode, exist_ok=True)
    sync(path.parent)


def forget(path: Path) -> None:
    """Delete a file for good, if it is there. Raises OSError."""
    if path.exists():
        path.unlink(missing_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's content, or what names are in a folder, survive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
