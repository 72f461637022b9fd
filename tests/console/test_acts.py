"""The Acts page tells an administrator who did what."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.console.conftest import Desk


def test_the_latest_act_comes_first_with_its_details(desk: Desk, admin: TestClient) -> None:
    assert "Nobody has done anything yet." in admin.get("/acts").text
    desk.console.audit("chen", "signed in", address="10.0.0.7")
    desk.console.audit("<li>", "removed a student", student="0f3a")
    told = admin.get("/acts").text
    assert told.index("&lt;li&gt;") < told.index("chen")
    assert "student 0f3a" in told and "10.0.0.7" in told


def test_acts_are_in_chinese_for_who_reads_chinese(desk: Desk, admin: TestClient) -> None:
    desk.console.audit("chen", "removed a student", student="0f3a")
    desk.console.audit("user 0 at the terminal", "added the account removed a student")
    told = admin.get("/acts", headers={"Accept-Language": "zh"}).text
    assert "删除了学生" in told and "学生 0f3a" in told
    assert "添加了账户 removed a student" in told


def test_a_guard_does_not_see_who_did_what(guard: TestClient) -> None:
    assert guard.get("/acts").status_code == 403
    assert "/acts" not in guard.get("/live").text
