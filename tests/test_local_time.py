"""Moments as people read them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

import pytest

from kaimen.local_time import begin_of, local, local_day


@pytest.fixture(params=["Asia/Shanghai", "America/New_York"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_a_moment_is_shown_in_local_time_with_its_zone(zone: str) -> None:
    at = "2026-08-31T23:31:05.123+00:00"
    shown, day = {
        "Asia/Shanghai": ("2026-09-01 07:31:05 +08:00", "2026-09-01"),
        "America/New_York": ("2026-08-31 19:31:05 -04:00", "2026-08-31"),
    }[zone]
    assert (local(at), local_day(at)) == (shown, day)


def test_a_day_begins_at_local_midnight(zone: str) -> None:
    begins = begin_of(datetime.date(2026, 9, 1))
    assert local(begins).startswith("2026-09-01 00:00:00")
    assert begins.endswith("+00:00")
