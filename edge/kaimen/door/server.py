"""The door's end of the talk with a voice process: short packets over a Unix socket.

One voice process is served at a time. Nothing here waits for it: what it does not read is lost
and counted, what it sends is read in portions.
"""

from __future__ import annotations

import contextlib
import select
import socket
from pathlib import Path

from kaimen.closing import close_all
from kaimen.door.listener import PathListener, door_listener
from kaimen.door.protocol import LONGEST_REQUEST, Busy, Message, NoticesLost
from kaimen.errors import DeviceError

MOST = 32  # packets that are read in one turn, so that a flood leaves time for the door


class Server:
    """A socket to at most one voice process."""

    def __init__(
        self, *, peer: socket.socket | None = None, listener: PathListener | None = None
    ) -> None:
        self._peer = peer
        self._listener = listener
        self._lost = 0
        self.came = peer is not None  # whether somebody new is there since the last look

    @classmethod
    def inherited(cls, descriptor: int) -> Server:
        """Return the talk with the process that started this one. Raises DeviceError."""
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
        return cls(listener=door_listener(path))

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
        newcomer = None if self._listener is None else self._listener.newcomer()
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
        held = (self._peer, self._listener)
        self._peer = self._listener = None
        close_all(*(each.close for each in held if each is not None))

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
