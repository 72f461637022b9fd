"""The voice process is killed at any moment, the door too: what the relay's pin does meanwhile.

The pin is seen from outside, in the trace that the door writes. ``KAIMEN_KILLS=1000`` kills more.
``KAIMEN_LATE`` is how many seconds after its lease a relay may go off: 0.1 on a machine that has
nothing else to do; more by default, since tests share their machine with others, which may keep a
process from running for seconds.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kaimen.door.client import Door, command_line
from kaimen.settings import DoorSettings
from kaimen.settings.door import PIN
from tests.door.bench import opened, stopped, wait_until_it_listens
from tests.hardware.trace import Level, as_changes, assert_trace, traced, was_on

KILLS = int(os.environ.get("KAIMEN_KILLS", "50"))
LATE = float(os.environ.get("KAIMEN_LATE", "10.0"))
LEASE = 0.2
ENOUGH = 60.0  # seconds in which anything has happened on any machine


@dataclass
class Served:
    """A door that listens, and what its pins did."""

    process: subprocess.Popen[bytes]
    socket: Path
    trace: Path

    @property
    def relay(self) -> list[Level]:
        return traced(self.trace, PIN)

    def wait(self, on: bool) -> None:
        """Until the relay is on, or off."""
        until = time.monotonic() + ENOUGH
        while was_on(self.relay, time.monotonic()) is not on:
            assert time.monotonic() < until, f"the relay is not {'on' if on else 'off'}"
            time.sleep(0.002)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Served]:
    socket, trace = tmp_path / "door", tmp_path / "trace"
    settings = DoorSettings(lease=LEASE, mock=True)
    command = command_line(settings, "--socket", str(socket), "--trace", str(trace))
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until_it_listens(process, socket)
    yield Served(process, socket, trace)
    process.terminate()
    process.wait(ENOUGH)


@pytest.fixture
def voices(door: Served) -> Iterator[subprocess.Popen[str]]:
    """Starts voice processes that open again and again."""
    command = [sys.executable, "-m", "tests.hardware.voices", str(door.socket)]
    pipe, root = subprocess.PIPE, Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root) as mother:
        yield mother


def kill_a_voice(
    voices: subprocess.Popen[str], door: Served, chance: random.Random, *, while_on: bool
) -> float:
    """Start one, kill it at some moment, and tell when."""
    assert voices.stdin is not None and voices.stdout is not None
    voices.stdin.write(f"{chance.randrange(1 << 30)}\n")
    voices.stdin.flush()
    number = int(voices.stdout.readline())
    if while_on:
        door.wait(on=True)
        time.sleep(chance.uniform(0, LEASE))
    else:
        time.sleep(chance.uniform(0, 0.1))
    os.kill(number, signal.SIGKILL)
    return time.monotonic()


@pytest.mark.slow
def test_a_relay_is_off_on_time_whenever_the_voice_is_killed(
    door: Served, voices: subprocess.Popen[str]
) -> None:
    chance = random.Random(1)
    while_on, latest = 0, 0.0
    for number in range(KILLS):
        killed = kill_a_voice(voices, door, chance, while_on=number % 2 == 0)
        time.sleep(0.01)  # until what was said before is done
        while_on += was_on(door.relay, killed)
        door.wait(on=False)
        latest = max(latest, door.relay[-1].at - killed if door.relay else 0.0)
        assert latest <= LEASE + LATE
    time.sleep(LEASE)
    door.wait(on=False)
    found = door.relay
    assert [level.on for level in found] == [index % 2 == 0 for index in range(len(found))]
    assert not found[-1].on and door.process.poll() is None
    assert while_on >= KILLS // 10
    sys.stderr.write(
        f"\n{KILLS} voices killed, {while_on} of them while the relay was on; it went off at "
        f"most {latest:.3f} s after a kill (lease {LEASE} s), {len(found) // 2} times on\n"
    )


def test_one_opening_is_one_lease_long_seen_from_outside(door: Served) -> None:
    with Door.connect(door.socket) as voice:
        opened(voice)
        assert voice.wait_for_rest(ENOUGH)
    expected = [(None, False), (None, True), (LEASE + LATE / 2, False)]
    assert_trace(as_changes(door.relay), expected, tolerance=LATE / 2 + 0.05)


def test_a_relay_goes_off_by_its_own_timer_though_the_door_is_stopped_and_goes_on(
    door: Served,
) -> None:
    """Nothing ends a lease in a process that does not run; the unit's watchdog kills it then."""
    with Door.connect(door.socket) as voice:
        openings, until = 0, time.monotonic() + ENOUGH
        while not was_on(door.relay, time.monotonic()):  # it stands within a lease
            assert time.monotonic() < until
            door.process.send_signal(signal.SIGCONT)
            opened(voice)
            openings += 1
            stopped(door.process)
        time.sleep(2 * LEASE)
        assert was_on(door.relay, time.monotonic())
        door.process.send_signal(signal.SIGCONT)
        door.wait(on=False)
        assert [level.on for level in door.relay] == openings * [True, False]


@pytest.mark.slow
def test_a_killed_door_leaves_its_pin_and_rest_sees_to_it(tmp_path: Path) -> None:
    """With mock pins a level outlives its process in the trace only.

    The relay of this test is on when low, so that being driven to rest is seen: mock pins of a
    new process begin low.
    """
    trace = tmp_path / "trace"
    settings = DoorSettings(lease=60.0, active_high=False, mock=True)
    command = command_line(settings, "--socket", str(tmp_path / "door"), "--trace", str(trace))
    for _ in range(2):  # the second finds the socket that the first left
        trace.unlink(missing_ok=True)
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            until = time.monotonic() + ENOUGH
            while not trace.exists() or not traced(trace, PIN):
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.01)
            voice = _connected(tmp_path / "door")
            opened(voice)
            while len(traced(trace, PIN)) < 2:
                assert time.monotonic() < until
                time.sleep(0.01)
            process.kill()
            process.wait(ENOUGH)
            voice.close()
        assert [level.on for level in traced(trace, PIN)] == [True, False]
        rest = command_line(settings, "--rest", "--trace", str(trace))
        assert subprocess.run(rest, check=False).returncode == 0
        assert [level.on for level in traced(trace, PIN)] == [True, False, True]


def _connected(socket: Path) -> Door:
    until = time.monotonic() + ENOUGH
    while True:
        try:
            return Door.connect(socket)
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.01)
