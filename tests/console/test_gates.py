"""The Gates page shows all gates of a fleet, as its desk last heard of them."""

from __future__ import annotations

import datetime
from contextlib import closing

import pytest

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from kaimen.fleet.membership import Broker, Membership
from kaimen.fleet.store import Store
from kaimen.registry.fleet_marks import store_of
from kaimen.settings import Settings


def put_in_a_fleet(settings: Settings) -> None:
    """Make it a desk that two gates reported to; one of them is away."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    folder = settings.fleet.folder
    folder.mkdir()
    Membership.create("office", Broker("broker.example")).save(folder)
    with closing(Store(store_of(settings.gallery.file))) as store:
        about = {"version": "1.0", "bundle": "ab12", "students": 812, "whole_at": 3, "at": now}
        store.put_gate("canteen", {**about, "online": True, "since": now, "seen": now})
        store.put_gate(
            "north", {**about, "online": False, "since": now, "problems": ["<disk> is full"]}
        )
        store.put_events(
            "canteen",
            [
                {"number": 1, "id": "a", "verdict": "open", "at": "2020-01-01T07:00:00+00:00"},
                {"number": 2, "id": "b", "verdict": "open", "at": now},
                {"number": 3, "id": "c", "verdict": "unknown", "at": now},
                {"number": 4, "id": "d", "verdict": "open", "at": now},
            ],
        )


def test_who_is_not_well_comes_first_with_the_reason(settings: Settings, guard: TestClient) -> None:
    put_in_a_fleet(settings)
    told = guard.get("/gates/found").text
    assert told.index("north") < told.index("canteen")
    assert "no link to the broker" in told and "&lt;disk&gt; is full" in told
    assert "<td>812</td>" in told.replace(" ", "").replace("\n", "")
    assert "<td>2</td>" in told  # openings of the last day
    assert "2 gates; 1 of them not well" in told


def test_a_machine_that_is_no_desk_says_so(guard: TestClient) -> None:
    assert "no desk of a fleet" in guard.get("/gates/found").text
