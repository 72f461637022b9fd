"""The helper that compares traces sees what gpiozero's own does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpiozero import OutputDevice

from kaimen.door.pins import Change, mock_pins, trace
from tests.hardware.trace import Level, as_changes, assert_trace, traced, was_on

ONCE = [Change(0.0, False), Change(0.5, True), Change(0.2, False)]


def test_a_trace_is_itself() -> None:
    assert_trace(ONCE, [(0.0, False), (0.5, True), (0.2, False)], 0.0)


def test_times_may_be_off_by_the_tolerance_and_no_more() -> None:
    assert_trace(ONCE, [(0.0, False), (0.45, True), (0.25, False)], 0.06)
    with pytest.raises(AssertionError, match=r"change 1 is 0\.050 s off"):
        assert_trace(ONCE, [(0.0, False), (0.45, True), (0.2, False)], 0.04)


def test_a_time_that_does_not_matter_may_be_any() -> None:
    assert_trace(ONCE, [(None, False), (None, True), (0.2, False)], 0.0)


def test_one_toggle_more_is_seen() -> None:
    more = [*ONCE, Change(0.1, True), Change(0.1, False)]
    with pytest.raises(AssertionError, match="5 changes, not 3"):
        assert_trace(more, [(None, False), (None, True), (None, False)], 0.0)


def test_one_toggle_less_is_seen() -> None:
    with pytest.raises(AssertionError, match="2 changes, not 3"):
        assert_trace(ONCE[:2], [(None, False), (None, True), (None, False)], 0.0)


def test_another_level_is_seen_and_both_traces_are_told() -> None:
    with pytest.raises(AssertionError, match=r"(?s)found: 0.000:off 0.500:on.*expected: \.\.\.:on"):
        assert_trace(ONCE, [(None, True), (None, False), (None, True)], 0.0)


def test_gpiozeros_own_comparison_would_have_missed_it() -> None:
    pins = mock_pins()
    with OutputDevice(4, pin_factory=pins) as device:
        for switch in (device.on, device.off, device.on):
            switch()
        pins.pin("GPIO4").assert_states([False, True, False])
        with pytest.raises(AssertionError, match="4 changes, not 3"):
            assert_trace(trace(pins, 4), [(None, False), (None, True), (None, False)], 0.0)


def test_a_file_tells_what_the_pins_of_another_process_did(tmp_path: Path) -> None:
    pins = mock_pins(tmp_path / "trace")
    with OutputDevice(4, pin_factory=pins) as device, OutputDevice(5, pin_factory=pins) as other:
        device.on()
        other.on()
        device.off()
        told = as_changes(traced(tmp_path / "trace", 4))
        assert_trace(told, [(c.after, c.on) for c in _from_the_first(trace(pins, 4))], 0.05)
    assert [level.on for level in traced(tmp_path / "trace", 5)] == [True]


def _from_the_first(changes: list[Change]) -> list[Change]:
    """A file does not tell when its process began, so the first change is at zero."""
    return [changes[0], Change(0.0, changes[1].on), *changes[2:]]


def test_a_line_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("1.5 17 1\n2.5 17", encoding="ascii")
    assert traced(tmp_path / "trace", 17) == [Level(1.5, True)]
    assert traced(tmp_path / "nowhere", 17) == []


def test_a_pin_is_what_it_was_last_set_to() -> None:
    levels = [Level(1.0, True), Level(2.0, False)]
    assert [was_on(levels, at) for at in (0.9, 1.0, 1.9, 2.0)] == [False, True, True, False]
