"""Rosters and consents go by the clock on the wall; durations by one that nobody can set."""

from __future__ import annotations

import calendar
import datetime
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from kaimen.access.decision import Thresholds
from kaimen.access.lockout import Lockout
from kaimen.access.policy import BEHIND, CLAIM, AccessPolicy
from kaimen.clock import local_now
from kaimen.gallery.gallery import Gallery
from kaimen.settings.roster import Rule, groups_at
from kaimen.voice.utterance import Utterance

LI, WANG, STRANGER = np.eye(3, 4, dtype=np.float32)
YEAR = datetime.datetime.now(datetime.UTC).year + 1  # enrolled this year, come in the next


class Said:
    """A phrase with a voice; an utterance, as far as a policy without checks looks."""

    samples = np.zeros(16_000, np.float32)

    def __init__(self, voiceprint: np.ndarray) -> None:
        self.voiceprint = voiceprint


class Entrance:
    """A policy, and both of its clocks."""

    def __init__(self, **more: Any) -> None:
        self.wall = datetime.datetime(YEAR, 3, 1, 8)
        self.monotonic = 1000.0
        gallery = Gallery("encoder", 4)
        gallery.enroll("Li", [LI], group="7a", consent=datetime.date(YEAR, 7, 31))
        gallery.enroll("Wang", [WANG], group="staff")
        self.policy = AccessPolicy(
            gallery,
            Thresholds(0.6, 0.3),
            now=lambda: self.wall,
            clock=lambda: self.monotonic,
            **more,
        )

    def opens(self, voice: np.ndarray) -> bool:
        said = cast(Utterance, Said(voice))
        found = self.policy.decide(said)
        self.policy.answered(found, said)
        return found.decision.opens


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets the machine's zone without telling anybody."""
    yield lambda name: monkeypatch.setenv("TZ", name)
    monkeypatch.undo()
    time.tzset()


# The zone


def test_a_zone_that_is_set_while_the_gate_runs_is_followed(zone: Any) -> None:
    zone("Asia/Shanghai")
    before = local_now()
    zone("America/New_York")
    assert round((before - local_now()).total_seconds() / 3600) in (12, 13)  # in summer, in winter


