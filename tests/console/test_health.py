"""The Health page shows what the doctor finds."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from kaimen.console.examination import Examined
from tests.console.conftest import Desk

FINDINGS = [
    {"name": "disk", "state": "ok", "found": "9 GB free", "mend": None},
    {"name": "<key>", "state": "broken", "found": "is gone", "mend": "restore it"},
    {"name": "clock", "state": "attention", "found": "2000", "mend": "set it"},
]


def test_what_is_broken_comes_first_with_what_to_do(
    desk: Desk, guard: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def latest() -> Examined:
        return Examined(FINDINGS, 1_700_000_000.0)

    monkeypatch.setattr(desk.console.examination, "latest", latest)
    told = guard.get("/health/found").text
    assert told.index("&lt;key&gt;") < told.index("clock") < told.index("disk")
    assert "restore it" in told and "<key>" not in told


@pytest.mark.slow
def test_the_doctor_is_asked_once_for_all_who_look(desk: Desk, guard: TestClient) -> None:
    first = guard.get("/health/found").text
    assert "encoder" in first and "Well" in first
    assert guard.get("/health/found").text == first


def test_a_doctor_that_cannot_be_asked_is_said(
    desk: Desk, guard: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.console.examination.sys.executable", "/bin/false")
    assert "could not look: it said nothing" in guard.get("/health/found").text
