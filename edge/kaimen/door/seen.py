"""How the door is, put together from what it said."""

from __future__ import annotations

from kaimen.door.client import Gone
from kaimen.door.protocol import DoorState, FaultStatus, Notice, NotOpened, Opened, RelayStatus


class DoorSeen:
    """The door by its notices."""

    def __init__(self) -> None:
        self._state = ""
        self._on = False
        self._faults: set[str] = set()
        self._last = ""  # how it was opened last, or why it was not

    def hear(self, notice: Notice | Gone) -> None:
        """Take in what it said."""
        match notice:
            case DoorState(name):
                self._state = name
            case RelayStatus(on):
                self._on = on
            case FaultStatus(name, on):
                (self._faults.add if on else self._faults.discard)(name)
            case Opened() | NotOpened():
                self._last = str(notice)
            case Gone():
                self._state, self._on = "gone", False

    @property
    def fields(self) -> dict[str, object]:
        """Return state, relay, faults and the last opening, for watchers."""
        return {
            "state": self._state,
            "relay": self._on,
            "faults": sorted(self._faults),
            "last": self._last,
        }
