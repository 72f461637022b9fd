"""A Unix socket at a path: where those who connect find the door, the desk, a loan or a feed."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

from kaimen.closing import Closing, close_all
from kaimen.errors import DeviceError


class PathListener(Closing):
    """Listens at a path and never waits; the socket there goes with it."""

    def __init__(
        self, path: Path, waiting: int, *, mode: int, kind: int = socket.SOCK_SEQPACKET
    ) -> None:
        """Let ``waiting`` connect at a time whom ``mode`` lets. Raises OSError.

        A socket that a killed process left behind is replaced.
        """
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
        try:
            _make_room(path, kind)
            self._socket.bind(str(path))
            path.chmod(mode)  # nobody connects before it listens; a umask is all threads' own
            self._socket.listen(waiting)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, to wait for somebody."""
        return self._socket.fileno()

    def newcomer(self) -> socket.socket | None:
        """Return who connected next, without waiting; None where nobody did, or they left again."""
        try:
            newcomer, _ = self._socket.accept()
        except OSError:
            return None
        newcomer.setblocking(False)
        return newcomer

    def close(self) -> None:
        """Leave; the socket is removed. Raises OSError."""
        close_all(self._socket.close, lambda: self._path.unlink(missing_ok=True))


def door_listener(path: Path, waiting: int = 4) -> PathListener:
    """Return one for the owner and the group of a path. Raises DeviceError."""
    try:
        return PathListener(path, waiting, mode=0o660)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DeviceError(f"{path}: no socket can be made there ({reason})") from None


def _make_room(path: Path, kind: int) -> None:
    """Remove a socket nobody serves any more. Raises OSError for one that is served."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(0, "there is a file of that name")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass
    raise FileExistsError(0, "another process serves it")
