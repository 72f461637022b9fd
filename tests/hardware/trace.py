"""Whole traces of pins, compared exactly.

gpiozero's ``MockPin.assert_states`` passes when a pin did more than was expected, since it compares
as far as the shorter list goes. A door that opens once more is not a door that passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kaimen.door.pins import Change

Expected = Sequence[tuple[float | None, bool]]


def assert_trace(changes: Sequence[Change], expected: Expected, tolerance: float) -> None:
    """The changes are the expected ones: as many, to these levels, these seconds apart.

    An expected time of None may be any. Raises AssertionError with both traces.
    """
    found = _drawn([(change.after, change.on) for change in changes])
    told = f"\n     found: {found}\n  expected: {_drawn(expected)}"
    assert len(changes) == len(expected), f"{len(changes)} changes, not {len(expected)}{told}"
    for number, (change, (after, on)) in enumerate(zip(changes, expected, strict=True)):
        assert change.on == on, f"change {number} is another level{told}"
        if after is not None:
            off = abs(change.after - after)
            assert off <= tolerance, f"change {number} is {off:.3f} s off{told}"


def _drawn(changes: Expected) -> str:
    return " ".join(
        f"{'...' if after is None else format(after, '.3f')}:{'on' if on else 'off'}"
        for after, on in changes
    )


@dataclass(frozen=True, slots=True)
class Level:
    """What a pin was set to, and when, in seconds of the monotonic clock."""

    at: float
    on: bool


def traced(path: Path, pin: int) -> list[Level]:
    """What a door with ``--trace`` did to a pin so far."""
    text = path.read_text(encoding="ascii") if path.exists() else ""
    whole = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [Level(float(at), level == "1") for at, number, level in whole if int(number) == pin]


def as_changes(levels: Sequence[Level]) -> list[Change]:
    """The same as a mock pin of this process tells it, beginning with off."""
    first = levels[0].at if levels else 0.0
    times = [Level(first, False), *levels]
    return [Change(0.0, False), *(Change(b.at - a.at, b.on) for a, b in pairwise(times))]


def was_on(levels: Sequence[Level], at: float) -> bool:
    """Whether the pin was on at a time."""
    before = [level.on for level in levels if level.at <= at]
    return bool(before) and before[-1]
