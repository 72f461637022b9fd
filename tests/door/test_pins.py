"""Real pins on a Pi, mock pins elsewhere."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from gpiozero import OutputDevice

from kaimen.door import pins
from kaimen.door.pins import Change, claiming, forget, mock_pins, pins_of, real_pins, trace
from kaimen.errors import DeviceError
from kaimen.settings import DoorSettings


def test_pins_that_cannot_be_used_are_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)  # importing it fails
    with pytest.raises(DeviceError, match="mock = true") as caught:
        real_pins()
    assert caught.value.exit_code == 5


def test_a_trace_tells_everything_since_it_was_begun_anew() -> None:
    factory = mock_pins()
    with OutputDevice(4, pin_factory=factory) as device:
        device.on()
        device.off()
        device.on()
        assert [change.on for change in trace(factory, 4)] == [False, True, False, True]
        forget(factory, 4)
        assert trace(factory, 4) == [Change(0.0, True)]
        device.off()
        assert [change.on for change in trace(factory, 4)] == [True, False]


def test_an_error_of_any_library_names_the_pin() -> None:
    class LibraryError(Exception):
        pass

    with (
        pytest.raises(DeviceError, match="buzzer pin 13 cannot be used: GPIO busy"),
        claiming("buzzer", 13),
    ):
        raise LibraryError("GPIO busy")


def test_pins_write_down_each_change_and_when(tmp_path: Path) -> None:
    factory = mock_pins(tmp_path / "trace")
    began = time.monotonic()
    with OutputDevice(4, pin_factory=factory) as device:
        device.on()
        device.on()
        device.off()
    times, *told = zip(*map(str.split, (tmp_path / "trace").read_text().splitlines()), strict=True)
    assert told == [("4", "4"), ("1", "0")]
    ordered = [began, *map(float, times), time.monotonic()]
    assert ordered == sorted(ordered)
    assert not (tmp_path / "trace").stat().st_mode & 0o133  # others may read it, none runs it


@pytest.mark.parametrize("pi", [False, True])
@pytest.mark.parametrize("mock", [False, True])
def test_pins_are_real_on_a_pi_unless_mock_ones_are_asked_for(
    pi: bool, mock: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "on_a_pi", lambda: pi)
    monkeypatch.setattr(pins, "real_pins", lambda: "real")
    assert (pins_of(DoorSettings(mock=mock)) == "real") is (pi and not mock)


def test_pins_that_write_down_what_they_do_need_a_place(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be written"):
        mock_pins(tmp_path / "nowhere" / "trace")


def test_mock_pins_of_two_gates_know_nothing_of_each_other() -> None:
    one, other = mock_pins(), mock_pins()
    with OutputDevice(4, pin_factory=one) as device, OutputDevice(4, pin_factory=other):
        device.on()
        assert [change.on for change in trace(other, 4)] == [False]
