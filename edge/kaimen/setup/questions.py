"""What cannot be guessed: the questions, their readers, and the settings they answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kaimen.errors import SettingsError
from kaimen.language import later
from kaimen.settings import Settings
from kaimen.settings.encoder import ENCODERS
from kaimen.setup.dialogue import one_of

DEFAULT = "default"  # stands for the system's own microphone
NONE = "none"  # stands for what is not wired
NOT_WIRED = -1


@dataclass(frozen=True, slots=True)
class Question:
    """One question; each is an option of the command line, too."""

    option: str
    section: str
    setting: str
    text: str
    explained: str
    comment: str  # beside it in the file
    read: Callable[[str], Any]  # raises SettingsError
    show: Callable[[Any], str] = str  # what ``read`` takes

    def current(self, settings: Settings) -> Any:
        """Return what the settings say."""
        return getattr(getattr(settings, self.section), self.setting)

    def taken(self, settings: Settings, value: Any) -> Settings:
        """Return the settings with this answer. Raises SettingsError for one that does not fit."""
        section = replace(getattr(settings, self.section), **{self.setting: value})
        return replace(settings, **{self.section: section})


def microphone(text: str) -> str:
    """Return a part of a microphone's name; empty for the system's default."""
    return "" if text == DEFAULT else text


def microphone_of(names: list[str]) -> Callable[[str], str]:
    """Return a reader that takes the number of a microphone, or a part of a name that is there."""

    def read(text: str) -> str:
        if text == DEFAULT or not names:
            return microphone(text)
        numbered = text.isdecimal()
        if numbered and 1 <= int(text) <= len(names):
            return lasting_name(names[int(text) - 1], names)
        if numbered or not any(text.lower() in name.lower() for name in names):
            raise SettingsError(
                f"no microphone is called {text!r}; answer with a number from 1 to {len(names)}, "
                f"a part of a name, or {DEFAULT}"
            )
        return text

    return read


def lasting_name(name: str, names: list[str]) -> str:
    """A name less ALSA's numbers of cards, which change with every plug, where that is enough."""
    short = name.partition(":")[0].strip() or name
    return short if sum(short.lower() in each.lower() for each in names) == 1 else name


def pin(text: str) -> int:
    """Return a BCM number; that it is from 0 to 27 and free is the settings' to say."""
    digits = text.upper().removeprefix("GPIO")
    if not digits.isdecimal():
        raise SettingsError(
            f"{text!r} is no pin; answer with a BCM number from 0 to 27 (17 is GPIO17)"
        )
    return int(digits)


def pin_or_none(text: str) -> int:
    """Return the same, or none."""
    return NOT_WIRED if text.lower() in (NONE, str(NOT_WIRED)) else pin(text)


def show_pin(value: int) -> str:
    """Return a pin, or none."""
    return NONE if value == NOT_WIRED else str(value)


def seconds(text: str) -> float:
    """Return seconds; how many there may be is the settings' to say."""
    try:
        value = float(text.lower().removesuffix("s"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SettingsError(f"{text!r} is no time; answer with seconds, such as 3 or 2.5")
    return value


LEVEL = one_of("high", "low")

MICROPHONE = Question(
    "microphone",
    "sound",
    "microphone",
    later("Microphone: its number, or a part of its name"),
    later(
        "The gate takes the first microphone whose name holds this; 'default' is the system's own. "
        "A name finds it again in another socket."
    ),
    "a part of its name; empty: the system's default",
    microphone,
    lambda value: value or DEFAULT,
)
RELAY = Question(
    "relay",
    "door",
    "pin",
    later("Pin of the relay, as a BCM number"),
    later(
        "BCM numbers are those of 'pinout': GPIO17 is 17, the 11th of the header's 40 pins. Only "
        "this pin is needed."
    ),
    "of the relay, as a BCM number",
    pin,
)
ACTIVE = Question(
    "active",
    "door",
    "active_high",
    later("Level of that pin at which the relay is on: high or low"),
    later(
        "Many boards with an optocoupler are on when low. One that is on when high is safer: at "
        "rest its pin needs no voltage."
    ),
    "whether the relay is on when its pin is high",
    lambda text: LEVEL(text) == "high",
    lambda value: "high" if value else "low",
)
LEASE = Question(
    "lease",
    "door",
    "lease",
    later("Seconds that one decision may hold the relay"),
    later(
        "So long the door can be pulled open after a phrase; 3 is enough for most, 60 is the most."
    ),
    "seconds one decision may hold the relay",
    seconds,
    lambda value: f"{value:g}",
)
CONTACT = Question(
    "contact",
    "door",
    "contact",
    later("Pin of the door's contact, or none"),
    later(
        "A reed switch between the pin and ground tells whether the door stands open, so that a "
        "door that is forced or held open sounds."
    ),
    "tells whether the door stands open; -1: there is none",
    pin_or_none,
    show_pin,
)
CLOSED = Question(
    "closed",
    "door",
    "contact_closed",
    later("Level of that pin while the door is closed: high or low"),
    later(
        "Low where the switch is closed while the door is: a cut wire is then an open door. High "
        "where it is the other way round."
    ),
    "the contact's level while the door is closed",
    LEVEL,
)
BUTTON = Question(
    "button",
    "door",
    "button",
    later("Pin of the exit button, or none"),
    later("A button between the pin and ground that opens the door from inside, for one lease."),
    "exit button; -1: there is none",
    pin_or_none,
    show_pin,
)

READER = Question(
    "reader",
    "reader",
    "path",
    later("Card reader: its path, or none"),
    later(
        "A serial line is called /dev/serial/by-id/…, a reader that types is called "
        "/dev/input/by-id/…-event-kbd. It says who comes; without one everybody is known by voice "
        "alone."
    ),
    "a pipe, a serial line, or a reader that types; empty: none",
    lambda text: "" if text.lower() == NONE else text,
    lambda value: value or NONE,
)

MODEL = Question(
    "model",
    "encoder",
    "model",
    later("Encoder that comes along: large or small"),
    later(
        "The large one knows voices better; the small one is for a Pi 3, a Zero 2 W and older. "
        "Whom one enrolled the other does not know."
    ),
    "which comes along; small: for a Pi 3, a Zero 2 W and older",
    one_of(*ENCODERS),
)

QUESTIONS = (MODEL, MICROPHONE, RELAY, ACTIVE, LEASE, CONTACT, CLOSED, BUTTON, READER)
