"""A Raspberry Pi 3B in QEMU: a console that runs commands, and a pin that is read from outside.

The standard library is enough. The pin is read from the registers of the emulated BCM2837
through QEMU's monitor, so that no program inside takes part in it. Whoever must not miss a
moment follows every write to these registers instead.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

REGISTERS = 0x3F200000  # of the BCM2837's pins: six words of functions, ..., levels at word 13
LEVELS = 13
OUTPUT = 0b001  # a pin's function, three bits each, ten pins a word
WRITES = "memory_region_ops_write"  # what QEMU calls a write to any device's registers
PINS = b"name 'bcm2835_gpio'"  # and whose registers the pins are
# How many times as long as on an idle machine everything may take.
PATIENCE = float(os.environ.get("PATIENCE", "1"))
# QEMU counts a nanosecond an instruction, whichever core executes it: at most 1.0e9 instructions
# a second of the Pi's clock in all. One A53 of a Pi 3B is taken for 0.84e9. So one core works:
# threads that wait for each other on four would take turns from those that have something to do.
OWN_CLOCK = ("-icount", "shift=0,sleep=on")
ONE_CORE = " isolcpus=1-3"
SLOWER = 30.0  # times as long as there a second may take here, by that clock
CARD = "card.img"
BOOTING = 300.0  # seconds until there is a shell
KERNEL = (
    "console=ttyS1,115200 root=/dev/mmcblk1 rootwait rw quiet loglevel=1 "
    "systemd.show_status=no systemd.unit=multi-user.target"
)


class PiError(RuntimeError):
    """The emulated Pi did not do what it was asked."""


class Pi:
    """A Pi that runs from a folder that build.sh made; a context manager.

    ``card``: the file that it boots from, in that folder; nothing is written to it. With
    ``own_clock`` its time goes by the instructions that it executes, so its processor keeps up
    with its sound card however slow this machine is.
    """

    def __init__(self, folder: Path, *, card: str = CARD, own_clock: bool = False) -> None:
        self.folder = folder
        self.own_clock = own_clock
        self.slower = SLOWER if own_clock else 1.0
        self._card = folder / card
        self._numbers = itertools.count(1)
        self._written: Callable[[int, int], None] | None = None  # told of each write

    def __enter__(self) -> Pi:
        self._sockets = tempfile.TemporaryDirectory(prefix="pi-")
        place = Path(self._sockets.name)
        command = [
            "qemu-system-aarch64", "-M", "raspi3b", "-display", "none", "-snapshot",
            *(OWN_CLOCK if self.own_clock else ()),
            "-kernel", f"{self.folder}/kernel", "-initrd", f"{self.folder}/initrd",
            "-dtb", f"{self.folder}/board.dtb",
            "-append", KERNEL + (ONE_CORE if self.own_clock else ""),
            "-drive", f"file={self._card},if=sd,format=raw",
            "-serial", "null",
            "-serial", f"unix:{place}/console,server=on,wait=on",
            "-qmp", f"unix:{place}/monitor,server=on,wait=off",
        ]  # fmt: skip
        self._began = time.monotonic()
        self._qemu = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reader = threading.Thread(target=self._read, name="qemu", daemon=True)
        self._reader.start()
        try:
            self._console = Console(_connect(place / "console"), self.folder / "console.log")
            self._monitor = Monitor(_connect(place / "monitor"))
            self._console.wait_for(b"PI IS UP", BOOTING * PATIENCE * self.slower)
            self.booted = time.monotonic() - self._began
            self.run(f"date -s @{int(time.time())}")  # a Pi has no clock of its own
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._qemu.kill()  # the card is a snapshot: there is nothing to save
        self._qemu.wait()
        self._reader.join()
        self._sockets.cleanup()

    def _read(self) -> None:
        """Read what QEMU says: writes to the pins' registers, and all else into a log."""
        assert self._qemu.stdout is not None
        with (self.folder / "qemu.log").open("wb") as log:
            for line in self._qemu.stdout:
                if WRITES.encode() not in line:
                    log.write(line)
                    log.flush()
                elif PINS in line and self._written is not None:
                    found = re.search(rb"addr 0x([0-9a-f]+) value 0x([0-9a-f]+)", line)
                    assert found is not None
                    self._written(int(found[1], 16) - REGISTERS, int(found[2], 16))

    def follow(self, written: Callable[[int, int], None] | None) -> None:
        """Tell of each write to the pins' registers, offset and value, until told otherwise.

        It is told in another thread, in the order of the writes.
        """
        self._written = written or self._written
        state = "on" if written else "off"
        self._monitor.say(f"trace-event {WRITES} {state}")
        if written is None:
            time.sleep(0.5)  # what was written before is on its way
            self._written = None

    def registers(self) -> list[int]:
        """Return the words of the pins' registers, functions first, levels last."""
        return self._monitor.words(REGISTERS, LEVELS + 1)

    def run(self, command: str, timeout: float = 120) -> str:
        """What a command printed. Raises PiError where its exit code is not 0."""
        status, text = self.attempt(command, timeout)
        if status:
            raise PiError(f"{command}: exit code {status}\n{text}")
        return text

    def attempt(self, command: str, timeout: float = 120) -> tuple[int, str]:
        """A command's exit code, and what it printed."""
        number = next(self._numbers)
        # Halved, so that a console that echoed the command would not be taken for its end.
        self._console.send(f"{{ {command}\n}} </dev/null 2>&1; echo END''OF {number} $?\n")
        end = re.compile(rb"ENDOF %d (\d+)\r?\n" % number)
        text, found = self._console.wait_for(end, timeout * PATIENCE * self.slower)
        return int(found[1]), text.decode(errors="replace").replace("\r\n", "\n")

    def now(self) -> float:
        """Return seconds of the clock by which the Pi lives: its own one, or this machine's."""
        return float(self.run("cut -d' ' -f1 /proc/uptime")) if self.own_clock else time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait so long, by that clock."""
        if self.own_clock:
            self.run(f"sleep {seconds}")
        else:
            time.sleep(seconds)

    def pin(self, number: int) -> bool:
        """Return whether the Pi drives a pin high now: it is an output, and its level is high.

        QEMU keeps the level of an output that became an input; on a board such a pin is held
        low by the pull-down that the wiring asks for.
        """
        words = self.registers()
        function = words[number // 10] >> number % 10 * 3 & 0b111
        return function == OUTPUT and bool(words[LEVELS] >> number & 1)


class Console:
    """The serial line with a shell at its other end."""

    def __init__(self, line: socket.socket, log: Path) -> None:
        self._line = line
        self._log = log.open("wb")
        self._heard = b""

    def send(self, text: str) -> None:
        """Type it."""
        self._line.settimeout(30)
        self._line.sendall(text.encode())

    def wait_for(self, what: bytes | re.Pattern[bytes], timeout: float) -> tuple[bytes, Any]:
        """What came before, and the match."""
        pattern = re.compile(re.escape(what)) if isinstance(what, bytes) else what
        until = time.monotonic() + timeout
        while not (found := pattern.search(self._heard)):
            self._line.settimeout(max(0.01, until - time.monotonic()))
            try:
                more = self._line.recv(65536)
            except TimeoutError:
                said = self._heard[-2000:].decode(errors="replace")
                raise PiError(
                    f"no {pattern.pattern!r} within {timeout:g} s; last:\n{said}"
                ) from None
            if not more:
                raise PiError("the emulator ended; see qemu.log")
            self._log.write(more)
            self._log.flush()
            self._heard += more
        before, self._heard = self._heard[: found.start()], self._heard[found.end() :]
        return before, found


class Monitor:
    """QEMU's monitor, which reads the board's memory."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line.makefile("rwb", buffering=0)
        self._lines = line.makefile("rb")
        self._lock = threading.Lock()
        self._lines.readline()  # the greeting
        self._ask("qmp_capabilities")

    def _ask(self, command: str, **arguments: Any) -> Any:
        with self._lock:
            question = {"execute": command, "arguments": arguments}
            self._line.write(json.dumps(question).encode() + b"\n")
            while line := self._lines.readline():
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise PiError(answer["error"]["desc"])
        raise PiError("the emulator ended; see qemu.log")

    def say(self, command: str) -> str:
        """What the monitor answers to a line that a person might type."""
        return str(self._ask("human-monitor-command", **{"command-line": command}))

    def words(self, address: int, count: int) -> list[int]:
        """Words of the board's memory, 32 bits each."""
        text = self.say(f"xp /{count}xw {address:#x}")
        return [int(word, 16) for line in text.splitlines() for word in line.split()[1:]]


