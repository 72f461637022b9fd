"""The calibration page."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kaimen.audit import export
from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.console.roles import Role
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.settings.roster import Rule
from tests.console.conftest import Desk, Made, Seen, post
from tests.console.readable import acts_of, require_readable
from tests.console.school import key_of, make_school, write_weeks


@pytest.fixture
def school(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A calibrated school; its lines are not written through to a disk, there are hundreds."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("os.fdatasync", lambda _: None)
    make_school(settings)
    return settings


@pytest.fixture
def desk(desk_of: Made, school: Settings) -> Desk:
    return desk_of(school)


def kept(settings: Settings) -> Calibration:
    return Calibration.load(
        calibration_path(settings.gallery.file), key_of(settings.gallery.file.parent)
    )


def test_the_page_has_every_figure_as_text(admin: TestClient, school: Settings) -> None:
    write_weeks(school)
    page = admin.get("/calibration").text
    learned = kept(school)
    assert f"{learned.threshold:.3f}" in page
    for text in ("7a", "8b", "USB PnP Sound Device", "The promise is kept", "Figures of the curve"):
        assert text in page
    figures = admin.get("/calibration/figures").json()
    assert figures["calibration"]["threshold"] == learned.threshold
    assert page.count("<tr><td>") == len(figures["curve"])
    assert len(figures["weeks"]) >= 8


def test_the_page_speaks_chinese(admin: TestClient, school: Settings) -> None:
    write_weeks(school)
    page = admin.get("/calibration", headers={"Accept-Language": "zh-CN"}).text
    assert "陌生人被放行" in page
    assert "Threshold" not in page


def test_the_page_says_for_how_many_the_threshold_is(
    settings: Settings, desk_of: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("os.fdatasync", lambda _: None)
    of_a_door = replace(settings, roster=(Rule(("7a",)),))
    make_school(settings)
    admin = desk_of(of_a_door).signed_in(Role.ADMIN)
    page = admin.get("/calibration").text
    assert "this door's roster is not as it was calibrated for" in html.unescape(page)
    with Installation.open(of_a_door, Screen(as_json=True)) as installation:
        installation.arming.keep(installation.arming.learn())
        door = installation.arming.calibration
    page = html.unescape(admin.get("/calibration").text)
    assert f"{door.threshold:.3f}" in page
    assert f"The threshold is for {door.at_once} of 60 students" in page
    assert "is not as it was calibrated for" not in page
    part = admin.get("/calibration/what-if", params={"threshold": "0.5"}).text
    assert f"<dt>Students who may enter at once</dt><dd>{door.at_once}</dd>" in part
    assert "higher than by the recordings" not in page
    write_weeks(of_a_door, drift=1.0)
    with Installation.open(of_a_door, Screen(as_json=True)) as installation:
        installation.arming.keep(installation.arming.learn())
        raised = installation.arming.calibration.raised
    assert f"It is {raised:.3f} higher than by the" in html.unescape(admin.get("/calibration").text)
    chinese = admin.get("/calibration", headers={"Accept-Language": "zh-CN"}).text
    assert f"阈值适用于 60 名学生中的 {door.at_once} 名" in chinese


def test_another_threshold_is_asked_for_without_changing_anything(
    admin: TestClient, school: Settings
) -> None:
    before = calibration_path(school.gallery.file).read_bytes()
    part = admin.get("/calibration/what-if", params={"threshold": "0.99"}).text
    assert "0.990" in part
    assert "100.00 %" in part
    for wrong in ("", "nan", "inf", "2", "x" * 5000):
        answer = admin.get("/calibration/what-if", params={"threshold": wrong})
        assert answer.status_code == 422
    assert calibration_path(school.gallery.file).read_bytes() == before


def test_drift_is_shown_and_ended_by_who_mended_it(
    admin: TestClient, school: Settings, desk: Desk
) -> None:
    write_weeks(school, drift=0.5)
    assert "scores drift" in admin.get("/calibration").text
    assert post(admin, "/calibration/mended").status_code == 303
    page = admin.get("/calibration").text
    assert "Drift is counted from now on." in page
    assert "Nothing to count yet" in page
    assert kept(school).drift_from
    acts = [each["did"] for each in export(*acts_of(desk))]
    assert acts == ["said that drift is mended"]


def test_only_an_administrator_sees_it(desk: Desk, registrar: TestClient) -> None:
    for path in ("/calibration", "/calibration/figures", "/calibration/what-if?threshold=0.5"):
        assert registrar.get(path).status_code == 403
        assert desk.client.get(path).status_code == 401
    assert post(registrar, "/calibration/mended").status_code == 403


def test_before_the_first_calibration_it_says_what_to_do(
    desk_of: Made, tmp_path: Path, settings: Settings
) -> None:
    client = desk_of(settings).signed_in(Role.ADMIN)
    answer = client.get("/calibration")
    assert answer.status_code == 200
    assert 'href="/enrolling/new"' in answer.text
    assert client.get("/calibration/figures").status_code == 409


@pytest.mark.slow
def test_a_browser_draws_the_curve_and_follows_the_slider(school: Settings, seen: Seen) -> None:
    write_weeks(school, drift=0.5)
    seen.page.set_viewport_size({"width": 1000, "height": 1400})
    seen.sign_in(Role.ADMIN)
    seen.go("/calibration")
    seen.page.wait_for_selector("body[data-drawn]")
    assert seen.page.locator("#det canvas").count() == 1
    assert seen.page.locator("#weeks canvas").count() == 1
    slider = seen.page.get_by_label("Another threshold")
    slider.focus()
    slider.press("End")
    answer = seen.page.locator("#what-if")
    answer.get_by_text("1.000").wait_for()
    for _ in range(90):
        slider.press("ArrowLeft")
    answer.get_by_text("0.550").wait_for()
    seen.picture("calibration")
    require_readable(seen)
