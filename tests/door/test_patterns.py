"""Patterns of light and sound."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.door.patterns import DARK, PATTERNS, SHOWS, STEADY, Pattern, chosen, is_on
from kaimen.door.states import LEASED, Fault, State

LIGHTS = ("green", "red", "buzzer")


def drawn(pattern: Pattern, light: str) -> str:
    """Six seconds of a light, a mark each 50 ms."""
    blink = getattr(pattern, light)
    return "".join("█" if is_on(blink, step / 20 + 1e-6) else "·" for step in range(120))


@pytest.mark.parametrize(
    ("blink", "since", "on"),
    [
        (DARK, 0.0, False),
        (STEADY, 0.0, True),
        (STEADY, 1e9, True),
        ((0.5, 0.5), 0.0, True),
        ((0.5, 0.5), 0.49, True),
        ((0.5, 0.5), 0.5, False),
        ((0.5, 0.5), 1.0, True),
        ((0.1, math.inf), 0.05, True),
        ((0.1, math.inf), 1e9, False),
        ((0.0, 0.3, 0.2, 0.1), 0.1, False),
        ((0.0, 0.3, 0.2, 0.1), 0.4, True),
    ],
)
def test_a_light_is_on_when_its_pattern_says_so(
    blink: tuple[float, ...], since: float, on: bool
) -> None:
    assert is_on(blink, since) is on


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=8), st.floats(0, 1e6))
def test_every_moment_of_every_pattern_has_an_answer(blink: list[float], since: float) -> None:
    assert is_on(tuple(blink), since) in (True, False)


@pytest.mark.parametrize("names", list(itertools.combinations(PATTERNS, 2)))
def test_no_two_look_alike_even_to_who_cannot_tell_red_from_green(names: tuple[str, str]) -> None:
    one, other = ({drawn(PATTERNS[name], "green"), drawn(PATTERNS[name], "red")} for name in names)
    assert one != other


def test_an_alarm_is_heard_until_it_is_over() -> None:
    for name in ("held", "forced"):
        assert "█" in drawn(PATTERNS[name], "buzzer")[-20:]
        assert PATTERNS[name].lasts == math.inf


def test_what_tells_a_person_something_ends_by_itself() -> None:
    assert [name for name in SHOWS if math.isfinite(PATTERNS[name].lasts)] == [
        "unknown",
        "again",
        "refused",
        "granted",
        "beep",
        "kept",
        "enrolled",
    ]


@given(st.sampled_from(State), st.sampled_from(SHOWS), st.sets(st.sampled_from(Fault)))
def test_alarms_come_first_then_the_open_door_then_the_voice_then_faults(
    state: State, asked: str, faults: set[Fault]
) -> None:
    found = chosen(state, asked, faults)
    if state in (State.FORCED, State.HELD):
        assert found == state.value
    elif state in LEASED:
        assert found == "open"
    elif Fault.RESENT in faults:
        assert found == "resent"
    elif asked != "idle":
        assert found == asked
    else:
        assert found == ("fault" if faults else "idle")
    assert found in PATTERNS
