"""A few tries are free, then each costs a longer wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.access.lockout import FORGET, Lockout
from kaimen.settings.gate import FREE_TRIES, LOCKOUT, LONGEST_LOCKOUT


class Clock:
    """Seconds, as told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tried(lockout: Lockout, clock: Clock, times: int) -> list[float]:
    """The wait after each of some tries, each waited out."""
    waits = []
    for _ in range(times):
        lockout.unknown()
        waits.append(lockout.wait())
        clock.now += lockout.wait()
    return waits


def test_the_first_tries_are_free_and_then_each_costs_twice_as_much(clock: Clock) -> None:
    waits = tried(Lockout(clock=clock), clock, FREE_TRIES + 8)
    assert waits == [0] * FREE_TRIES + [30, 60, 120, 240, 480, 960] + 2 * [LONGEST_LOCKOUT]


def test_a_wait_is_over_when_it_is_over(clock: Clock) -> None:
    lockout = Lockout(clock=clock)
    tried(lockout, clock, FREE_TRIES)
    lockout.unknown()
    clock.now += LOCKOUT - 1
    assert lockout.wait() == 1
    clock.now += 1
    assert lockout.wait() == 0


def test_a_student_who_comes_in_makes_up_for_strangers(clock: Clock) -> None:
    lockout = Lockout(clock=clock)
    tried(lockout, clock, FREE_TRIES)
    lockout.opened()
    assert tried(lockout, clock, FREE_TRIES) == [0] * FREE_TRIES


def test_long_ago_is_forgotten_but_a_long_wait_is_not_long_ago(clock: Clock) -> None:
    lockout = Lockout(clock=clock)
    waits = tried(lockout, clock, FREE_TRIES + 6)
    assert waits[-1] > FORGET  # longer than what is forgotten
    assert tried(lockout, clock, 1) == [LONGEST_LOCKOUT]
    clock.now += FORGET + 1
    assert tried(lockout, clock, 1) == [0]


def test_without_a_first_wait_there_is_none(clock: Clock) -> None:
    assert set(tried(Lockout(first=0, clock=clock), clock, 20)) == {0}


@given(st.lists(st.sampled_from(["unknown", "opened", 1.0, 100.0, 1000.0]), max_size=60))
def test_nobody_waits_longer_than_the_longest_and_nobody_before_the_free_tries(
    story: list[str | float],
) -> None:
    clock = Clock()
    lockout = Lockout(clock=clock)
    unknown = 0
    for event in story:
        if isinstance(event, float):
            clock.now += event
        elif lockout.wait():
            continue  # nobody is heard
        elif event == "opened":
            lockout.opened()
            unknown = 0
        else:
            lockout.unknown()
            unknown += 1
            assert not lockout.wait() or unknown > FREE_TRIES
        assert 0 <= lockout.wait() <= LONGEST_LOCKOUT
