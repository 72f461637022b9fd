"""How the door is, by what it said."""

from __future__ import annotations

from kaimen.door.client import Gone
from kaimen.door.protocol import DoorState, FaultStatus, NotOpened, Opened, RelayStatus
from kaimen.door.seen import DoorSeen


def test_a_door_is_seen_as_it_last_said_it_is() -> None:
    seen = DoorSeen()
    assert seen.fields == {"state": "", "relay": False, "faults": [], "last": ""}
    told = (
        (DoorState("unlocked"), {"state": "unlocked"}),
        (RelayStatus(True), {"relay": True}),
        (FaultStatus("voice", True), {"faults": ["voice"]}),
        (FaultStatus("tamper", True), {"faults": ["tamper", "voice"]}),
        (FaultStatus("voice", False), {"faults": ["tamper"]}),
        (Opened("voice"), {"last": "opened by voice"}),
        (NotOpened("it is Sunday"), {"last": "not opened: it is Sunday"}),
        (Gone(), {"state": "gone", "relay": False}),
    )
    for notice, changes in told:
        expected = {**seen.fields, **changes}
        seen.hear(notice)
        assert seen.fields == expected
