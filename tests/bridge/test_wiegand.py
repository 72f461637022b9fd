"""Two pins and their pulses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from kaimen.bridge.card_format import Bits, read_of
from kaimen.bridge.wiegand import PERIOD, PULSE, WiegandBridge, send
from kaimen.door.pins import mock_pins, trace
from kaimen.errors import SettingsError
from kaimen.settings import DoorSettings, WiegandSettings
from tests.bridge.gates import LoggedGate, Running, soon

DATA0, DATA1 = 23, 24
SETTINGS = WiegandSettings(data0=DATA0, data1=DATA1)


class Clock:
    """A clock of its own: each look takes a microsecond, each sleep as long as it says."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1000
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


class Recorded:
    """A line that remembers when it was pulled low, and for how long."""

    def __init__(self, clock: Clock, pulses: list[tuple[int, int, int]], bit: int) -> None:
        self._clock, self._pulses, self._bit = clock, pulses, bit
        self.low_since: int | None = None

    def on(self) -> None:
        self.low_since = self._clock.now

    def off(self) -> None:
        assert self.low_since is not None
        self._pulses.append((self._bit, self.low_since, self._clock.now - self.low_since))
        self.low_since = None


@pytest.mark.parametrize("bits", [26, 34])
def test_each_bit_is_one_pulse_of_50_us_every_2_ms(bits: int) -> None:
    clock, pulses = Clock(), []
    read = read_of(12345, facility=7, bits=bits)
    lines = (Recorded(clock, pulses, 0), Recorded(clock, pulses, 1))
    send(read, lines, clock=clock, sleep=clock.sleep)
    assert tuple(bit for bit, *_ in pulses) == read
    assert all(abs(length - PULSE) <= 2000 for *_, length in pulses)
    begins = [begin for _, begin, _ in pulses]
    apart = [later - earlier for earlier, later in itertools.pairwise(begins)]
    assert all(abs(each - PERIOD) <= 2000 for each in apart)


def test_pulses_are_never_closer_than_they_should_be() -> None:
    clock, pulses = Clock(), []

    def oversleep(seconds: float) -> None:
        clock.sleep(seconds + (0.007 if len(pulses) == 5 else 0.0))

    read = read_of(12345, facility=7, bits=26)
    send(
        read, (Recorded(clock, pulses, 0), Recorded(clock, pulses, 1)), clock=clock, sleep=oversleep
    )
    begins = [begin for _, begin, _ in pulses]
    assert all(b - a >= PERIOD - 2000 for a, b in itertools.pairwise(begins))
    assert tuple(bit for bit, *_ in pulses) == read


def test_a_line_rests_whatever_happens() -> None:
    clock, pulses = Clock(), []

    class Failing(Recorded):
        def on(self) -> None:
            super().on()
            raise OSError

    line = Failing(clock, pulses, 0)
    with pytest.raises(OSError):
        send((0, 0), (line, line), clock=clock, sleep=clock.sleep)
    assert line.low_since is None


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LoggedGate]:
    with LoggedGate(tmp_path / "state") as gate:
        gate.greet()
        yield gate


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    pins = mock_pins()
    yield pins
    pins.reset()


def lows(pins: MockFactory, pin: int) -> int:
    """How many pulses a pin had; it must rest high before and after."""
    levels = [change.on for change in trace(pins, pin)]
    levels = levels[levels.index(True) :]
    assert levels[0] is True and levels[-1] is True
    assert levels == [True, False] * (len(levels) // 2) + [True]
    return levels.count(False)


def bridge(gate: LoggedGate, pins: MockFactory, **more: Any) -> WiegandBridge:
    settings = WiegandSettings(data0=DATA0, data1=DATA1, **{"late": 10.0, **more})
    return WiegandBridge(settings, DoorSettings(), gate.source, lambda text: None, pins=pins)


def ones(read: Bits) -> tuple[int, int]:
    return read.count(0), read.count(1)


def test_an_opening_is_one_read_at_the_pins(gate: LoggedGate, pins: MockFactory) -> None:
    gate.decide("open", "李雷")  # before the bridge began
    with Running(bridge(gate, pins, facility=7)) as run:
        gate.decide("unknown")
        gate.behind = 60.0
        gate.decide("open", "李雷")
        gate.behind = 0.0
        gate.decide("open", "s0002")
        pin = pins.pin(f"GPIO{DATA1}")
        soon(lambda: len(pin.states) > 20)
        rounds = run.rounds
        soon(lambda: run.rounds > rounds + 2)
        zeros, ones_ = ones(read_of(65535, facility=7, bits=26))
        assert (lows(pins, DATA0), lows(pins, DATA1)) == (zeros, ones_)


def test_the_lines_rest_high_from_the_first_moment(gate: LoggedGate, pins: MockFactory) -> None:
    with Running(bridge(gate, pins)):
        assert lows(pins, DATA0) == lows(pins, DATA1) == 0
        assert pins.pin(f"GPIO{DATA0}").state and pins.pin(f"GPIO{DATA1}").state


def test_a_pin_of_the_door_is_refused(gate: LoggedGate) -> None:
    with pytest.raises(SettingsError, match="is a pin of the door"):
        WiegandBridge(SETTINGS, DoorSettings(green=DATA0), gate.source, print)


def test_a_number_that_does_not_fit_is_refused_at_the_start(
    gate: LoggedGate, tmp_path: Path
) -> None:
    from dataclasses import replace

    from kaimen.bridge.cards import Cards

    path = tmp_path / "cards.csv"
    path.write_text("s1,70000\n", encoding="utf-8")
    source = replace(gate.source, cards=Cards.read(path, gate.key))
    with pytest.raises(SettingsError, match="70000 does not fit"):
        WiegandBridge(SETTINGS, DoorSettings(), source, print)
