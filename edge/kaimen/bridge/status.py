"""How gate and door are, as far as the log tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from kaimen.audit import Record, latest
from kaimen.bridge.source import GateLog
from kaimen.door.protocol import (
    DoorState,
    FaultStatus,
    Notice,
    RelayStatus,
    notice_from_bytes,
)
from kaimen.door.states import Fault, State
from kaimen.errors import StorageError

BACK = 2000  # records that are looked back at
STANDING_OPEN = frozenset({State.PASSING, State.AJAR, State.HELD, State.FORCED})
FAULTS = tuple(fault.value for fault in Fault)


def notice_of(record: Record) -> Notice | None:
    """Return what the door said in a record; None in one of anything else."""
    if record.get("kind") != "door":
        return None
    return notice_from_bytes(str(record.get("event")).encode())


@dataclass(slots=True)
class DoorStatus:
    """What the door said last, beside whatever else is in the log."""

    relay: bool = False
    state: str = ""  # of the door; empty: not known
    faults: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)  # faults since the relay was told of

    @classmethod
    def now(cls, source: GateLog) -> DoorStatus:
        """Return how it is by the last records of a log; one that nobody began tells nothing."""
        status = cls()
        try:
            records = list(islice(latest(source.folder, source.key), BACK))
        except StorageError:
            records = []
        for record in reversed(records):
            status.take(record)
        return status

    @property
    def stands_open(self) -> bool:
        """Return whether the door stands open."""
        return self.state in {state.value for state in STANDING_OPEN}

    def take(self, record: Record) -> None:
        """Go on by one record."""
        match notice_of(record):
            case RelayStatus(on):
                self.relay = on
                self._told.clear()
            case FaultStatus(name, on):
                (self.faults.add if on else self.faults.discard)(name)
                if on:
                    self._told.add(name)
            case DoorState(name):
                if name == self.state:  # a door greets: it names all faults that are there
                    self.faults &= self._told
                self.state = name


def decisions(records: list[Record]) -> Iterator[Record]:
    """Yield the decisions among records."""
    return (record for record in records if record.get("kind") == "decision")


def openings(records: list[Record]) -> Iterator[Record]:
    """Yield the decisions that let somebody in."""
    return (record for record in decisions(records) if record.get("verdict") == "open")
