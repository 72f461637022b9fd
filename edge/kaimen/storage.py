"""Writing files so that a pulled plug leaves the old one or the new one, whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from kaimen.errors import DiskFull, StorageError


def write_whole(
    path: Path, content: bytes | Callable[[IO[bytes]], Any], *, private: bool = False
) -> None:
    """Write ``content``, or let it fill a file beside ``path``, then move it there in one step.

    A private file is for its owner alone; others may read what the umask lets them. Raises
    StorageError; whatever was at ``path`` is then untouched.
    """
    try:
        make_folder(path.parent)
        clear_temporary(path)
        with _writing_in(path.parent), _temporary(path, 0o600 if private else 0o666) as file:
            try:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    content(file)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        sync(path.parent)
    except OSError as error:
        raise unwritten(path, error) from None


def write_over(path: Path, content: bytes, size: int = 512, *, flush: bool = True) -> None:
    """Write ``content``, filled up with spaces to ``size`` bytes, over a file of that size.

    That is one flush, and nothing for the file system's journal, where ``write_whole`` costs four
    times as much. A plug pulled amid it may leave neither content: whoever reads it must know what
    is safe then. Without ``flush`` a power cut within half a minute may bring back what was there.
    A file that is not there, or of another size, is written whole. Raises StorageError.
    """
    filled = content.ljust(size)
    try:
        if not path.exists() or path.stat().st_size != len(filled):
            write_whole(path, filled)
            return
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.pwrite(descriptor, filled, 0)
            if flush:
                os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise unwritten(path, error) from None


def unwritten(path: Path | str, error: OSError, kept: str = "what was there") -> StorageError:
    """Return the error of a path that cannot be written; a full disk has a sentence of its own."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{path}: the disk is full; make room, then try again; {kept} is untouched")
    return StorageError(f"{path}: cannot be written ({error.strerror}); {kept} is untouched")


def clear_temporary(*paths: Path) -> None:
    """Delete what writers of these files left who were killed, unless somebody writes beside.

    What cannot be deleted stays, and nothing is raised.
    """
    for path in paths:
        temporary = re.compile(rf"\.{re.escape(path.name)}-[a-z0-9_]{{8}}")
        with contextlib.suppress(OSError):
            found = [
                each
                for each in path.parent.iterdir()
                if temporary.fullmatch(each.name) and each.is_file()
            ]
            if not found:
                continue
            # Whoever writes here holds it, too.
            with _locked(path.parent, fcntl.LOCK_EX | fcntl.LOCK_NB):
                for each in found:
                    each.unlink(missing_ok=True)


def _temporary(path: Path, mode: int) -> IO[bytes]:
    """Open a new file beside ``path``, of a mode less what the umask takes. Raises OSError.

    The kernel applies the umask: to read it here would be to set it for all threads.
    """
    name = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    return open(name, "x+b", opener=lambda name, flags: os.open(name, flags, mode))


@contextlib.contextmanager
def _writing_in(folder: Path) -> Iterator[None]:
    """Keep others from deleting what is being written in a folder."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a file system without locks
            stack.enter_context(_locked(folder, fcntl.LOCK_SH))
        yield


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the only one who reads a file to write it: others, of any process, wait until the end.

    Raises StorageError.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        make_folder(lock.parent)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritten(path, error) from None
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on a folder, which ends with its holder. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def require_folder(path: Path) -> None:
    """Require that a file that somebody named can lie where they say. Raises StorageError.

    No folder is made for it: where a disk is not plugged in, the file would lie on another one.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise StorageError(
            f"{path}: there is no folder {folder}; plug in the disk that belongs there, or make "
            "the folder"
        )


def move_whole(folder: Path, to: Path) -> None:
    """Give a folder of complete files another name in one step. Raises StorageError."""
    try:
        folder.rename(to)
        sync(to.parent)
    except OSError as error:
        raise unwritten(to, error, "what is in use") from None


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
