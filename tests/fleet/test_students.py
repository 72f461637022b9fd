"""Students of one desk at many gates, through a real broker."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.machines import MOSQUITTO, WITHOUT, Fleet

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason=WITHOUT)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    made.invite("gate-1")
    made.invite("gate-2")
    yield made
    made.stop()


def start(fleet: Fleet, *names: str) -> None:
    for name in names or tuple(fleet.machines):
        fleet[name].start()


def test_who_is_enrolled_at_the_desk_is_known_at_every_gate(fleet: Fleet) -> None:
    start(fleet)
    fleet["office"].enroll("anna", 1)
    fleet.until(lambda: fleet.agree() and len(fleet["gate-2"].registry) == 1)
    fleet["office"].enroll("anna", 2)
    fleet["office"].enroll("björn", 3)
    fleet["office"].registry.describe("björn", group="8b")
    fleet.until(lambda: fleet.agree() and len(fleet["gate-1"].registry) == 2)
    assert fleet["gate-1"].students() == fleet["office"].students()
    assert fleet["gate-1"].registry.student("björn").group == "8b"


def test_who_is_removed_at_the_desk_is_removed_everywhere(fleet: Fleet) -> None:
    fleet["office"].enroll("anna", 1)
    fleet["office"].enroll("björn", 2)
    start(fleet)
    fleet.until(lambda: fleet.agree() and len(fleet["gate-1"].registry) == 2)
    fleet["office"].registry.remove("anna")
    fleet.until(lambda: fleet.agree() and len(fleet["gate-1"].registry) == 1)
    assert [each.name for each in fleet["gate-2"].registry.students()] == ["björn"]


@pytest.mark.slow
def test_a_gate_that_was_away_catches_up(fleet: Fleet) -> None:
    for number in range(30):
        fleet["office"].enroll(f"s{number:03}", number)
    start(fleet)
    fleet.until(fleet.agree)
    fleet["gate-1"].stop()
    for number in range(20):
        fleet["office"].enroll(f"s{number:03}", 100 + number)
    for number in range(20, 25):
        fleet["office"].registry.remove(f"s{number:03}")
    fleet.until(lambda: fleet.agree() and len(fleet["gate-2"].registry) == 25)
    fleet["gate-1"].start()
    fleet.until(lambda: fleet.agree())
    assert len(fleet["gate-1"].registry) == 25


@pytest.mark.slow
def test_who_was_removed_stays_out_even_when_nobody_remembers_the_removal(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.fleet.desk.EXPIRE", 0.2)
    fleet["office"].enroll("anna", 1)
    fleet["office"].enroll("björn", 2)
    start(fleet)
    fleet.until(fleet.agree)
    fleet["gate-1"].stop()
    fleet["office"].registry.remove("anna")
    fleet.until(lambda: fleet.agree() and len(fleet["gate-2"].registry) == 1)
    fleet["office"].stop()
    fleet["office"].options["remembered"] = datetime.timedelta(days=-1)
    fleet["office"].start()
    remembered = fleet["gate-2"].member.replica.ledger.entries
    fleet.until(lambda: fleet.agree() and len(remembered) == 1)
    fleet["gate-1"].start()
    fleet.until(fleet.agree)
    assert [each.name for each in fleet["gate-1"].registry.students()] == ["björn"]


@pytest.mark.slow
def test_a_broker_that_lost_everything_is_filled_again(fleet: Fleet) -> None:
    fleet["office"].enroll("anna", 1)
    start(fleet)
    fleet.until(fleet.agree)
    fleet.broker.stop(kill=True)
    fleet.broker.forget()
    fleet.broker.start()
    fleet["office"].enroll("björn", 2)
    late = fleet.invite("gate-3")
    late.start()
    fleet.until(lambda: fleet.agree() and len(late.registry) == 2)


@pytest.mark.slow
def test_two_desks_at_once_agree(fleet: Fleet) -> None:
    fleet.invite("second", desk=True)
    start(fleet)
    fleet["office"].enroll("anna", 1)
    fleet["second"].enroll("anna", 2)
    fleet["second"].enroll("björn", 3)
    fleet.until(lambda: fleet.agree() and len(fleet["gate-1"].registry) == 2)
    fleet["office"].registry.remove("björn")
    fleet.until(lambda: fleet.agree() and len(fleet["gate-1"].registry) == 1)


@pytest.mark.slow
def test_a_desk_that_changed_many_before_it_was_connected_tells_them_all(fleet: Fleet) -> None:
    """More than can be compared with the broker at once: they need not come right together."""
    fleet.invite("second", desk=True)
    fleet["office"].enroll("anna", 1)
    start(fleet, "office", "gate-1")
    fleet.until(fleet.agree)
    for number in range(40):
        fleet["second"].enroll(f"s{number:03}", number)
    start(fleet, "second")
    fleet.until(lambda: fleet.agree() and len(fleet["gate-1"].registry) == 41)


def test_what_is_changed_at_a_gate_is_taken_back(fleet: Fleet) -> None:
    fleet["office"].enroll("anna", 1)
    start(fleet)
    fleet.until(fleet.agree)
    fleet["gate-1"].enroll("mallory", 9)
    fleet["gate-1"].registry.remove("anna")
    fleet.until(lambda: [e.name for e in fleet["gate-1"].registry.students()] == ["anna"])
    fleet.until(fleet.agree)


def test_a_student_who_is_changed_while_the_message_is_on_its_way_is_told_again(
    fleet: Fleet,
) -> None:
    start(fleet)
    fleet["office"].enroll("anna", 1)
    fleet.until(fleet.agree)
    office = fleet["office"].member
    fleet["office"].enroll("anna", 2)
    office._looked_at = 0.0
    while not office._flying:
        office.step(0.0)
    fleet["office"].enroll("anna", 3)
    office.look()
    assert len(office.replica.unpublished()) == 1
    fleet.until(lambda: fleet.agree() and not office.replica.unpublished())
    assert fleet["gate-1"].students() == fleet["office"].students()
