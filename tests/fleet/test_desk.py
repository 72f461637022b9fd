"""A desk makes entries of what its registry holds, each version once, and no accident."""

from __future__ import annotations

import datetime
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kaimen.errors import DiskFull, FleetError, GalleryError
from kaimen.fleet.desk import Desk
from kaimen.fleet.gate import FleetGate
from kaimen.fleet.ledger import FleetEntry, News
from kaimen.fleet.link import Link
from kaimen.fleet.membership import Broker, Membership
from kaimen.fleet.replica import StudentMessage
from kaimen.fleet.status import gate_rows
from kaimen.fleet.store import KeptEntry, Store
from tests.fleet.machines import Machine
from tests.fleet.test_messages import student

NOWHERE = Broker("127.0.0.1", 1)
DESK = Membership.create("office", NOWHERE)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(DESK, tmp_path)
    yield machine
    machine.stop()
    machine.registry.close()


def look(machine: Machine) -> Any:
    member = machine.start() if machine.member is None else machine.member
    member.look()
    return member.replica


def entries(machine: Machine) -> dict[str, FleetEntry]:
    replica = look(machine)
    return {name: replica.ledger.entries[called] for called, name in replica.names.items()}


def test_each_change_has_a_version_of_its_own(office: Machine) -> None:
    office.enroll("anna", 1)
    office.enroll("björn", 2)
    first = entries(office)
    assert sorted(each.version for each in first.values()) == [1, 2]
    office.registry.describe("anna", group="8b")
    second = entries(office)
    assert second["anna"].version == 3
    assert second["björn"] == first["björn"]
    office.registry.remove("anna")
    replica = look(office)
    assert replica.ledger.entries[DESK.pseudonym("anna")] == FleetEntry(4, DESK.desk, True)


def test_what_is_written_again_and_is_the_same_is_no_change(office: Machine) -> None:
    office.enroll("anna", 1)
    before = entries(office)
    office.registry.copies.put(office.registry.copies.of("anna"))
    office.registry.describe("anna", group="7a")
    assert entries(office) == before


def test_a_change_while_the_desk_is_stopped_is_taken_up_at_its_start(office: Machine) -> None:
    office.enroll("anna", 1)
    look(office)
    office.stop()
    office.enroll("björn", 2)
    assert sorted(each.version for each in entries(office).values()) == [1, 2]


def test_a_registry_that_lost_many_students_at_once_tells_nobody_until_that_is_meant(
    office: Machine,
) -> None:
    for number in range(40):
        office.enroll(f"s{number:02}", number)
    look(office)
    for number in range(30):
        office.registry.remove(f"s{number:02}")
    office.enroll("late", 99)
    replica = look(office)
    assert replica.ledger.students == 41
    assert "30 students are gone from this registry at once" in office.said[-1]
    office.stop()
    office.options["accept_removals"] = True
    assert look(office).ledger.students == 11


def test_a_registry_that_was_put_back_is_not_the_latest_word(
    office: Machine, tmp_path: Path
) -> None:
    office.enroll("anna", 1)
    look(office)
    office.stop()
    office.registry.close()
    path = tmp_path / "gallery.sqlite"
    backup = {each: each.read_bytes() for each in tmp_path.glob("gallery.sqlite*")}
    office.__post_init__()
    office.enroll("björn", 2)
    office.registry.remove("anna")
    look(office)
    office.stop()
    office.registry.close()
    for each in tmp_path.glob("gallery.sqlite*"):
        each.unlink()
    for each, content in backup.items():
        each.write_bytes(content)
    assert path.exists()
    office.__post_init__()
    member = office.start()
    assert "older copy" in office.said[-1] or "older than" in office.said[-1]
    assert member.replica.ledger.entries == {}  # both are asked for again


def test_a_gate_can_be_no_desk(tmp_path: Path) -> None:
    gate = Machine(DESK.invited("canteen", "gate", NOWHERE, ()), tmp_path)
    with closing(Store(tmp_path / "s.sqlite")) as store, pytest.raises(FleetError, match="a gate"):
        Desk(gate.membership, gate.registry, store, print)
    gate.registry.close()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(FleetError, match=r"kaimen\[fleet\]"):
        Link(NOWHERE, "x", lambda *_: None)


def test_events_that_cannot_be_counted_are_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "fleet.sqlite"
    with closing(Store(path)) as store:
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE events")
        with pytest.raises(GalleryError, match=r"fleet\.sqlite: .*no such table"):
            store.openings("gate-1", datetime.datetime.now(datetime.UTC))


def test_the_table_says_what_is_not_well_at_which_gate(tmp_path: Path) -> None:
    now = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.UTC)
    with closing(Store(tmp_path / "fleet.sqlite")) as store:
        topics = [f"{number:032x}" for number in range(3)]
        store.put(
            (topic, KeptEntry(FleetEntry(version, "desk", False)))
            for version, topic in enumerate(topics, 1)
        )
        fresh = {"version": "1", "whole_at": 3, "students": 3, "seen": "s", "online": True}
        store.put_gate("well", {**fresh, "at": now.isoformat()})
        store.put_gate("away", {**fresh, "whole_at": 1, "online": False, "at": now.isoformat()})
        old = (now - datetime.timedelta(minutes=5)).isoformat()
        store.put_gate("silent", {**fresh, "at": old, "refused": 2, "problems": ["no disk"]})
        rows = {row.name: row for row in gate_rows(store, now)}
    assert rows["well"].problems == ()
    assert rows["well"].behind == 0
    assert rows["away"].behind == 2
    assert rows["away"].problems == ("no link to the broker",)
    assert [each.split(":")[0] for each in rows["silent"].problems] == [
        "online, and silent for minutes", "no disk", "2 messages were refused",
    ]  # fmt: skip


def test_a_gate_says_that_students_are_behind_a_full_disk_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Machine(DESK.invited("canteen", "gate", NOWHERE, ()), tmp_path)
    member: FleetGate = gate.start()
    called = DESK.pseudonym("anna")
    entry = FleetEntry(1, DESK.desk, False)
    with monkeypatch.context() as full:
        full.setattr(
            type(gate.own.copies), "put", lambda *_: (_ for _ in ()).throw(DiskFull("full"))
        )
        member.replica.take(StudentMessage(called, entry, News.NEWER, student("anna")))
        with pytest.raises(DiskFull):
            member.replica.flush()
    assert member.replica.ledger.entries == {}  # so that it is asked for again
    member.replica.take(StudentMessage(called, entry, News.NEWER, student("anna")))
    member.replica.flush()
    assert list(gate.students()) == ["anna"]
    gate.stop()
    gate.registry.close()
