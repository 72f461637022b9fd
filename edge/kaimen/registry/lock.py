"""Who is in a school: many who use its gallery, or one alone who puts another in its place.

A lock on a file beside the registry (flock): whoever ends, or is killed, has left.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kaimen.errors import StorageError
from kaimen.storage import make_folder, unwritten

PATIENCE = 10.0  # seconds to wait for somebody who is alone in it
PAUSE = 0.05  # seconds between two looks


class InUse(StorageError):
    """Somebody is in the school."""


class Lock:
    """Being in the school of a registry's file, until ``leave`` or nobody needs it any more."""

    def __init__(self, registry: Path) -> None:
        """Come in. Raises StorageError while a backup is being restored over it."""
        until = time.monotonic() + PATIENCE
        while (descriptor := _try(registry, fcntl.LOCK_SH)) is None:
            if time.monotonic() > until:
                raise StorageError(
                    f"{registry}: a backup is being restored there; try again when that is done"
                )
            time.sleep(PAUSE)
        self.leave = weakref.finalize(self, os.close, descriptor)


@contextmanager
def alone(registry: Path) -> Iterator[None]:
    """Nobody else is in the school meanwhile, nor comes in. Raises InUse."""
    descriptor = _try(registry, fcntl.LOCK_EX)
    if descriptor is None:
        raise InUse(
            f"{registry}: in use; stop the gate and every other kaimen command, then try again"
        )
    try:
        yield
    finally:
        os.close(descriptor)


def _try(registry: Path, how: int) -> int | None:
    """Return a descriptor that holds the lock; None while others hold it otherwise.

    Raises StorageError where it cannot be held. A disk that cannot be written holds it on what is
    there: the lock's file, or the folder.
    """
    path = registry.with_suffix(".lock")
    try:
        make_folder(path.parent)
        descriptor = _opened(path)
    except OSError as error:
        raise unwritten(path, error) from None
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
