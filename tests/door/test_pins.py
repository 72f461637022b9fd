"""Real pins on a Pi, mock pins elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gpiozero import OutputDevice

from kaimen.door.pins import Change, claiming, forget, mock_pins, real_pins, trace
from kaimen.errors import DeviceError


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


def test_pins_that_write_down_what_they_do_need_a_place(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be written"):
        mock_pins(tmp_path / "nowhere" / "trace")


def test_mock_pins_of_two_gates_know_nothing_of_each_other() -> None:
    one, other = mock_pins(), mock_pins()
    with OutputDevice(4, pin_factory=one) as device, OutputDevice(4, pin_factory=other):
        device.on()
        assert [change.on for change in trace(other, 4)] == [False]
