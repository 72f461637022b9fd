"""What state the door is in, and what follows from what: no pins, no clock, no input.

Times are seconds of any one clock that does not go back; who calls brings them.
"""

from __future__ import annotations

import enum
import math

GRACE = 1.0  # seconds after the relay went off in which an opening door is not forced


class State(enum.Enum):
    """Where the door is. The relay is on in the LEASED ones only."""

    SHUT = "shut"  # closed and at rest
    UNLOCKED = "unlocked"  # inside a lease, not opened yet
    PASSING = "passing"  # inside a lease, standing open
    LOCKING = "locking"  # just off or just closed: who pulls now is late, not a burglar
    AJAR = "ajar"  # standing open after its lease
    HELD = "held"  # standing open for too long: buzzer
    FORCED = "forced"  # opened without a lease: alarm


class Event(enum.Enum):
    """What can happen to the door."""

    VOICE = "voice opens"
    BUTTON = "exit button"
    OPENED = "contact opened"
    CLOSED = "contact closed"
    LEASE_ENDED = "lease ended"
    SETTLED = "settled"
    TOO_LONG = "too long"
    VOICE_LOST = "voice lost"
    VOICE_FOUND = "voice found"
    MICROPHONE_LOST = "microphone lost"
    MICROPHONE_FOUND = "microphone found"
    TAMPER_OPENED = "tamper opened"
    TAMPER_CLOSED = "tamper closed"
    TOO_OFTEN = "opened too often"
    RESTED = "rested"


class Fault(enum.Enum):
    """What is wrong beside the state. A fault opens nothing and keeps nobody in."""

    VOICE = "voice"  # the voice process is gone or gives no sign of life
    MICROPHONE = "microphone"  # the voice process says that it cannot hear
    TAMPER = "tamper"  # the box is open
    RESENT = "resent"  # the voice process has held the relay for too long


LEASED = frozenset({State.UNLOCKED, State.PASSING})
OPENINGS = frozenset({Event.VOICE, Event.BUTTON})

# What is not in the table does not change the state. There are no conditions beside it.
TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.SHUT, Event.VOICE): State.UNLOCKED,
    (State.SHUT, Event.BUTTON): State.UNLOCKED,
    (State.SHUT, Event.OPENED): State.FORCED,
    (State.UNLOCKED, Event.VOICE): State.UNLOCKED,
    (State.UNLOCKED, Event.BUTTON): State.UNLOCKED,
    (State.UNLOCKED, Event.OPENED): State.PASSING,
    (State.UNLOCKED, Event.LEASE_ENDED): State.LOCKING,
    (State.PASSING, Event.VOICE): State.PASSING,
    (State.PASSING, Event.BUTTON): State.PASSING,
    (State.PASSING, Event.CLOSED): State.UNLOCKED,  # the lease may be the next student's
    (State.PASSING, Event.LEASE_ENDED): State.AJAR,
    (State.LOCKING, Event.VOICE): State.UNLOCKED,
    (State.LOCKING, Event.BUTTON): State.UNLOCKED,
    (State.LOCKING, Event.OPENED): State.AJAR,
    (State.LOCKING, Event.SETTLED): State.SHUT,
    (State.AJAR, Event.VOICE): State.PASSING,
    (State.AJAR, Event.BUTTON): State.PASSING,
    (State.AJAR, Event.CLOSED): State.LOCKING,  # a door that slams comes back once
    (State.AJAR, Event.TOO_LONG): State.HELD,
    (State.HELD, Event.VOICE): State.PASSING,
    (State.HELD, Event.BUTTON): State.PASSING,
    (State.HELD, Event.CLOSED): State.LOCKING,
    (State.FORCED, Event.VOICE): State.PASSING,
    (State.FORCED, Event.BUTTON): State.PASSING,
    (State.FORCED, Event.CLOSED): State.SHUT,
}

# What ends a state by itself, and so must never be waited for from outside.
ENDS: dict[State, Event] = {
    State.UNLOCKED: Event.LEASE_ENDED,
    State.PASSING: Event.LEASE_ENDED,
    State.LOCKING: Event.SETTLED,
    State.AJAR: Event.TOO_LONG,
}

FAULTS: dict[Event, tuple[Fault, bool]] = {
    Event.VOICE_LOST: (Fault.VOICE, True),
    Event.VOICE_FOUND: (Fault.VOICE, False),
    Event.MICROPHONE_LOST: (Fault.MICROPHONE, True),
    Event.MICROPHONE_FOUND: (Fault.MICROPHONE, False),
    Event.TAMPER_OPENED: (Fault.TAMPER, True),
    Event.TAMPER_CLOSED: (Fault.TAMPER, False),
    Event.TOO_OFTEN: (Fault.RESENT, True),
    Event.RESTED: (Fault.RESENT, False),
}


class Machine:
    """The state of one door."""

    def __init__(self, now: float, *, lease: float, held: float, pulse: float, open: bool) -> None:
        """Begin at ``now`` with the door closed, or standing ``open`` for a reason not known.

        ``lease``: seconds from an opening to its end; ``held``: seconds the door may stand open
        after it; ``pulse``: seconds of the lease that the relay is on, 0 for all of it.
        """
        self.state = State.AJAR if open else State.SHUT
        self.faults: set[Fault] = set()
        self._lease = lease
        self._held = held
        self._hold = pulse or lease
        self._now = self._entered = now
        self._opened = self._lease_ends = self._button_ends = -math.inf

    @property
    def relay(self) -> bool:
        """Return whether the relay should be on at the time that was last told."""
        return self.state in LEASED and self._now < self._opened + self._hold

    def handle(self, event: Event, now: float) -> list[State]:
        """Take in what happened at ``now``; return the states that were entered, in order."""
        entered = self.tick(now)
        if event in FAULTS:
            fault, there = FAULTS[event]
            (self.faults.add if there else self.faults.discard)(fault)
            return entered
        if event in OPENINGS:
            self._opened = self._now
            self._lease_ends = self._now + self._lease
        if event is Event.BUTTON:
            self._button_ends = self._lease_ends
        return entered + self._follow(event, self._now)

    def tick(self, now: float) -> list[State]:
        """Time went on to ``now``; the states that were entered, in their order."""
        self._now = max(self._now, now)
        entered = []
        while self._now >= (end := self._end()):
            entered += self._follow(ENDS[self.state], end)
        return entered

    def rest(self, now: float) -> list[State]:
        """Give up the voice's lease at ``now``; what the exit button opened stays open."""
        self._lease_ends = min(self._lease_ends, max(now, self._button_ends))
        return self.tick(now)

    def _end(self) -> float:
        """Return when the state ends by itself."""
        if self.state in LEASED:
            return self._lease_ends
        if self.state is State.LOCKING:
            return self._entered + GRACE
        return self._entered + self._held if self.state is State.AJAR else math.inf

    def _follow(self, event: Event, at: float) -> list[State]:
        target = TRANSITIONS.get((self.state, event), self.state)
        if target is self.state:
            return []
        self.state = target
        self._entered = at
        return [target]