@dataclass(frozen=True, slots=True)
class Pulse:
    """A time for which the pin was on, by the clock outside."""

    began: float
    ended: float | None  # None: it still is

    @property
    def seconds(self) -> float:
        """How long it was on."""
        return (time.monotonic() if self.ended is None else self.ended) - self.began


class Watch:
    """Reads a pin as often as it can, in a thread of its own; a context manager.

    A pulse lasts from the first reading that found the pin on to the first that did not.
    """

    EVERY = 0.002  # seconds between readings, at least

    def __init__(self, pi: Pi, pin: int, every: float = EVERY) -> None:
        self._pi = pi
        self._every = every
        self._pin = pin
        self._changed = threading.Condition()
        self._pulses: list[Pulse] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self.readings = 0
        self.longest_gap = 0.0  # seconds between two readings
        self.failed: BaseException | None = None

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self.failed and error is None:
            raise self.failed

    def _watch(self) -> None:
        before = time.monotonic()
        try:
            while not self._ended.wait(self._every):
                on = self._pi.pin(self._pin)
                now = time.monotonic()
                self.readings += 1
                self.longest_gap = max(self.longest_gap, now - before)
                before = now
                self._note(on, now)
        except BaseException as error:  # whoever waits for the pin must learn of it
            with self._changed:
                self.failed = error
                self._changed.notify_all()

    def _note(self, on: bool, now: float) -> None:
        with self._changed:
            if on != self._is_on():
                if on:
                    self._pulses.append(Pulse(now, None))
                else:
                    self._pulses[-1] = Pulse(self._pulses[-1].began, now)
                self._changed.notify_all()

    def _is_on(self) -> bool:
        return bool(self._pulses) and self._pulses[-1].ended is None

    @property
    def is_on(self) -> bool:
        """Return whether the pin was on at the last reading."""
        with self._changed:
            return self._is_on()

    def since(self, when: float) -> list[Pulse]:
        """The pulses that were not over before ``when``."""
        with self._changed:
            return [p for p in self._pulses if p.ended is None or p.ended >= when]

    def wait_until(self, on: bool, timeout: float) -> bool:
        """Wait until the pin is on, or off; False if it was not within ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.failed or self._is_on() == on, timeout)
            if self.failed:
                raise self.failed
            return self._is_on() == on


def _connect(path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    for _ in range(100):
        try:
            line.connect(str(path))
            return line
        except OSError:
            time.sleep(0.05)
    raise PiError(f"{path}: the emulator did not start; see qemu.log")
