"""How long openings may hold the relay in a row, and for how long they are refused then."""

from __future__ import annotations

import pytest

from kaimen.door.bound import LONGEST_PAUSE, PAUSE, REST, Bound

LEASE, LONGEST = 1.0, 5.0


@pytest.fixture
def bound() -> Bound:
    return Bound(LONGEST, LEASE)


def refused(bound: Bound, began: float) -> float:
    """Open from ``began`` on until it is refused; the seconds of the refusal."""
    end = began + LONGEST - LEASE
    for at in (began, end, end + 0.5):
        bound.look(at, True)
        allowed = bound.allows(at)
        assert allowed is (at <= end)
    return next(n for n in range(2000) if not bound.refuses(end + 0.5 + n))


def test_a_row_that_fills_its_time_is_allowed_and_one_that_passes_it_is_not(bound: Bound) -> None:
    assert refused(bound, 0.0) == PAUSE
    assert not bound.allows(PAUSE)


def test_who_goes_on_is_refused_for_longer_each_time_up_to_a_bound(bound: Bound) -> None:
    now, pauses = 0.0, []
    for _ in range(7):
        pauses.append(refused(bound, now))
        bound.look(now + LONGEST + REST, False)  # it rested, being refused
        now += LONGEST + pauses[-1]
    assert pauses == [30, 60, 120, 240, 480, 960, 960]
    assert pauses[0] == PAUSE and pauses[-1] == LONGEST_PAUSE


def test_a_relay_that_rested_by_itself_begins_anew(bound: Bound) -> None:
    refused(bound, 0.0)
    bound.look(100.0, True)
    bound.look(100.0 + REST + 0.1, False)
    assert refused(bound, 200.0) == PAUSE


@pytest.mark.parametrize(("off", "rested"), [(REST, False), (REST + 0.1, True)])
def test_the_relay_has_rested_after_a_while_off(bound: Bound, off: float, rested: bool) -> None:
    assert bound.allows(0.0)
    bound.look(LONGEST - LEASE, True)
    bound.look(LONGEST - LEASE + off, False)
    assert bound.allows(LONGEST) is rested


def test_an_opening_counts_as_the_relay_being_on(bound: Bound) -> None:
    assert bound.allows(0.0) and bound.allows(4.0)
    bound.look(4.5, False)  # too short for a rest
    assert not bound.allows(5.0)


def test_nothing_is_refused_at_first(bound: Bound) -> None:
    bound.look(0.0, False)
    assert not bound.refuses(0.0) and bound.allows(0.0)
