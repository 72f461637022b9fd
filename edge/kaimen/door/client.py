"""The voice's end of the talk with the door: what a gate may ask, and what the door says.

A ``Door`` can do what a ``Relay`` can, so a gate takes either. The pins are elsewhere: whatever
becomes of this process, the door ends a lease on time.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from kaimen.closing import Closing, close_all
from kaimen.door.protocol import (
    LONGEST_NOTICE,
    WANTED,
    Alive,
    Busy,
    DoorState,
    Failed,
    Message,
    Notice,
    NoticesLost,
    NotOpened,
    Open,
    Opened,
    RelayStatus,
    Request,
    Rest,
    Show,
    notice_from_bytes,
)
from kaimen.errors import DeviceError, OpeningRefused
from kaimen.settings.door import DoorSettings

SEND = 0.1  # seconds a packet may wait for room
ANSWER = 0.1  # seconds an opening waits for the door's word, which takes some milliseconds
GREETING = 30.0  # seconds a door may take to start, on the slowest Pi
PATIENCE = 5.0  # seconds after which a door that answers no heartbeat counts as hung
LEAVING = 5.0  # seconds a door of our own may take to end
KEPT = 1000  # events that are kept for somebody to read

AGAIN = "start it again, and look into its journal"


@dataclass(frozen=True, slots=True)
class Gone(Message):
    """Tell that the door has ended; the last event, which the door does not say itself."""

    wording = "gone"


def command_line(settings: DoorSettings, *options: str) -> list[str]:
    """Return the command line of a door process with these settings."""
    return [sys.executable, "-m", "kaimen.door.process", json.dumps(asdict(settings)), *options]


class Door(Closing):
    """A door in another process. Closed is its state of rest."""

    def __init__(self, talk: socket.socket) -> None:
        """Use ``connect`` or ``start``: they wait until the door greets."""
        talk.setblocking(False)
        self._talk = talk
        self._child: subprocess.Popen[bytes] | None = None
        self._to_rest: list[str] = []  # the command after a child that did not end by itself
        self._lock = threading.RLock()
        self._events: deque[Notice | Gone] = deque(maxlen=KEPT)
        self._gone = False
        self._on = False
        self._opening = False  # asked for, and not answered yet
        self._refusal = ""
        self._unanswered: float | None = None  # when the heartbeat that waits was sent

    @classmethod
    def connect(cls, path: Path | str, *, timeout: float = GREETING) -> Door:
        """Return the door that listens at a path, greeting within ``timeout`` seconds.

        Raises DeviceError with what to do.
        """
        talk = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        talk.settimeout(timeout)
        try:
            talk.connect(str(path))
        except OSError as error:
            talk.close()
            raise DeviceError(
                f"{path}: no door can be reached there ({error.strerror or error}); start "
                f"'kaimen door --socket {path}', or leave socket under [door] empty"
            ) from None
        door = cls(talk)
        door._be_greeted(timeout)
        return door

    @classmethod
    def start(
        cls, settings: DoorSettings, *, trace: Path | None = None, timeout: float = GREETING
    ) -> Door:
        """Start a door as a child of this process; it ends, relay off first, when this one does.

        ``trace``: a file for what mock pins do. Raises DeviceError with what to do.
        """
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        traced = [] if trace is None else ["--trace", str(trace)]
        command = command_line(settings, "--descriptor", str(there.fileno()), *traced)
        door = cls(here)
        door._to_rest = command_line(settings, "--rest", *traced)
        # What systemd waits for, it waits for from this process, not from its door.
        own = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        environment = {name: value for name, value in os.environ.items() if name not in own}
        with there:
            try:
                # A session of its own: Ctrl-C is for the voice, which then leaves the door.
                door._child = subprocess.Popen(
                    command,
                    pass_fds=[there.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                door.close()
                raise DeviceError(f"the door cannot be started ({error.strerror})") from None
        door._be_greeted(timeout)
        return door

    @property
    def is_on(self) -> bool:
        """Return whether the relay is on, by the door's last word; False when the door is gone."""
        self._hear()
        return self._on

    def open(self) -> None:
        """Ask for one lease; a second opening begins a new lease.

        Waits 0.1 s at most for the door to say that it did; that it takes longer is no error.
        Raises OpeningRefused when the door says why it did not open, and DeviceError when it is
        gone or takes no words.
        """
        with self._lock:
            self._send(Open(time.monotonic() + WANTED))
            self._opening, self._refusal = True, ""
        self._wait(lambda: not self._opening, ANSWER)
        if self._refusal:
            raise OpeningRefused(f"the door did not open: {self._refusal}")
        self._require()

    def show(self, what: str) -> None:
        """Light and sound: one of ``kaimen.door.patterns.SHOWS``.

        Raises ValueError for anything else, and DeviceError.
        """
        self._send(Show(what))

    def alive(self) -> None:
        """Give a sign of life, due every few seconds. Raises DeviceError for a door without one."""
        self._hear()
        now = time.monotonic()
        with self._lock:
            if self._unanswered is not None and now - self._unanswered > PATIENCE:
                raise DeviceError(f"the door hangs; {AGAIN}")
            self._send(Alive())
            if self._unanswered is None:
                self._unanswered = now

    def rest(self) -> None:
        """End our lease now; what the exit button began goes on.

        A door that is gone or hangs is not an error here: it ends the lease by itself.
        """
        with contextlib.suppress(DeviceError):
            self._send(Rest())
        self._wait(lambda: not self._on, ANSWER)

    def wait_for_rest(self, timeout: float | None = None) -> bool:
        """Wait until the relay is off; False if it still was on after ``timeout`` seconds.

        Raises DeviceError when the door is gone.
        """
        rested = self._wait(lambda: not self._opening and not self._on, timeout)
        self._require()
        return rested

    def events(self) -> list[Notice | Gone]:
        """Return what the door said since the last call, in its order; never wait.

        The first call gives how it was when it greeted, too.
        """
        self._hear()
        with self._lock:
            events = list(self._events)
            self._events.clear()
        return events

    def close(self) -> None:
        """Leave; a door of our own ends, the relay off first. Another ends its lease by itself."""
        close_all(self._rest_child, self._leave, self._end_child)

    def _require(self) -> None:
        if self._gone:
            raise DeviceError(f"the door has ended; {AGAIN}")

    def _send(self, request: Request) -> None:
        with self._lock:
            self._require()
            if not self._ready(select.POLLOUT, SEND):
                raise DeviceError(f"the door takes no words; {AGAIN}")
            try:
                self._talk.send(request.to_bytes())
            except OSError:
                raise DeviceError(f"the door has ended; {AGAIN}") from None

    def _ready(self, event: int, timeout: float) -> bool:
        asked = select.poll()
        asked.register(self._talk, event)
        return bool(asked.poll(timeout * 1000))

    def _wait(self, done: Callable[[], bool], timeout: float | None) -> bool:
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            self._hear()
            left = end - time.monotonic()
            if done() or self._gone or left <= 0:
                return done()
            # In portions: another thread may have heard what is waited for.
            self._ready(select.POLLIN, min(left, 0.05))

    def _hear(self) -> None:
        """Take in whatever the door has said."""
        with self._lock:
            while not self._gone:
                try:
                    packet = self._talk.recv(LONGEST_NOTICE)
                except BlockingIOError:
                    return
                except ConnectionResetError:  # it ended without reading; its words are still there
                    continue
                if packet:
                    self._note(notice_from_bytes(packet))
                else:
                    self._events.append(Gone())
                    self._leave()

    def _note(self, notice: Notice) -> None:
        match notice:
            case Alive():
                self._unanswered = None
                return
            case RelayStatus(on):
                self._on = on
            case Opened("voice") | NoticesLost():
                self._opening = False
            case NotOpened(why):
                self._opening, self._refusal = False, why
        self._events.append(notice)

    def _leave(self) -> None:
        with self._lock:
            self._gone, self._on, self._opening = True, False, False
            self._talk.close()

    def _rest_child(self) -> None:
        if self._child is not None:
            with contextlib.suppress(DeviceError):
                self._send(Rest())

    def _end_child(self) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            _end(child, self._to_rest)

    def _be_greeted(self, timeout: float) -> None:
        """Wait until the door says how it is, its state last; or why it cannot serve."""

        def greeting() -> Notice | Gone | None:
            ends = (DoorState, Failed, Busy)
            return next((each for each in list(self._events) if isinstance(each, ends)), None)

        self._wait(lambda: greeting() is not None, timeout)
        match greeting():
            case DoorState():
                return
            case Failed(why):
                refusal = why
            case Busy():
                refusal = "another voice process has the door; stop that one first"
            case _:
                refusal = f"the door did not greet; {AGAIN}"
        self.close()
        raise DeviceError(refusal)


def _end(child: subprocess.Popen[bytes], to_rest: list[str]) -> None:
    """Wait for a child that has lost its peer; kill one that hangs, and see to its pin."""
    try:
        code = child.wait(LEAVING)
    except subprocess.TimeoutExpired:
        child.kill()
        code = child.wait()
    if code < 0:  # killed: whatever its pins did last, they may do still
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(to_rest, stdin=subprocess.DEVNULL, timeout=GREETING, check=False)
