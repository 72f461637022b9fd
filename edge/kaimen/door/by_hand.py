"""Opening by hand: a socket of the door's own for the operator's desk.

The door serves one voice process at a time, and opens by hand whether that is there or not. Who
asks sends one ``open`` of the protocol and gets one answer; the desk says who it was, in its log.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from kaimen.closing import Closing, close_all
from kaimen.door.listener import PathListener, door_listener
from kaimen.door.protocol import (
    LONGEST_NOTICE,
    LONGEST_REQUEST,
    TOO_LATE,
    WANTED,
    Message,
    Notice,
    NotOpened,
    Open,
    Opened,
    OpenIfWritten,
    Show,
    notice_from_bytes,
)
from kaimen.errors import DeviceError

MOST = 8  # who may ask at a time
PATIENCE = 1.0  # seconds that somebody who says nothing is kept
ANSWER = 2.0  # seconds an answer is waited for
LOOK = 0.1  # seconds an answer is waited for where only a light is asked for


def hand_socket_path(path: Path) -> Path:
    """Return where the socket for opening by hand is, beside the door's own."""
    return path.with_name(f"{path.name}-hand")


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who connected, and when."""

    talk: socket.socket
    came: float

    def answer(self, message: Message) -> None:
        """Answer and leave; never wait."""
        with contextlib.suppress(OSError), self.talk:
            self.talk.send(message.to_bytes())


class HandServer(Closing):
    """The door's end; without a socket nobody asks."""

    def __init__(self, listener: PathListener | None = None) -> None:
        """Use ``listening`` for one at a path."""
        self._listener = listener
        self._askers: list[Asker] = []

    @classmethod
    def listening(cls, path: Path) -> HandServer:
        """Wait at a path that its owner and group may use. Raises DeviceError."""
        return cls(door_listener(path, MOST))

    def read(self, now: float) -> list[tuple[Asker, bytes]]:
        """Return who asks and their packets; never wait. ``now``: seconds of the door's clock."""
        if self._listener is not None and len(self._askers) < MOST:
            talk = self._listener.newcomer()
            if talk is not None:
                self._askers.append(Asker(talk, now))
        found, waiting = [], []
        for asker in self._askers:
            try:
                found.append((asker, asker.talk.recv(LONGEST_REQUEST + 1)))
            except BlockingIOError:
                if now - asker.came < PATIENCE:
                    waiting.append(asker)
                else:
                    asker.talk.close()
            except OSError:
                asker.talk.close()
        self._askers = waiting
        return found

    def close(self) -> None:
        """Leave; the socket is removed."""
        held = [*(asker.talk for asker in self._askers), self._listener]
        self._askers, self._listener = [], None
        close_all(*(each.close for each in held if each is not None))


def open_by_hand(door: Path, *, if_written: bool = False, patience: float = 0.0) -> None:
    """Ask the door at a socket, its own one, for one lease.

    ``if_written``: only while a gate is there that writes it down, for who keeps no log.
    ``patience``: seconds in which a busy door that came too late to a request is asked again.
    Raises DeviceError with what to do where it did not open.
    """
    latest = time.monotonic() + patience
    while True:
        until = time.monotonic() + WANTED
        answer = _asked(
            hand_socket_path(door), OpenIfWritten(until) if if_written else Open(until), ANSWER
        )
        match answer:
            case Opened():
                return
            case NotOpened(why) if why == TOO_LATE and time.monotonic() < latest:
                continue
            case NotOpened(why):
                raise DeviceError(f"the door did not open: {why}")
        raise DeviceError("the door did not say that it opened; look whether it did")


def show_by_hand(door: Path, what: str) -> None:
    """Ask it for a pattern of light and sound; wait 0.1 s at most. Raises DeviceError."""
    _asked(hand_socket_path(door), Show(what), LOOK)


def _asked(path: Path, request: Message, patience: float) -> Notice:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talk:
        talk.settimeout(patience)
        try:
            talk.connect(str(path))
            talk.send(request.to_bytes())
            return notice_from_bytes(talk.recv(LONGEST_NOTICE))
        except OSError as error:
            raise DeviceError(
                f"{path}: the door cannot be asked ({error.strerror or error}); see whether "
                "'kaimen door' runs, of this version, with this socket"
            ) from None
