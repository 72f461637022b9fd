"""Everything that the voice process and the door say to each other, one packet each.

The voice process sends requests, the door sends notices. A packet is a line of text. Its bytes
never change: a voice process that runs may meet a door of a later version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from kaimen.door.patterns import SHOWS

TIME = re.compile(r"(?:0|[1-9][0-9]{0,11})\.[0-9]{3}")  # seconds
LONGEST_REQUEST = 64  # bytes
LONGEST_NOTICE = 512  # bytes; what is longer is cut
WANTED = 1.0  # seconds after which an opening that the door did not see yet is not wanted any more
LATE = 2.0  # seconds the door may have been stopped; then an opening is no longer wanted
TOO_LATE = "the door was stopped for a while and comes too late"


class Message:
    """One packet; its text is what a journal shows."""

    __slots__ = ()
    wording: ClassVar[str]  # a format of the message itself

    def __str__(self) -> str:
        return self.wording.format(self)

    def to_bytes(self) -> bytes:
        """Return the packet."""
        return str(self).encode()


@dataclass(frozen=True, slots=True)
class Open(Message):
    """Ask for one lease, before a time of the clock that all processes of a machine share.

    A packet may wait in its socket while the door is stopped: nobody stands there any more then.
    Without a time it is that of an earlier version.
    """

    until: float | None = None  # of CLOCK_MONOTONIC, in seconds; thousandths are told

    def __str__(self) -> str:
        return "open" if self.until is None else f"open {self.until:.3f}"


@dataclass(frozen=True, slots=True)
class OpenIfWritten(Message):
    """Ask by hand for one lease before a time, if a gate is there that writes it down."""

    until: float  # of CLOCK_MONOTONIC, in seconds; thousandths are told

    def __str__(self) -> str:
        return f"open-if-written {self.until:.3f}"


@dataclass(frozen=True, slots=True)
class Rest(Message):
    """End the voice's lease now."""

    wording = "rest"


@dataclass(frozen=True, slots=True)
class Alive(Message):
    """Give a sign of life; the door answers with the same."""

    wording = "alive"


@dataclass(frozen=True, slots=True)
class Show(Message):
    """Ask for a pattern of light and sound."""

    wording = "show {0.what}"
    what: str

    def __post_init__(self) -> None:
        if self.what not in SHOWS:
            raise ValueError(f"a door cannot show {self.what!r}; one of {', '.join(SHOWS)}")


@dataclass(frozen=True, slots=True)
class RelayStatus(Message):
    """Tell whether the relay is on."""

    on: bool

    def __str__(self) -> str:
        return f"relay {_level(self.on)}"


@dataclass(frozen=True, slots=True)
class DoorState(Message):
    """Tell which state the door is in, by its value in ``states.State``."""

    wording = "state {0.name}"
    name: str


@dataclass(frozen=True, slots=True)
class FaultStatus(Message):
    """Tell whether a fault is there, by its value in ``states.Fault``."""

    name: str
    on: bool

    def __str__(self) -> str:
        return f"fault {self.name} {_level(self.on)}"


@dataclass(frozen=True, slots=True)
class Opened(Message):
    """Tell that a lease began, and whether "voice", "button" or "hand", the console, asked."""

    wording = "opened by {0.by}"
    by: str


@dataclass(frozen=True, slots=True)
class NotOpened(Message):
    """Refuse an opening, with the reason."""

    wording = "not opened: {0.why}"
    why: str


@dataclass(frozen=True, slots=True)
class NoticesLost(Message):
    """Tell how many notices were not sent, since nobody read them in time."""

    wording = "lost {0.number}"
    number: int


@dataclass(frozen=True, slots=True)
class Busy(Message):
    """Turn a second voice process away."""

    wording = "busy"


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """Tell why the door cannot serve; it ends then."""

    wording = "failed {0.why}"
    why: str


@dataclass(frozen=True, slots=True)
class UnknownNotice(Message):
    """Hold what only a later version of the door says."""

    wording = "{0.text}"
    text: str


Request = Open | OpenIfWritten | Rest | Alive | Show
Notice = (
    RelayStatus
    | DoorState
    | FaultStatus
    | Opened
    | NotOpened
    | NoticesLost
    | Alive
    | Busy
    | Failed
    | UnknownNotice
)


def in_time(until: float, now: float) -> bool:
    """Return whether an opening that was asked for before ``until`` is still wanted ``now``."""
    return now <= until <= now + LATE


def request_from_bytes(packet: bytes) -> Request:
    """Return what the voice process asks for. Raises ValueError for all but its exact bytes."""
    match packet.decode("ascii").split(" "):
        case ["open"]:
            return Open()
        case ["open", until] if TIME.fullmatch(until):
            return Open(float(until))
        case ["open-if-written", until] if TIME.fullmatch(until):
            return OpenIfWritten(float(until))
        case ["rest"]:
            return Rest()
        case ["alive"]:
            return Alive()
        case ["show", what]:
            return Show(what)
    raise ValueError(f"no request: {packet!r}")


def notice_from_bytes(packet: bytes) -> Notice:
    """Return what the door says; a notice that is not known is kept as its text."""
    text = packet.decode("utf-8", "replace")
    match text.split(" "):
        case ["alive"]:
            return Alive()
        case ["busy"]:
            return Busy()
        case ["relay", "on" | "off" as level]:
            return RelayStatus(level == "on")
        case ["state", name]:
            return DoorState(name)
        case ["fault", name, "on" | "off" as level]:
            return FaultStatus(name, level == "on")
        case ["opened", "by", who]:
            return Opened(who)
        case ["not", "opened:", *why]:
            return NotOpened(" ".join(why))
        case ["lost", number] if number.isdecimal():
            return NoticesLost(int(number))
        case ["failed", *why]:
            return Failed(" ".join(why))
    return UnknownNotice(text)


def _level(on: bool) -> str:
    return "on" if on else "off"
