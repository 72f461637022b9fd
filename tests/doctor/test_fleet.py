"""The doctor's line of the fleet: linked, how old the latest word is, and what ails."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kaimen.doctor import fleet
from kaimen.doctor.finding import Finding, Health, Patient
from kaimen.fleet.membership import Broker, Membership
from kaimen.fleet.store import Store
from kaimen.installation import Installation
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.screen import Screen
from kaimen.settings import FleetSettings, GallerySettings, Settings

DESK = Membership.create("office", Broker("broker.example"))
GATE = DESK.invited("canteen", "gate", DESK.broker, ())
AGO = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)).isoformat()
LINKED = {"link": {"connected": True, "since": AGO, "why_not": ""}, "desk_said": AGO}


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    settings = Settings(
        gallery=GallerySettings(str(tmp_path / "gallery.sqlite"), str(tmp_path / "key")),
        fleet=FleetSettings(str(tmp_path / "fleet")),
    )
    with Installation.open(settings, Screen(as_json=True)) as installation:
        yield Patient(installation)


def examined(patient: Patient, member: Membership, **facts: Any) -> list[Finding]:
    """What the doctor finds of a member that remembers facts."""
    patient.settings.fleet.folder.mkdir(exist_ok=True)
    member.save(patient.settings.fleet.folder)
    with closing(Store(fleet_store_path(patient.settings.gallery.file))) as store:
        for name, value in facts.items():
            store.note(name, value)
    return list(fleet.check(patient))


def lost(why: str) -> dict[str, Any]:
    return {"link": {"connected": False, "since": AGO, "why_not": why}}


def test_a_machine_in_no_fleet_has_no_line(patient: Patient) -> None:
    assert list(fleet.check(patient)) == []


@pytest.mark.parametrize(
    "facts, state, found",
    [
        (LINKED, Health.OK, "linked for 3 days; the latest change is 3 days old"),
        (lost("Connection refused"), Health.ATTENTION, "broker.example since 3 days: Connection"),
        (lost("Not authorized"), Health.ATTENTION, "refuses canteen: it was withdrawn"),
        ({**LINKED, "seen": 5, "whole_at": 3}, Health.ATTENTION, "not all of the latest change"),
        ({}, Health.ATTENTION, "not connected yet"),
    ],
)
def test_a_gate_tells_how_its_link_is(
    facts: dict[str, Any], state: Health, found: str, patient: Patient
) -> None:
    (finding,) = examined(patient, GATE, **facts)
    assert (finding.name, finding.state) == ("fleet", state)
    assert found in finding.found and bool(finding.mend) == (state is not Health.OK)


def test_a_gate_tells_of_a_bundle_that_it_did_not_take(patient: Patient) -> None:
    order = {"version": 1, "content": "ab", "well": False, "said": "unsigned"}
    _, finding = examined(patient, GATE, **LINKED, order=order)
    assert "unsigned" in finding.found and finding.state is Health.ATTENTION
    _, finding = examined(patient, GATE, order={"version": 2, "content": "ab"})
    assert "not installed yet" in finding.found


def test_a_desk_tells_which_gates_are_not_well(patient: Patient) -> None:
    examined(patient, DESK, **LINKED)
    with closing(Store(fleet_store_path(patient.settings.gallery.file))) as store:
        store.put_gate("canteen", {"online": False})
    _, finding = examined(patient, DESK)
    assert finding.found == "1 of 1 are not well: canteen: no link to the broker"
