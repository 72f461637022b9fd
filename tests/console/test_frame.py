"""The frame of all pages: who may see what, forms, languages."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from kaimen.console.language import catalogue, preferred
from kaimen.console.roles import Role
from tests.console.conftest import PASSWORD, Desk, Seen, post, token_of


def test_who_has_not_signed_in_is_asked_to(desk: Desk) -> None:
    answer = desk.client.get("/live", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?then=/live")


def test_who_signs_in_sees_the_page_they_wanted(desk: Desk) -> None:
    desk.console.accounts.put("chen", Role.GUARD, PASSWORD)
    before = desk.client.cookies.get("kaimen")
    answer = post(
        desk.client, "/sign-in", {"name": "chen", "password": PASSWORD, "then": "/health"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/health")
    assert desk.client.cookies.get("kaimen") != before
    assert desk.client.get("/health").status_code == 200


def test_a_wrong_password_signs_nobody_in(desk: Desk) -> None:
    desk.console.accounts.put("chen", Role.GUARD, PASSWORD)
    answer = post(desk.client, "/sign-in", {"name": "chen", "password": "vier rote Kannen"})
    assert answer.status_code == 403
    assert "Name or password is wrong" in answer.text
    assert desk.client.get("/live").status_code == 401


def test_a_form_without_its_token_changes_nothing(guard: TestClient) -> None:
    assert guard.post("/sign-out").status_code == 403
    assert guard.get("/live").status_code == 200
    assert post(guard, "/sign-out").status_code == 303
    assert guard.get("/live").status_code == 401


def test_who_has_signed_in_and_goes_astray_keeps_the_navigation(
    desk: Desk, guard: TestClient
) -> None:
    for client, shown in ((guard, True), (desk.client, False)):
        answer = client.get("/nothing")
        assert answer.status_code == 404 and "There is no such page." in answer.text
        assert ('href="/live"' in answer.text) is shown
    desk.console.installation.accounts_path.write_bytes(b"damaged")
    assert guard.get("/nothing").status_code == 404


def test_an_account_that_was_removed_is_signed_out(desk: Desk, guard: TestClient) -> None:
    assert guard.get("/live").status_code == 200
    desk.console.accounts.remove("guard of the test")
    assert guard.get("/live").status_code == 401


def test_the_language_is_the_browsers_until_one_is_chosen(guard: TestClient) -> None:
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
    assert 'lang="zh-CN"' in guard.get("/live", headers=chinese).text
    guard.get("/language/en?then=/live")
    assert 'lang="en"' in guard.get("/live", headers=chinese).text


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "en"),
        ("de, zh;q=0.5", "zh"),
        ("zh;q=0.1, en;q=0.2", "en"),
        ("x;;q", "en"),
    ],
)
def test_a_browsers_languages_are_weighed(header: str, language: str) -> None:
    assert preferred(header) == language


def test_another_hosts_name_does_not_lead_here(desk: Desk) -> None:
    assert desk.client.get("/sign-in", headers={"Host": "evil.example"}).status_code == 400


def test_the_catalogue_is_read() -> None:
    assert catalogue()["Sign in"] == "登录"


def test_a_page_is_not_kept_and_runs_nothing_foreign(guard: TestClient) -> None:
    headers = guard.get("/live").headers
    assert headers["Cache-Control"] == "no-store"
    assert guard.get("/static/style.css").headers["Cache-Control"] == "no-cache"
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_a_token_is_of_one_browser_alone(desk: Desk, guard: TestClient) -> None:
    other = token_of(desk.client)
    assert guard.post("/sign-out", data={"token": other}).status_code == 403


@pytest.mark.slow
def test_a_browser_signs_in_and_out(seen: Seen) -> None:
    seen.console.accounts.put("chen", Role.GUARD, PASSWORD)
    seen.go("/live")
    seen.page.get_by_label("Name").fill("chen")
    seen.page.get_by_label("Password").fill(PASSWORD)
    seen.page.get_by_role("button", name="Sign in").click()
    seen.page.wait_for_url("**/live")
    seen.page.get_by_role("button", name="Sign out").click()
    seen.page.wait_for_url("**/sign-in")
