"""The door's end of the talk with a voice process: short packets over a Unix socket.

One voice process is served at a time. Nothing here waits for it: what it does not read is lost
and counted, what it sends is read in portions.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
from pathlib import Path

from kaimen.door.protocol import LONGEST_REQUEST, Busy, Message, NoticesLost
from kaimen.errors import DeviceError

MOST = 32  # packets that are read in one turn, so that a flood leaves time for the door


class Server:
    """A socket to at most one voice process."""

    def __init__(
        self, *, peer: socket.socket | None = None, listener: socket.socket | None = None
    ) -> None:
        self._peer = peer
        self._listener = listener
        self._path: Path | None = None
        self._lost = 0
        self.came = peer is not None  # whether somebody new is there since the last look

    @classmethod
    def inherited(cls, descriptor: int) -> Server:
        """The talk with the process that started this one. Raises DeviceError."""
        try:
            peer = socket.socket(fileno=descriptor)
        except OSError as error:
            raise DeviceError(f"descriptor {descriptor} is no socket ({error.strerror})") from None
        peer.setblocking(False)
        return cls(peer=peer)

    @classmethod
    def listening(cls, path: Path) -> Server:
        """Wait for a voice process at a path that its owner and group may use.

        A socket that a killed door left behind is replaced. Raises DeviceError.
        """
        server = cls(listener=bound_listener(path))
        server._path = path
        return server

    @property
    def connected(self) -> bool:
        """Return whether there is a voice process."""
        return self._peer is not None

    @property
    def ended(self) -> bool:
        """Return whether nobody is there and nobody can come."""
        return self._peer is None and self._listener is None

    def read(self, timeout: float) -> list[bytes]:
        """Wait at most ``timeout`` seconds; the packets that came, ``came`` if somebody new did."""
        sockets = [each for each in (self._peer, self._listener) if each is not None]
        waiting = select.poll()
        for each in sockets:
            waiting.register(each, select.POLLIN)
        if not waiting.poll(timeout * 1000):
            return []
        newcomer = self._accept()
        # Read after accepting: who was killed before the newcomer came is seen to be gone.
        found = self._drain()
        if newcomer is not None and self._peer is None:
            self._peer, self._lost, self.came = newcomer, 0, True
        elif newcomer is not None:
            with contextlib.suppress(OSError), newcomer:
                newcomer.send(Busy().to_bytes())
        return found

    def say(self, message: Message) -> None:
        """Tell the voice, if it is there and reads; never waits."""
        if self._peer is None:
            return
        try:
            if self._lost:
                self._peer.send(NoticesLost(self._lost).to_bytes())
                self._lost = 0
            self._peer.send(message.to_bytes())
        except BlockingIOError:
            self._lost += 1
        except OSError:
            pass  # it is gone; the next look finds that out

    def close(self) -> None:
        """Leave; a socket of our own is removed."""
        for each in (self._peer, self._listener):
            if each is not None:
                each.close()
        self._peer = self._listener = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _accept(self) -> socket.socket | None:
        if self._listener is None:
            return None
        try:
            newcomer, _ = self._listener.accept()
        except OSError:  # nobody, or one who left again
            return None
        newcomer.setblocking(False)
        return newcomer

    def _drain(self) -> list[bytes]:
        found: list[bytes] = []
        while self._peer is not None and len(found) < MOST:
            try:
                packet = self._peer.recv(LONGEST_REQUEST + 1)
            except ConnectionResetError:  # it left without reading; what it sent is still there
                continue
            except BlockingIOError:
                break
            if not packet and _hung_up(self._peer):
                self._peer.close()
                self._peer = None
            else:
                found.append(packet)
        return found


def _hung_up(peer: socket.socket) -> bool:
    """Return whether reading nothing meant the end, and not an empty packet."""
    asked = select.poll()
    asked.register(peer, select.POLLRDHUP)
    return bool(asked.poll(0))


def bound_listener(path: Path, waiting: int = 4) -> socket.socket:
    """Return a socket that listens at a path which its owner and group may use.

    One that a killed door left behind is replaced. Raises DeviceError.
    """
    try:
        return listener_at(path, waiting, umask=0o117)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DeviceError(f"{path}: no socket can be made there ({reason})") from None


def listener_at(
    path: Path, waiting: int, *, umask: int, kind: int = socket.SOCK_SEQPACKET
) -> socket.socket:
    """Return a socket that listens at a path and never waits, for whom ``umask`` lets use it.

    One that nobody serves any more is replaced. Raises OSError.
    """
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
    before = os.umask(umask)
    try:
        _make_room(path, kind)
        listener.bind(str(path))
        listener.listen(waiting)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


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
