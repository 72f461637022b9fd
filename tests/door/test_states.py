"""The door's states: the relay is on inside a lease and never otherwise, whatever happens."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaimen.door.states import (
    ENDS,
    FAULTS,
    GRACE,
    LEASED,
    OPENINGS,
    TRANSITIONS,
    Event,
    Fault,
    Machine,
    State,
)

LEASE, HELD = 3.0, 20.0
STANDING_OPEN = {State.PASSING, State.AJAR, State.HELD, State.FORCED}

# What comes from outside; the rest the machine does by itself.
HAPPENINGS = sorted(set(Event) - set(ENDS.values()), key=lambda event: event.value)
GAPS = st.one_of(st.floats(0, 2 * LEASE), st.sampled_from([0.0, GRACE, LEASE, HELD, 100.0]))
STORY = st.lists(st.tuples(GAPS, st.sampled_from([*HAPPENINGS, "tick", "rest"])), max_size=60)
ANYTHING = st.lists(st.tuples(GAPS, st.sampled_from([*Event, "tick", "rest"])), max_size=60)
PULSES = st.sampled_from([0.0, 0.5, LEASE])


def machine(*, pulse: float = 0.0, open: bool = False) -> Machine:
    return Machine(0.0, lease=LEASE, held=HELD, pulse=pulse, open=open)


def play(door: Machine, what: Event | str, now: float) -> list[State]:
    if isinstance(what, Event):
        return door.handle(what, now)
    return door.tick(now) if what == "tick" else door.rest(now)


def after(*story: tuple[float, Event | str], open: bool = False) -> list[State]:
    """The states a story leads through."""
    door = machine(open=open)
    return [state for at, what in story for state in play(door, what, at)]


class TestRelay:
    @settings(max_examples=300)
    @given(ANYTHING, PULSES, st.booleans())
    def test_it_is_on_only_within_a_lease_of_the_last_opening(
        self, story: list, pulse: float, open: bool
    ) -> None:
        door, now, opened = machine(pulse=pulse, open=open), 0.0, -math.inf
        for gap, what in story:
            now += gap
            play(door, what, now)
            if what in OPENINGS:
                opened = now
            assert not door.relay or now < opened + (pulse or LEASE)

    @settings(max_examples=300)
    @given(STORY, PULSES)
    def test_it_is_on_for_all_of_it_unless_the_voice_gives_it_up(
        self, story: list, pulse: float
    ) -> None:
        door, now = machine(pulse=pulse), 0.0
        opened = until = button = -math.inf
        for gap, what in story:
            now += gap
            play(door, what, now)
            if what in OPENINGS:
                opened, until = now, now + LEASE
            if what is Event.BUTTON:
                button = until
            if what == "rest":
                until = min(until, max(now, button))
            assert door.relay == (now < min(until, opened + (pulse or LEASE)))

    @given(ANYTHING, PULSES, st.booleans())
    def test_the_exit_button_opens_after_whatever_has_been(
        self, story: list, pulse: float, open: bool
    ) -> None:
        door, now = machine(pulse=pulse, open=open), 0.0
        for gap, what in story:
            now += gap
            play(door, what, now)
        door.handle(Event.BUTTON, now)
        assert door.relay

    @given(STORY)
    def test_the_voice_cannot_end_what_the_button_began(self, story: list) -> None:
        door, now, button = machine(), 0.0, -math.inf
        for gap, what in story:
            now += gap
            play(door, what, now)
            if what is Event.BUTTON:
                button = now
            assert door.relay or now >= button + LEASE

    @given(STORY)
    def test_a_look_that_comes_late_finds_what_many_looks_would(self, story: list) -> None:
        seldom, often, now = machine(), machine(), 0.0
        for gap, what in story:
            entered = [state for step in (0.25, 0.5, 1) for state in often.tick(now + gap * step)]
            now += gap
            assert entered + play(often, what, now) == play(seldom, what, now)
            assert (often.state, often.relay) == (seldom.state, seldom.relay)

    def test_time_that_goes_back_lengthens_no_lease(self) -> None:
        door = machine()
        door.handle(Event.VOICE, 10.0)
        door.tick(5.0)
        door.tick(10.0 + LEASE)
        assert not door.relay


class TestStates:
    @given(STORY, st.booleans())
    def test_they_never_forget_whether_the_door_stands_open(self, story: list, open: bool) -> None:
        door, now = machine(open=open), 0.0
        for gap, what in story:
            now += gap
            play(door, what, now)
            open = {Event.OPENED: True, Event.CLOSED: False}.get(what, open)
            assert (door.state in STANDING_OPEN) == open

    @given(STORY)
    def test_without_a_contact_a_door_is_never_anything_but_locked_or_not(
        self, story: list
    ) -> None:
        door, now = machine(), 0.0
        for gap, what in story:
            now += gap
            if what not in (Event.OPENED, Event.CLOSED):
                play(door, what, now)
            assert door.state in (State.SHUT, State.UNLOCKED, State.LOCKING)

    @given(STORY)
    def test_faults_change_no_state(self, story: list) -> None:
        one, other, now = machine(), machine(), 0.0
        for gap, what in story:
            now += gap
            play(one, what, now)
            play(other, "tick" if what in FAULTS else what, now)
            assert (one.state, one.relay) == (other.state, other.relay)
        assert not other.faults

    @pytest.mark.parametrize(("event", "fault"), [(e, f) for e, (f, on) in FAULTS.items() if on])
    def test_a_fault_is_there_until_it_is_over(self, event: Event, fault: Fault) -> None:
        door = machine()
        door.handle(event, 1.0)
        assert door.faults == {fault}
        door.handle(next(e for e, what in FAULTS.items() if what == (fault, False)), 2.0)
        assert not door.faults

    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("opening", sorted(OPENINGS, key=lambda event: event.value))
    def test_every_state_can_be_opened_from(self, state: State, opening: Event) -> None:
        assert TRANSITIONS[state, opening] in LEASED

    def test_only_openings_lead_into_a_lease(self) -> None:
        for (state, event), target in TRANSITIONS.items():
            if target in LEASED and state not in LEASED:
                assert event in OPENINGS

    def test_every_state_can_be_reached_and_left(self) -> None:
        assert set(TRANSITIONS.values()) == set(State)
        assert {state for state, _ in TRANSITIONS} == set(State)

    def test_leases_end_by_themselves(self) -> None:
        for state in LEASED:
            assert ENDS[state] is Event.LEASE_ENDED
            assert TRANSITIONS[state, Event.LEASE_ENDED] not in LEASED


class TestStories:
    def test_somebody_is_let_in(self) -> None:
        assert after(
            (0.0, Event.VOICE), (1.0, Event.OPENED), (2.0, Event.CLOSED), (10.0, "tick")
        ) == [State.UNLOCKED, State.PASSING, State.UNLOCKED, State.LOCKING, State.SHUT]

    def test_a_closing_door_ends_no_lease_since_it_may_be_the_next_ones(self) -> None:
        door = machine()
        door.handle(Event.VOICE, 0.0)
        door.handle(Event.OPENED, 1.0)
        door.handle(Event.VOICE, 1.5)
        door.handle(Event.CLOSED, 2.0)
        door.tick(4.4)
        assert door.relay
        door.tick(4.5)
        assert not door.relay

    def test_somebody_holds_the_door(self) -> None:
        assert after((0.0, Event.VOICE), (1.0, Event.OPENED), (30.0, Event.CLOSED)) == [
            State.UNLOCKED,
            State.PASSING,
            State.AJAR,
            State.HELD,
            State.LOCKING,
        ]

    def test_the_door_may_stand_open_for_as_long_as_was_set(self) -> None:
        story = (0.0, Event.VOICE), (1.0, Event.OPENED)
        assert State.HELD not in after(*story, (LEASE + HELD - 0.1, "tick"))
        assert State.HELD in after(*story, (LEASE + HELD, "tick"))

    def test_the_door_is_forced(self) -> None:
        assert after((5.0, Event.OPENED), (50.0, Event.CLOSED)) == [State.FORCED, State.SHUT]

    def test_who_pulls_a_moment_too_late_is_no_burglar(self) -> None:
        assert after((0.0, Event.VOICE), (LEASE + 0.5, Event.OPENED))[-1] is State.AJAR
        assert after((0.0, Event.VOICE), (LEASE + GRACE, Event.OPENED))[-1] is State.FORCED

    def test_a_door_that_slams_and_comes_back_is_not_forced(self) -> None:
        story = (0.0, Event.VOICE), (1.0, Event.OPENED), (5.0, Event.CLOSED)
        assert after(*story, (5.2, Event.OPENED))[-1] is State.AJAR

    def test_a_door_found_open_is_not_forced(self) -> None:
        assert after((HELD + 1, Event.CLOSED), (HELD + 9, "tick"), open=True) == [
            State.HELD,
            State.LOCKING,
            State.SHUT,
        ]

    def test_an_opening_ends_the_alarm(self) -> None:
        assert after((0.0, Event.OPENED), (1.0, Event.BUTTON))[-1] is State.PASSING

    def test_a_lease_that_is_given_up_ends_at_once(self) -> None:
        assert after((0.0, Event.VOICE), (1.0, "rest")) == [State.UNLOCKED, State.LOCKING]

    def test_giving_up_what_is_over_does_nothing(self) -> None:
        assert after((0.0, Event.VOICE), (10.0, "tick"), (11.0, "rest"))[-1] is State.SHUT

    def test_a_pulse_is_short_and_its_lease_is_not(self) -> None:
        door = machine(pulse=0.5)
        door.handle(Event.VOICE, 0.0)
        door.tick(0.4)
        assert door.relay
        door.tick(0.5)
        assert not door.relay and door.state is State.UNLOCKED
        assert door.handle(Event.OPENED, 2.0) == [State.PASSING]
        door.handle(Event.VOICE, 2.5)
        assert door.relay
