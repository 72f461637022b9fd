"""Starts the door again and again, and follows every write to the relay's line meanwhile.

Readings of a pin, however often, may miss a moment; here nothing can be missed: QEMU tells of
each write to the registers. What a line does follows from them as the BCM2835's data sheet says.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from pi import LEVELS, OUTPUT, PATIENCE, Pi
from report import Report

SET, CLEAR = 0x1C, 0x28  # offsets of the registers that drive lines 0 to 31 high, and low
SETTINGS = "/etc/kaimen/kaimen.toml"
STOPPED = "kaimen-gate"  # takes the processor, and asks for no opening here
STARTING = 120  # seconds until a door says that it is ready
OPENS = (
    "/opt/kaimen/bin/python -c 'from kaimen.door.client import Door; import time; "
    'd = Door.connect("/run/kaimen/door", timeout=30); d.open(); time.sleep(1); d.rest()\''
)


@dataclass
class Line:
    """A line of the board, as the writes to its registers make it."""

    pin: int
    on: bool  # the level at which the relay is on
    function: int = 0
    high: bool = False
    writes: int = 0  # to it, or to what it is
    pulses: int = 0  # times that it went on
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def now(cls, pi: Pi, pin: int, on: bool) -> Line:
        """Return the line as it is."""
        words = pi.registers()
        function = words[pin // 10] >> pin % 10 * 3 & 0b111
        return cls(pin, on, function, bool(words[LEVELS] >> pin & 1))

    @property
    def is_on(self) -> bool:
        """Return whether the board drives the line to where the relay is on."""
        return self.function == OUTPUT and self.high == self.on

    def write(self, offset: int, value: int) -> None:
        """Do as the board does when a register is written."""
        with self.lock:
            was_on = self.is_on
            if offset == self.pin // 10 * 4:
                self.function = value >> self.pin % 10 * 3 & 0b111
            elif offset in (SET, CLEAR) and value >> self.pin & 1:
                self.high = offset == SET
            else:
                return
            self.writes += 1
            self.pulses += self.is_on and not was_on


def start_often(pi: Pi, report: Report, pin: int, times: int) -> None:
    """Start the door so many times with a relay that is on when high, and one on when low."""
    pi.run(f"systemctl stop {STOPPED}")
    for active_high in (True, False):
        _start_often(pi, report, pin, times, active_high)


def _start_often(pi: Pi, report: Report, pin: int, times: int, active_high: bool) -> None:
    said = f"active {'high' if active_high else 'low'}"
    pi.run("systemctl stop kaimen-door kaimen-rest")
    wanted = str(active_high).lower()
    pi.run(f"sed -i 's/^active_high = .*/active_high = {wanted}/' {SETTINGS}")
    pi.run("systemctl start kaimen-rest", STARTING)  # from here on the level of rest is the new one
    line = Line.now(pi, pin, active_high)
    began = time.monotonic()
    pi.follow(line.write)
    try:
        pi.run("systemctl start kaimen-door", STARTING)
        for number in range(1, times):
            if number % 10:
                pi.run("systemctl restart kaimen-door", STARTING)
            else:
                _kill(pi)
            if number % 20 == 0:
                report.say(f"   {said}: {number} starts, {line.writes} writes")
        blips, writes = line.pulses, line.writes
        pi.run(OPENS, STARTING)  # without it nobody knows that a pulse would have been seen
    finally:
        pi.follow(None)
    true = Line.now(pi, pin, active_high)
    seconds = time.monotonic() - began
    report.found[f"starts, {said}"] = {
        "starts": times, "writes": writes, "blips": blips, "opening": line.pulses - blips,
        "seconds": seconds,
    }  # fmt: skip
    report.check(
        blips == 0
        and line.pulses == 1
        and (true.function, true.high) == (line.function, line.high),
        f"{said}: {times} starts of the door, {writes} writes to the relay's line, {blips} times "
        f"on; an opening after them: {line.pulses - blips}; {seconds:.0f} s",
    )


def _kill(pi: Pi) -> None:
    """Kill the door, and wait until systemd has started the next one."""
    killed = pi.run("systemctl show -P MainPID kaimen-door").strip()
    pi.run(f"kill -9 {killed}")
    _until(pi, f"p=$(systemctl show -P MainPID kaimen-door); [ $p != 0 ] && [ $p != {killed} ] "
               "&& systemctl is-active -q kaimen-door")  # fmt: skip


def _until(pi: Pi, command: str) -> None:
    until = time.monotonic() + STARTING * PATIENCE
    while pi.attempt(command)[0] and time.monotonic() < until:
        time.sleep(0.2)
    pi.run(command)
