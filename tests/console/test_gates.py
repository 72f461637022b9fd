"""The Gates page shows all gates of a fleet, as its desk last heard of them."""

from __future__ import annotations

import datetime
import html
from contextlib import closing

import pytest

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from kaimen.fleet.membership import FILE, GATE_ROLE, Broker, Membership
from kaimen.fleet.store import Store
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.settings import Settings


def put_in_a_fleet(settings: Settings) -> None:
    """Make it a desk that two gates reported to; one of them is away."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    folder = settings.fleet.folder
    folder.mkdir()
    Membership.create("office", Broker("broker.example")).save(folder)
    with closing(Store(fleet_store_path(settings.gallery.file))) as store:
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


def chinese(client: TestClient, path: str) -> str:
    return html.unescape(client.get(path, headers={"Accept-Language": "zh"}).text)


def test_problems_are_in_chinese_for_who_reads_chinese(
    settings: Settings, guard: TestClient
) -> None:
    put_in_a_fleet(settings)
    said = {
        "the door is not armed: nobody is enrolled; begin with 'kaimen enroll'":
            "门还没有启用：还没有登记任何人；请先运行 'kaimen enroll'",
        "the door is not armed: calibrated for another encoder; run 'kaimen calibrate'":
            "门还没有启用：校准属于另一个编码器；请运行 'kaimen calibrate'",
        "the door is not armed: index and calibration: exit code 137":
            "门还没有启用：索引和校准：退出码 137",
        "the broker has an older set of students than was seen before":
            "消息代理上的学生比以前见到的旧",
    }  # fmt: skip
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with closing(Store(fleet_store_path(settings.gallery.file))) as store:
        store.put_gate(
            "north",
            {"online": False, "at": now, "refused": 3, "events_missed": 2, "problems": [*said]},
        )
    told = chinese(guard, "/gates/found")
    for each in (
        *said.values(),
        "与消息代理没有连接",
        "3 条消息被拒绝：请查看它的日志",
        "2 个事件在上报之前丢失",
    ):
        assert f">{each}<" in told, each
    assert "broker" not in told
    assert "the door is not armed" in html.unescape(guard.get("/gates/found").text)


def test_what_only_a_newer_gate_says_is_shown_as_it_is(
    settings: Settings, guard: TestClient
) -> None:
    put_in_a_fleet(settings)
    assert "<disk> is full" in chinese(guard, "/gates/found")


def test_a_machine_in_no_fleet_hides_the_page_and_says_what_would_make_it_a_desk(
    guard: TestClient,
) -> None:
    assert 'href="/gates"' not in guard.get("/live").text
    assert "kaimen fleet create" in guard.get("/gates/found").text
    assert "kaimen fleet create" in chinese(guard, "/gates/found")


def test_a_desk_has_the_page_in_its_navigation(settings: Settings, guard: TestClient) -> None:
    put_in_a_fleet(settings)
    assert 'href="/gates"' in guard.get("/live").text


def test_a_gate_of_a_fleet_leads_to_its_desk(settings: Settings, guard: TestClient) -> None:
    settings.fleet.folder.mkdir()
    desk = Membership.create("office", Broker("broker.example"))
    desk.invited("north", GATE_ROLE, desk.broker, ()).save(settings.fleet.folder)
    told = guard.get("/gates/found").text
    assert "console of the desk" in told and "kaimen fleet create" not in told


def test_a_damaged_membership_is_said_in_the_language_of_who_reads(
    settings: Settings, guard: TestClient
) -> None:
    settings.fleet.folder.mkdir()
    (settings.fleet.folder / FILE).write_text("{")
    assert "damaged" in guard.get("/gates/found").text
    assert "已损坏" in chinese(guard, "/gates/found")
