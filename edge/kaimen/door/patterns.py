"""What somebody at the door sees and hears: one table of patterns, played without sleeping."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from kaimen.door.states import LEASED, Fault, State

Blink = tuple[float, ...]  # seconds on, off, on, off ..., again and again

DARK: Blink = ()
STEADY: Blink = (math.inf,)


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the lights and the buzzer do, and for how many seconds."""

    green: Blink = DARK
    red: Blink = DARK
    buzzer: Blink = DARK
    lasts: float = math.inf


# Each has a rhythm of its own, so that nobody has to tell red from green.
PATTERNS: dict[str, Pattern] = {
    "idle": Pattern(green=(0.05, 2.95)),
    "listening": Pattern(green=(0.25, 0.25)),
    "open": Pattern(green=STEADY, buzzer=(0.15, math.inf)),
    "again": Pattern(
        green=(0.2, 0.4), red=(0.0, 0.3, 0.2, 0.1), buzzer=(0.1, 0.1, 0.1, math.inf), lasts=1.8
    ),
    "unknown": Pattern(red=(0.6, 0.3), buzzer=(0.6, math.inf), lasts=1.8),
    "refused": Pattern(red=(0.1, 0.2), buzzer=(0.1, 0.1, 0.1, 0.1, 0.1, math.inf), lasts=3.0),
    # While somebody is enrolled at the gate: say the phrase; a take is good; all are there.
    "enrolling": Pattern(green=(0.6, 0.2, 0.2, 0.2)),
    "kept": Pattern(green=(0.1, 0.1, 0.1, 0.3), buzzer=(0.05, 0.1, 0.05, math.inf), lasts=1.0),
    "enrolled": Pattern(green=(0.3, 0.1), buzzer=(0.3, 0.1, 0.3, math.inf), lasts=3.0),
    "granted": Pattern(green=(0.9, 0.1), buzzer=(0.15, math.inf), lasts=2.0),
    "beep": Pattern(buzzer=(0.15, math.inf), lasts=0.3),
    "fault": Pattern(red=(0.1, 0.2, 0.1, 1.6)),
    "held": Pattern(red=(0.5, 0.5), buzzer=(0.5, 0.5)),
    "resent": Pattern(red=(1.0, 0.5), buzzer=(1.0, 0.5)),
    "forced": Pattern(red=(0.1, 0.1), buzzer=(0.1, 0.1)),
}

# What may be asked for by a voice, and by who asks by hand: a panel that opens a door of its own.
SHOWS = (
    "listening", "unknown", "again", "refused", "granted", "beep", "idle", "fault", "enrolling",
    "kept", "enrolled",
)  # fmt: skip
HAND_SHOWS = ("granted", "refused", "again", "beep")


def is_on(blink: Blink, since: float) -> bool:
    """Return whether a light is on ``since`` seconds after its pattern began."""
    if not blink:
        return False
    left = since % sum(blink)
    for index, length in enumerate(blink):
        if left < length:
            return index % 2 == 0
        left -= length
    return False  # rounding, at the very end


def chosen(state: State, asked: str, faults: Collection[Fault]) -> str:
    """Return which pattern is played: alarms first, then an open door, then the voice's."""
    if state is State.FORCED:
        return "forced"
    if state is State.HELD:
        return "held"
    if Fault.RESENT in faults and state not in LEASED:
        return "resent"
    if state in LEASED:
        return "open"
    if asked != "idle":
        return asked
    return "fault" if faults else "idle"
