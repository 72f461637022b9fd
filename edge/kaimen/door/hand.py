"""Opening by hand: a socket where a program beside the voice may ask for one lease.

A panel, a home automation or an operator's page sends one packet and gets one answer: ``open`` with
the time until which that is wanted, or ``show`` with what somebody at the door should see. Nothing
here waits for them.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kaimen.closing import Closing
from kaimen.door.patterns import HAND_SHOWS
from kaimen.door.protocol import (
    LONGEST_NOTICE,
    LONGEST_REQUEST,
    Message,
    Notice,
    NotOpened,
    Open,
    Opened,
    Show,
    notice_from_bytes,
    request_from_bytes,
)
from kaimen.door.server import bound_listener
from kaimen.errors import DeviceError

MOST = 8  # who may wait at once
PATIENCE = 1.0  # seconds one may take to ask
WANTED = 1.0  # seconds after which an opening that the door did not see yet is not wanted any more
ANSWER = 2.0  # seconds the door may take to answer
LOOK = 0.1  # the same, for light and sound


@dataclass(slots=True)
class _Asking:
    peer: socket.socket
    until: float


class HandSocket(Closing):
    """The door's end."""

    def __init__(self, path: Path) -> None:
        """Listen at a path that its owner and group may use. Raises DeviceError."""
        self._path = path
        self._listener = bound_listener(path)
        self._asking: list[_Asking] = []

    def turn(
        self, now: float, open_until: Callable[[float], Message], show: Callable[[str], None]
    ) -> None:
        """Answer whoever has asked by now; ``open_until`` opens, or says why not."""
        with contextlib.suppress(OSError):  # nobody, or one who left again
            peer, _ = self._listener.accept()
            peer.setblocking(False)
            if len(self._asking) < MOST:
                self._asking.append(_Asking(peer, now + PATIENCE))
            else:
                peer.close()
        self._asking = [each for each in self._asking if self._waits(each, now, open_until, show)]

    def _waits(
        self,
        asking: _Asking,
        now: float,
        open_until: Callable[[float], Message],
        show: Callable[[str], None],
    ) -> bool:
        """Return whether nothing was asked yet, and may be still."""
        try:
            packet = asking.peer.recv(LONGEST_REQUEST + 1)
        except BlockingIOError:
            if now < asking.until:
                return True
            packet = b""
        except OSError:
            packet = b""
        answer: Message = NotOpened("only 'open' with a time, or 'show', can be asked for here")
        with contextlib.suppress(ValueError):
            match request_from_bytes(packet):
                case Open(float() as until):
                    answer = open_until(until)
                case Show(what) as request if what in HAND_SHOWS:
                    show(what)
                    answer = request
        with contextlib.suppress(OSError), asking.peer:
            asking.peer.send(answer.to_bytes())
        return False

    def close(self) -> None:
        """Leave; the socket is removed."""
        for each in self._asking:
            each.peer.close()
        self._asking = []
        self._listener.close()
        self._path.unlink(missing_ok=True)


def open_by_hand(path: Path | str) -> None:
    """Ask the door that listens at a path for one lease. Raises DeviceError with the reason."""
    answer = _asked(path, Open(time.monotonic() + WANTED))
    if not isinstance(answer, Opened):
        why = answer.why if isinstance(answer, NotOpened) else str(answer)
        raise DeviceError(f"the door did not open: {why}")


def show_by_hand(path: Path | str, what: str) -> None:
    """Ask it for a pattern of light and sound; wait 0.1 s at most. Raises DeviceError."""
    _asked(path, Show(what), LOOK)


def _asked(path: Path | str, request: Message, patience: float = ANSWER) -> Notice:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talk:
        talk.settimeout(patience)
        try:
            talk.connect(str(path))
            talk.send(request.to_bytes())
            return notice_from_bytes(talk.recv(LONGEST_NOTICE))
        except OSError as error:
            raise DeviceError(
                f"{path}: the door cannot be asked ({error.strerror or error}); look whether it "
                "runs, and for hand under [door]"
            ) from None
