"""A door on a bench: mock pins, a clock that is moved by hand, and a voice at the other end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory

from kaimen.door.client import Door, command_line
from kaimen.door.controller import DoorController
from kaimen.door.pins import mock_pins, trace
from kaimen.door.protocol import TOO_LATE
from kaimen.door.server import Server
from kaimen.errors import OpeningRefused
from kaimen.settings import DoorSettings

LEASE = 30.0  # seconds of the clock on the bench; no test lasts as long by any other
HELD = 20.0
ENOUGH = 60.0  # seconds in which anything has happened on any machine
CONTACT, BUTTON, TAMPER, GREEN, RED, BUZZER = 5, 6, 7, 20, 21, 22


def wired(**others: object) -> DoorSettings:
    """Everything that can be wired is; the contact is high while the door is closed."""
    everything = {
        "lease": LEASE,
        "held": HELD,
        "contact": CONTACT,
        "contact_closed": "high",  # as mock inputs are until they are driven
        "button": BUTTON,
        "green": GREEN,
        "red": RED,
        "buzzer": BUZZER,
        "mock": True,
    }
    return DoorSettings(**{**everything, **others})  # type: ignore[arg-type]


def wait_until_it_listens(process: subprocess.Popen[Any], path: Path) -> None:
    """Wait for a door at a socket, whose file is there a moment before anybody can connect."""
    until = time.monotonic() + ENOUGH
    listens = re.compile(rf"00010000 .* {re.escape(str(path))}$", re.M)
    while not listens.search(Path("/proc/net/unix").read_text()):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def served_door(path: Path, *options: str, **settings: Any) -> Iterator[Door]:
    """A door with mock pins in a process of its own, at a socket, and its voice."""
    chosen = DoorSettings(mock=True, **settings)
    running = subprocess.Popen(command_line(chosen, "--socket", str(path), *options))
    try:
        wait_until_it_listens(running, path)
        with Door.connect(path) as door:
            yield door
    finally:
        running.terminate()
        running.wait(ENOUGH)


def opened(door: Door, ask: Callable[[Door], None] = Door.open) -> None:
    """Have a door open, and wait until it said so.

    One that has no turn for a second comes too late to the request; then it is asked again. It
    can stand for ``Door.open``, where a whole gate is tested on a busy machine.
    """
    until = time.monotonic() + ENOUGH
    while True:
        try:
            ask(door)
            door._wait(lambda: not door._opening, ENOUGH)
        except OpeningRefused as refused:
            assert TOO_LATE in str(refused) and time.monotonic() < until
            continue
        if not door._refusal:
            return
        assert TOO_LATE in door._refusal and time.monotonic() < until


def stopped(process: subprocess.Popen[Any]) -> None:
    """Stop a process, and wait until it stands."""
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


class Bench:
    """A door process, its pins and its voice."""

    def __init__(self, settings: DoorSettings) -> None:
        self.settings = settings
        self.pins: MockFactory = mock_pins()
        self.now = 1000.0
        self.log: list[str] = []
        self.voice, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.voice.setblocking(False)
        there.setblocking(False)
        self.process = DoorController(
            settings,
            Server(peer=there),
            pins=self.pins,
            clock=lambda: self.now,
            log=self.log.append,
        )

    def turn(self) -> None:
        """One turn, without time going on."""
        self.process.turn()

    def wait(self, seconds: float, *, seen: int | None = None) -> list[bool]:
        """Let time go on, 10 ms a turn; the levels of a pin meanwhile."""
        levels = []
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            self.process.turn()
            levels.append(seen is not None and self.level(seen))
        return levels

    def tell(self, *packets: bytes | str) -> None:
        """The voice says something, and the door has a turn."""
        for packet in packets:
            self.voice.send(packet.encode() if isinstance(packet, str) else packet)
        self.turn()

    def heard(self) -> list[str]:
        """What the voice heard since it last listened."""
        words = []
        while True:
            try:
                word = self.voice.recv(1000)
            except BlockingIOError:
                return words
            if not word:
                return [*words, "gone"]
            words.append(word.decode())

    def drive(self, pin: int, high: bool, *, seconds: float = 0.1) -> None:
        """Something outside sets an input, and some time goes on."""
        mock = self.pins.pin(f"GPIO{pin}")
        (mock.drive_high if high else mock.drive_low)()
        self.wait(seconds)

    def press(self) -> None:
        """Somebody presses the exit button."""
        self.drive(BUTTON, False)
        self.drive(BUTTON, True)

    def level(self, pin: int) -> bool:
        return bool(self.pins.pin(f"GPIO{pin}").state)

    @property
    def relay(self) -> list[bool]:
        """Everything the relay's pin did."""
        return [change.on for change in trace(self.pins, self.settings.pin)]


@contextmanager
def bench(**settings: object) -> Iterator[Bench]:
    """A bench that has been greeted."""
    made = Bench(wired(**settings))
    try:
        with made.process:
            made.turn()
            made.heard()
            yield made
    finally:
        made.voice.close()
        made.pins.reset()
