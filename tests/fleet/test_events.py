"""What happened at a gate comes to the desk, each event once, however long nobody listens."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaimen.audit import Audit
from kaimen.audit.following import Follower
from kaimen.audit.records import pseudonym
from kaimen.errors import ForgedMessage
from kaimen.fleet.message import seal_report
from kaimen.fleet.status import gate_rows
from tests.fleet.machines import MOSQUITTO, WITHOUT, Fleet

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason=WITHOUT)
KEY = b"k" * 32


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    gate = made.invite("gate-1")
    folder = gate.folder / "audit"
    cursor = gate.folder / "cursor"
    gate.options = {"log_key": KEY, "follower": Follower(folder, KEY, cursor)}
    made.audit = Audit(folder, KEY)
    yield made
    made.audit.close()
    made.stop()


def write(fleet: Fleet, number: int) -> None:
    fleet.audit.write({"kind": "decision", "student": pseudonym(KEY, "anna"), "visit": number})


def events(fleet: Fleet) -> list[dict[str, Any]]:
    member = fleet["office"].member
    return [] if member is None else list(member.store.events("gate-1"))


def visits(fleet: Fleet) -> list[int]:
    return [each["visit"] for each in events(fleet)]


@pytest.mark.slow
def test_events_are_kept_while_nobody_listens_and_told_once(fleet: Fleet) -> None:
    fleet["office"].enroll("anna", 1)
    for name in ("office", "gate-1"):
        fleet[name].start()
    fleet.until(fleet.agree)
    write(fleet, 0)
    fleet.until(lambda: visits(fleet) == [0])
    fleet.broker.stop(kill=True)
    for number in range(1, 150):
        write(fleet, number)
    for _ in range(20):
        fleet.step()
    fleet.broker.start()
    fleet.until(lambda: len(visits(fleet)) == 150)
    assert visits(fleet) == list(range(150))
    fleet["office"].stop()
    write(fleet, 150)
    for _ in range(50):
        fleet.step()
    fleet["gate-1"].stop(kill=True)  # before anybody had it
    gate = fleet["gate-1"]
    gate.options["follower"] = Follower(gate.folder / "audit", KEY, gate.folder / "cursor")
    fleet["office"].start()
    gate.start()
    fleet.until(lambda: len(visits(fleet)) == 151)
    assert visits(fleet) == list(range(151))
    # In the fleet's own pseudonyms, not in those of the gate's log, and without a name.
    called = fleet["office"].membership.pseudonym("anna")
    assert {each["student"] for each in events(fleet)} == {called}
    assert "anna" not in json.dumps(events(fleet))


def test_a_gate_that_is_gone_is_known_to_be_gone(fleet: Fleet) -> None:
    for name in ("office", "gate-1"):
        fleet[name].start()

    def online() -> bool | None:
        return fleet["office"].member.store.gates().get("gate-1", {}).get("online")

    fleet.until(lambda: online() is True)
    fleet["gate-1"].stop(kill=True)  # the broker publishes its last will
    fleet.until(lambda: online() is False)
    fleet["gate-1"].start()
    fleet.until(lambda: online() is True)
    fleet["gate-1"].stop()
    fleet.until(lambda: online() is False)


def test_a_report_in_another_gates_name_is_refused_by_the_desk(fleet: Fleet) -> None:
    office = fleet["office"].start()
    other = fleet["office"].membership.invited("gate-9", "gate", office.membership.broker, ())
    topic = office.topics.of_gate("gate-1", "status")
    forged = seal_report(topic, b'{"at": "2099"}', other.gate_key("gate-9"))
    with pytest.raises(ForgedMessage):
        office.hear(topic, forged)
    nonsense = seal_report(topic, b"[]", office.membership.gate_key("gate-1"))
    with pytest.raises(ForgedMessage, match="gate-1"):
        office.hear(topic, nonsense)
    assert office.store.gates() == {}


def test_a_gate_whose_clock_ran_ahead_is_heard_again_and_its_silence_noticed(fleet: Fleet) -> None:
    office = fleet["office"].start()
    topic, key = (
        office.topics.of_gate("gate-1", "status"),
        office.membership.gate_key("gate-1"),
    )

    def students(at: str, count: int) -> object:
        content = json.dumps({"at": at, "students": count, "online": True}).encode()
        office.hear(topic, seal_report(topic, content, key))
        return office.store.gates()["gate-1"]["students"]

    now = datetime.datetime.now(datetime.UTC)
    ahead = (now + datetime.timedelta(days=400)).isoformat()
    right, earlier = now.isoformat(), (now - datetime.timedelta(hours=1)).isoformat()
    assert [students(*each) for each in ((ahead, 1), (right, 2), (earlier, 3))] == [1, 2, 2]
    students(ahead, 4)
    for after, silent in ((1, False), (5, True)):
        (row,) = gate_rows(office.store, now + datetime.timedelta(minutes=after))
        assert any("silent" in each for each in row.problems) == silent
        students(ahead, 4)  # the broker gives the same again


def test_openings_of_a_day_are_counted_across_a_clock_that_was_set_back(fleet: Fleet) -> None:
    store = fleet["office"].start().store
    now = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.UTC)
    hours = (1, 30, 2, 23, 25, 60, 3)  # ago, the first written last
    store.put_events(
        "gate-1",
        [
            {
                "number": -number,
                "id": number,
                "verdict": "open",
                "at": (now - datetime.timedelta(hours=each)).isoformat(),
            }
            for number, each in enumerate(hours)
        ],
    )
    assert store.openings("gate-1", now - datetime.timedelta(days=1)) == 3