FOLLOWS = """
import subprocess, sys, time
from kaimen.clock import local_now
local_now()
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/localtime"], check=True)
print((local_now() - local_now.__globals__["datetime"].datetime.utcnow()).total_seconds() / 3600)
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs a file system of its own"
)
def test_another_file_in_the_place_of_the_zone_is_followed() -> None:
    other = Path("/usr/share/zoneinfo/Asia/Tokyo")
    if not other.exists() or not Path("/etc/localtime").exists():
        pytest.skip("no zones here")
    environment = {name: value for name, value in os.environ.items() if name != "TZ"}
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-W", "ignore", "-c", FOLLOWS, str(other)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("no mounts here")
    assert round(float(done.stdout)) == 9


def moments(zone: Any, name: str, start: float, hours: float) -> list[datetime.datetime]:
    """The time on the wall every half an hour from a moment on."""
    zone(name)
    time.tzset()
    return [datetime.datetime.fromtimestamp(start + 1800 * step) for step in range(int(2 * hours))]


def test_hours_that_are_missing_or_come_twice_are_those_on_the_wall(zone: Any) -> None:
    rule = Rule(("7a",), opens=datetime.time(2, 30), closes=datetime.time(3, 30))
    # In Berlin, 2027-03-28 has no hour from 2 to 3, and 2027-10-31 has it twice.
    spring = datetime.datetime(2027, 3, 28, 0, 0, tzinfo=datetime.UTC).timestamp()
    autumn = datetime.datetime(2027, 10, 30, 23, 0, tzinfo=datetime.UTC).timestamp()
    held = [rule.holds(now) for now in moments(zone, "Europe/Berlin", spring, 3)]
    assert held == [False, False, True, False, False, False]  # 1:00 1:30 3:00 3:30 4:00 4:30
    held = [rule.holds(now) for now in moments(zone, "Europe/Berlin", autumn, 4)]
    # 1:00 1:30 2:00 2:30 2:00 2:30 3:00 3:30
    assert held == [False, False, False, True, False, True, True, False]


def test_a_night_is_two_rules_and_a_leap_day_is_a_day() -> None:
    monday = datetime.datetime(2028, 2, 28)
    night = (
        Rule(("staff",), days=(0,), opens=datetime.time(22)),
        Rule(("staff",), days=(1,), closes=datetime.time(6)),
    )
    hours = [21, 22, 23.999, 24, 29.999, 30, 46]
    held = [bool(groups_at(night, monday + datetime.timedelta(hours=hour))) for hour in hours]
    assert held == [False, True, True, True, True, False, False]
    assert (monday + datetime.timedelta(days=1)).day == 29


def test_a_consent_that_ends_on_a_leap_day_ends_with_it() -> None:
    entrance = Entrance()
    leap = next(year for year in range(YEAR, YEAR + 9) if calendar.isleap(year))
    entrance.policy.gallery.describe("Li", consent=datetime.date(leap, 2, 29))
    found = []
    for day in (datetime.datetime(leap, 2, 29, 23, 59), datetime.datetime(leap, 3, 1)):
        entrance.wall = day
        found.append(entrance.opens(LI))
    assert found == [True, False]


# Steps of the clock on the wall


def test_steps_of_the_clock_change_whose_hours_these_are_and_nothing_else() -> None:
    entrance = Entrance(roster=(Rule(("7a",), opens=datetime.time(7), closes=datetime.time(9)),))
    found = []
    for hours in (0, 5, -5, 0, 24 * 365, -24 * 365):
        entrance.wall += datetime.timedelta(hours=hours)
        found.append(entrance.opens(LI))
    assert found == [True, False, True, True, False, True]  # a year later Li's consent has ended


@pytest.mark.parametrize("days", [-365 * 57, -30, 30, 365])
def test_no_step_of_the_clock_ends_or_prolongs_a_lockout(days: int) -> None:
    lockout_clock = [0.0]
    lockout = Lockout(free=0, first=30, clock=lambda: lockout_clock[0])
    entrance = Entrance(lockout=lockout)
    lockout.unknown()
    entrance.wall += datetime.timedelta(days=days)
    lockout_clock[0] = 29.0
    assert not entrance.opens(WANG)
    lockout_clock[0] = 31.0
    assert entrance.opens(WANG)


def test_no_step_of_the_clock_prolongs_a_claim() -> None:
    entrance = Entrance(policy="claim")
    entrance.policy.claim("Wang")
    entrance.wall -= datetime.timedelta(days=7)
    entrance.monotonic += CLAIM - 1
    assert entrance.opens(WANG)
    entrance.policy.claim("Wang")
    entrance.monotonic += CLAIM + 1
    assert not entrance.opens(WANG)


@pytest.mark.parametrize(
    "wrong", [datetime.datetime(1970, 1, 1, 0, 1), datetime.datetime(YEAR - 2, 1, 1, 8)]
)
def test_a_clock_from_before_the_last_enrollment_lets_in_no_ended_consent(
    wrong: datetime.datetime,
) -> None:
    entrance = Entrance()
    entrance.wall = wrong
    assert not entrance.opens(LI)  # whose consent may have ended
    assert entrance.opens(WANG)  # who consents until it is withdrawn
    entrance.wall = datetime.datetime(YEAR, 3, 1, 8)  # the network has set it
    assert entrance.opens(LI)


def test_a_clock_may_be_a_day_behind_the_last_enrollment() -> None:
    entrance = Entrance()
    newest = entrance.policy.gallery.newest
    found = []
    for behind in (0, BEHIND, BEHIND + datetime.timedelta(microseconds=1)):
        entrance.wall = newest - behind if behind else newest
        found.append(entrance.opens(LI))
    assert found == [True, True, False]


def test_a_clock_that_is_wrong_opens_in_nobodys_hours() -> None:
    entrance = Entrance(roster=(Rule(("staff",), opens=datetime.time(7)),))
    entrance.wall = datetime.datetime(1970, 1, 1, 8)
    assert not entrance.opens(WANG)
    entrance.wall = datetime.datetime(YEAR, 3, 1, 8)
    assert entrance.opens(WANG)
