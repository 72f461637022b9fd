"""What follows from writes to the pins' registers of the emulated Pi: a blip would be seen."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "emulated-pi"
PIN = 17
SELECT, SET, CLEAR = 0x04, 0x1C, 0x28  # GPFSEL1, GPSET0, GPCLR0
OUTPUT, INPUT = 0b001 << 21, 0


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("starts")


@pytest.mark.parametrize(
    ("active_high", "writes", "pulses"),
    [
        (False, [(SET, 1 << PIN), (SELECT, OUTPUT)], 0),  # its level first, then an output
        (False, [(SELECT, OUTPUT), (SET, 1 << PIN)], 1),  # the other way round: on for a moment
        (False, [(SET, 1 << PIN), (SELECT, OUTPUT), (CLEAR, 1 << PIN), (SET, 1 << PIN)], 1),
        (False, [(SET, 1 << PIN), (SELECT, OUTPUT), (SELECT, INPUT), (SELECT, OUTPUT)], 0),
        (True, [(CLEAR, 1 << PIN), (SELECT, OUTPUT)], 0),
        (True, [(SET, 1 << PIN), (SELECT, OUTPUT), (CLEAR, 1 << PIN)], 1),
        (True, [(SELECT, OUTPUT), (SET, 1 << 18), (SET + 4, 1 << PIN)], 0),  # other lines
    ],
)
def test_a_line_goes_on_as_its_registers_say(
    starts: Any, active_high: bool, writes: list[tuple[int, int]], pulses: int
) -> None:
    line = starts.Line(PIN, active_high)
    for offset, value in writes:
        line.write(offset, value)
    assert line.pulses == pulses
