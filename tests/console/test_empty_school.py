"""The desk before its first student: each page says what to do first, in both languages."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from kaimen.console.roles import Role
from tests.console.conftest import Seen

FIRST = {
    "en": "Nobody is enrolled yet: enroll the first student.",
    "zh": "还没有登记任何学生：请先登记第一名学生。",
}


@pytest.mark.parametrize("language", FIRST)
@pytest.mark.parametrize("path", ["/students", "/map", "/calibration"])
def test_a_page_that_needs_students_leads_to_the_first_one(
    admin: TestClient, path: str, language: str
) -> None:
    admin.cookies.set("kaimen-language", language)
    page = admin.get(path).text
    assert FIRST[language] in page
    assert "/enrolling/new" in page
    assert "gallery.sqlite" not in page
    assert 'action="/map/fit"' not in page


def test_a_search_that_finds_nobody_is_no_empty_school(admin: TestClient) -> None:
    assert "0 students" in admin.get("/students?q=chen").text


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", FIRST)
def test_every_page_of_the_bar_is_in_sight(seen: Seen, width: int, language: str) -> None:
    seen.page.set_viewport_size({"width": width, "height": 800})
    seen.sign_in(Role.ADMIN)
    seen.speak(language)
    seen.go("/students")
    links = seen.page.locator("header nav a")
    assert links.count() == 7  # Gates is for machines of a fleet
    for link in links.all():
        box = link.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


@pytest.mark.slow
def test_without_a_gate_the_live_page_does_not_wait_for_its_door(seen: Seen) -> None:
    seen.sign_in(Role.GUARD)
    seen.go("/live")
    seen.page.get_by_text("Only a running gate says how the door is.").wait_for()
    assert seen.page.get_by_text("Asking the gate").count() == 0
