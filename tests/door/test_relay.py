"""The relay is on only inside a lease. Whole traces of its pin are compared."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kaimen.door.pins import forget, mock_pins, trace
from kaimen.door.relay import Relay
from kaimen.errors import DeviceError
from kaimen.settings.door import LEASE, PIN
from tests.door.bench import ENOUGH

LONG = 60.0  # seconds: a lease that no test waits for
PATIENCE = 30.0  # seconds in which a short lease has ended on any machine


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    """Pins that remember."""
    factory = mock_pins()
    yield factory
    factory.reset()


def states(pins: MockFactory, pin: int = PIN) -> list[bool]:
    return [change.on for change in trace(pins, pin)]


class HandTimer(threading.Thread):
    """A timer that ends when a test says so."""

    made: ClassVar[list[HandTimer]] = []
    can_start = True

    def __init__(self, interval: float, function: Callable[[], None]) -> None:
        super().__init__(target=function, daemon=True)
        self.interval = interval
        self.cancelled = False

    def start(self) -> None:
        if not HandTimer.can_start:
            raise RuntimeError("can't start new thread")
        HandTimer.made.append(self)

    def cancel(self) -> None:
        self.cancelled = True

    def fire(self) -> None:
        """Run out. One that was cancelled too late to be stopped runs out, too."""
        HandTimer.made.remove(self)
        super().start()
        self.join()


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[HandTimer]:
    """The timers that run, in the order of their start."""
    monkeypatch.setattr(threading, "Timer", HandTimer)
    monkeypatch.setattr(HandTimer, "can_start", True)
    made: list[HandTimer] = []
    monkeypatch.setattr(HandTimer, "made", made)
    return made


def test_at_rest_the_relay_is_off(pins: MockFactory) -> None:
    with Relay(pins=pins) as relay:
        assert not relay.is_on
        assert states(pins) == [False]


def test_an_opening_is_one_lease_long_by_itself(pins: MockFactory) -> None:
    with Relay(pins=pins, lease=0.2) as relay:
        relay.open()
        assert relay.wait_for_rest(PATIENCE)
        assert not relay.is_on
    first, on, off = trace(pins, PIN)
    assert [first.on, on.on, off.on] == [False, True, False]
    assert off.after >= 0.1


def test_every_opening_ends_by_itself(pins: MockFactory) -> None:
    with Relay(pins=pins, lease=0.02) as relay:
        for _ in range(5):
            relay.open()
            assert relay.wait_for_rest(PATIENCE)
    assert states(pins) == [False] + 5 * [True, False]


def test_a_lease_lasts_as_long_as_was_asked(pins: MockFactory, timers: list[HandTimer]) -> None:
    for asked, options in ((LEASE, {}), (0.5, {"lease": 0.5})):
        with Relay(pins=pins, **options) as relay:
            relay.open()
            assert timers[-1].interval == asked


def test_a_renewed_lease_is_one_time_on(pins: MockFactory, timers: list[HandTimer]) -> None:
    with Relay(pins=pins) as relay:
        relay.open()
        relay.open()
        assert relay.is_on
        timers[-1].fire()
        assert states(pins) == [False, True, False]


def test_the_end_of_a_lease_that_was_renewed_meanwhile_changes_nothing(
    pins: MockFactory, timers: list[HandTimer]
) -> None:
    with Relay(pins=pins) as relay:
        relay.open()
        relay.open()
        stale, current = timers
        stale.fire()
        assert relay.is_on
        current.fire()
        assert states(pins) == [False, True, False]


def test_a_renewed_lease_cancels_the_timer_before(
    pins: MockFactory, timers: list[HandTimer]
) -> None:
    with Relay(pins=pins) as relay:
        relay.open()
        relay.open()
        assert [timer.cancelled for timer in timers] == [True, False]


def test_rest_switches_off_at_once(pins: MockFactory) -> None:
    with Relay(pins=pins, lease=LONG) as relay:
        relay.open()
        relay.rest()
        assert not relay.is_on
        assert relay.wait_for_rest(0)
        assert states(pins) == [False, True, False]


def test_an_opening_after_rest_has_a_lease_of_its_own(
    pins: MockFactory, timers: list[HandTimer]
) -> None:
    with Relay(pins=pins) as relay:
        relay.open()
        relay.rest()
        relay.open()
        stale, current = timers
        stale.fire()
        assert relay.is_on
        current.fire()
        assert states(pins) == [False, True, False, True, False]


def test_who_waits_for_rest_is_told_when_it_takes_too_long(pins: MockFactory) -> None:
    with Relay(pins=pins, lease=LONG) as relay:
        relay.open()
        assert not relay.wait_for_rest(0.01)
        assert relay.is_on


def test_without_a_timer_there_is_no_opening(
    pins: MockFactory, timers: list[HandTimer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HandTimer, "can_start", False)
    with Relay(pins=pins) as relay:
        with pytest.raises(DeviceError, match="no lease can be timed"):
            relay.open()
        assert states(pins) == [False]
        assert relay.wait_for_rest(0)


def test_a_lease_that_cannot_be_renewed_still_ends(
    pins: MockFactory, timers: list[HandTimer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Relay(pins=pins) as relay:
        relay.open()
        monkeypatch.setattr(HandTimer, "can_start", False)
        with pytest.raises(DeviceError, match="no lease can be timed"):
            relay.open()
        (running,) = timers
        assert not running.cancelled
        running.fire()
        assert states(pins) == [False, True, False]


def test_the_timer_runs_before_the_relay_is_on(
    pins: MockFactory, timers: list[HandTimer], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[bool]] = []
    monkeypatch.setattr(HandTimer, "start", lambda self: seen.append(states(pins)))
    with Relay(pins=pins) as relay:
        relay.open()
    assert seen == [[False]]


def test_closing_switches_off_first(pins: MockFactory) -> None:
    with Relay(pins=pins, lease=LONG) as relay:
        relay.open()
    assert states(pins) == [False, True, False]
    assert not relay.is_on


def test_an_error_inside_leaves_the_relay_off(pins: MockFactory) -> None:
    with pytest.raises(ZeroDivisionError), Relay(pins=pins, lease=LONG) as relay:
        relay.open()
        raise ZeroDivisionError
    assert states(pins) == [False, True, False]


def test_a_closed_relay_does_not_open(pins: MockFactory, timers: list[HandTimer]) -> None:
    relay = Relay(pins=pins)
    relay.close()
    with pytest.raises(DeviceError, match="start the gate again") as caught:
        relay.open()
    assert caught.value.exit_code == 5
    assert states(pins) == [False]
    assert timers == []


def test_a_lease_that_ends_after_closing_does_no_harm(
    pins: MockFactory, timers: list[HandTimer]
) -> None:
    relay = Relay(pins=pins)
    relay.open()
    relay.close()
    timers[-1].fire()
    assert states(pins) == [False, True, False]


def test_closing_twice_does_no_harm(pins: MockFactory) -> None:
    relay = Relay(pins=pins)
    relay.close()
    relay.close()
    assert states(pins) == [False]


def test_a_relay_that_cannot_be_switched_off_gives_its_pin_back(
    pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay(pins=pins)
    monkeypatch.setattr(relay._device, "off", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        relay.close()
    Relay(pins=pins).close()


def test_the_pin_of_a_closed_relay_can_be_used_again(pins: MockFactory) -> None:
    Relay(pins=pins).close()
    with Relay(pins=pins) as relay:
        assert not relay.is_on


def test_a_relay_that_is_on_when_low_rests_high(pins: MockFactory) -> None:
    with Relay(pins=pins, lease=LONG, active_high=False) as relay:
        forget(pins, PIN)
        assert not relay.is_on
        relay.open()
        assert relay.is_on
        relay.rest()
        assert states(pins) == [True, False, True]
    assert states(pins) == [True, False, True]


def test_two_relays_have_pins_of_their_own(pins: MockFactory) -> None:
    with Relay(5, pins=pins, lease=LONG) as one, Relay(6, pins=pins, lease=LONG):
        one.open()
        assert states(pins, 5) == [False, True]
        assert states(pins, 6) == [False]


def test_a_pin_in_use_is_refused(pins: MockFactory) -> None:
    with Relay(pins=pins), pytest.raises(DeviceError, match=f"relay pin {PIN} cannot be used"):
        Relay(pins=pins)


def test_a_pin_that_does_not_exist_is_refused(pins: MockFactory) -> None:
    with pytest.raises(DeviceError, match="relay pin 99 cannot be used"):
        Relay(99, pins=pins)


@pytest.mark.parametrize("lease", [0, -1, 60.1, float("nan"), float("inf")])
def test_an_impossible_lease_is_refused(pins: MockFactory, lease: float) -> None:
    with pytest.raises(ValueError, match="lease"):
        Relay(pins=pins, lease=lease)


def test_many_who_open_at_once_leave_it_off(pins: MockFactory) -> None:
    with Relay(pins=pins, lease=0.02) as relay:
        openers = [threading.Thread(target=relay.open) for _ in range(20)]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join()
        assert relay.wait_for_rest(PATIENCE)
    found = states(pins)
    assert found == [index % 2 == 1 for index in range(len(found))]
    assert found[-1] is False


class RelayMachine(RuleBasedStateMachine):
    """Any order of openings, rests and ends of leases, late ones too, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(threading, "Timer", HandTimer)
        self.patch.setattr(HandTimer, "can_start", True)
        self.patch.setattr(HandTimer, "made", [])
        self.pins = mock_pins()
        self.relay = Relay(pins=self.pins)
        self.current: HandTimer | None = None
        self.expected = [False]

    def becomes(self, on: bool) -> None:
        if self.expected[-1] is not on:
            self.expected.append(on)

    @rule()
    def open(self) -> None:
        self.relay.open()
        self.current = HandTimer.made[-1]
        self.becomes(True)

    @rule()
    def open_without_threads(self) -> None:
        HandTimer.can_start = False
        with pytest.raises(DeviceError, match="no lease can be timed"):
            self.relay.open()
        HandTimer.can_start = True

    @rule()
    def rest(self) -> None:
        self.relay.rest()
        self.current = None
        self.becomes(False)

    @precondition(lambda self: self.current is not None)
    @rule()
    def the_lease_ends(self) -> None:
        assert self.current is not None
        self.current.fire()
        self.current = None
        self.becomes(False)

    @precondition(lambda self: any(timer is not self.current for timer in HandTimer.made))
    @rule()
    def a_stale_lease_ends(self) -> None:
        next(timer for timer in HandTimer.made if timer is not self.current).fire()

    @invariant()
    def the_trace_is_the_models(self) -> None:
        assert states(self.pins) == self.expected
        assert self.relay.is_on == self.expected[-1]

    @invariant()
    def it_is_on_only_while_a_timer_runs(self) -> None:
        running = [timer for timer in HandTimer.made if not timer.cancelled]
        assert running == ([self.current] if self.relay.is_on else [])

    @invariant()
    def it_rests_exactly_when_it_is_off(self) -> None:
        assert self.relay.wait_for_rest(0) is not self.relay.is_on

    def teardown(self) -> None:
        self.relay.close()
        for timer in list(HandTimer.made):
            timer.fire()
        assert states(self.pins)[-1] is False
        self.patch.undo()
        self.pins.reset()


TestRelayMachine = RelayMachine.TestCase
TestRelayMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_a_program_that_ends_waits_for_no_lease() -> None:
    script = (
        "from kaimen.door.pins import mock_pins\n"
        "from kaimen.door.relay import Relay\n"
        "Relay(17, pins=mock_pins(), lease=60.0).open()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=ENOUGH)
