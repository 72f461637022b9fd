"""A running gate takes over what operators change, and stays shut where it must not trust it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.calibration.calibration import calibration_path
from kaimen.calibration.learning import calibrate
from kaimen.gallery.gallery import Gallery
from kaimen.gate.supervisor import Supervisor
from kaimen.gate.watcher import Watcher
from kaimen.language import SENTENCES, in_chinese
from kaimen.progress import Track
from kaimen.registry.vault import Vault
from kaimen.settings.roster import Rule
from tests.calibration.test_calibration import evidence
from tests.damage import flip
from tests.gallery.points import school

VAULT = Vault()
POINTS = school(60, 4, 8)
CARD = evidence(10**9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A calibrated registry of fifty students."""
    path = tmp_path / "gallery.sqlite"
    gallery = opened(path)
    for number in range(50):
        gallery.enroll(f"s{number:02}", list(POINTS[number]))
    calibrate(gallery, CARD, 0.05).save(calibration_path(path), VAULT)
    return path


def opened(path: Path) -> Gallery:
    return Gallery.open(path, VAULT, "encoder", 8)


class Watched:
    """A gate's policy, armed by its watcher, and what the watcher said since."""

    def __init__(self, path: Path) -> None:
        self.said: list[str] = []
        gallery = opened(path)
        gallery.refresh()
        self.policy = AccessPolicy(gallery, Thresholds())
        self.watcher = Watcher(self.policy, calibration_path(path), self.said.append)
        self.watcher.look()
        assert self.said.pop() == "50 students; the door is armed"

    @property
    def shut(self) -> bool:
        return self.policy.thresholds == Thresholds()


def test_nothing_is_said_while_nothing_changes(path: Path) -> None:
    watched = Watched(path)
    armed = watched.policy.thresholds
    watched.watcher.look()
    watched.watcher.look()
    assert watched.said == []
    assert watched.policy.thresholds == armed != Thresholds()


def test_a_new_student_is_known_to_a_running_gate(path: Path) -> None:
    watched = Watched(path)
    opened(path).enroll("new", list(POINTS[55]))
    watched.watcher.look()
    assert watched.policy.gallery.nearest(POINTS[55, 0])[0].student == "new"
    assert not watched.shut


def test_a_new_calibration_is_taken_over(path: Path) -> None:
    watched = Watched(path)
    stricter = calibrate(opened(path), CARD, 0.02)
    stricter.save(calibration_path(path), VAULT)
    watched.watcher.look()
    assert watched.policy.thresholds == stricter.thresholds
    assert watched.said == []  # nothing that it had not said before


def test_a_school_that_grew_too_much_shuts_the_door_until_it_is_calibrated(path: Path) -> None:
    watched = Watched(path)
    for number in range(50, 60):
        opened(path).enroll(f"s{number:02}", list(POINTS[number]))
    for _ in range(3):
        watched.watcher.look()
    assert watched.shut
    (said,) = watched.said
    assert "stays shut" in said and "kaimen calibrate" in said
    calibrate(opened(path), CARD, 0.05).save(calibration_path(path), VAULT)
    watched.watcher.look()
    assert not watched.shut


def test_a_roster_at_which_more_may_enter_goes_by_the_threshold_of_all_until_calibrated(
    path: Path,
) -> None:
    roster, said = (Rule(("staff",)),), list[str]()
    gallery = opened(path)
    for number in range(10):
        gallery.describe(f"s{number:02}", group="staff")
    calibrate(gallery, CARD, 0.05, roster=roster).save(calibration_path(path), VAULT)
    policy = AccessPolicy(gallery, Thresholds(), roster=roster)
    watcher = Watcher(policy, calibration_path(path), said.append, roster)
    watcher.look()
    low = policy.thresholds
    assert said == ["50 students; the door is armed for 10 who may enter at once"]
    for number in range(10, 13):
        opened(path).describe(f"s{number:02}", group="staff")
    watcher.look()
    high = policy.thresholds
    assert high.anybody == low.everybody > low.anybody
    assert said.pop() == (
        "50 students; the door is armed; 13 students may enter at once, and it was calibrated for "
        "10: until you calibrate, the threshold is that of all students; run 'kaimen calibrate'"
    )
    calibrate(opened(path), CARD, 0.05, roster=roster).save(calibration_path(path), VAULT)
    watcher.look()
    assert low.anybody < policy.thresholds.anybody < high.anybody
    assert said.pop() == "50 students; the door is armed for 13 who may enter at once"


def test_what_a_watcher_says_of_a_roster_is_there_in_chinese() -> None:
    for said in (
        "50 students; the door is armed",
        "50 students; the door is armed for 10 who may enter at once",
        "50 students; the door is armed; it was calibrated without the roster: until you "
        "calibrate, the threshold is that of all students; run 'kaimen calibrate'",
        "50 students; the door is armed; 13 students may enter at once, and it was calibrated for "
        "10: until you calibrate, the threshold is that of all students; run 'kaimen calibrate'",
    ):
        assert not set("abcdefghij") & set(
            in_chinese(said, SENTENCES).replace("kaimen calibrate", "")
        )


@pytest.mark.parametrize("damage", ["gone", "flipped"])
def test_a_calibration_that_is_lost_shuts_the_door(path: Path, damage: str) -> None:
    watched = Watched(path)
    if damage == "gone":
        calibration_path(path).unlink()
    else:
        flip(calibration_path(path), 100)
    watched.watcher.look()
    assert watched.shut


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """One in a hurry."""
    monkeypatch.setattr("kaimen.gate.watcher.EVERY", 0.01)
    monkeypatch.setattr("kaimen.gate.supervisor.LEAVING", 60.0)
    monkeypatch.setattr("kaimen.gate.supervisor.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("kaimen.gate.supervisor.LONGEST_PAUSE", 0.01)
    with Supervisor() as made:
        yield made


def test_it_looks_by_itself_while_the_gate_runs(path: Path, supervisor: Supervisor) -> None:
    watched = Watched(path)
    supervisor.start("watcher", watched.watcher.run, patience=30)
    opened(path).enroll("new", list(POINTS[55]))
    until(lambda: "new" in watched.policy.gallery)
    assert watched.policy.gallery.nearest(cast(np.ndarray, POINTS[55, 0]))[0].student == "new"


def test_a_consent_that_is_no_date_keeps_that_student_outside_until_it_is_mended(
    path: Path, supervisor: Supervisor
) -> None:
    watched = Watched(path)
    supervisor.start("watcher", watched.watcher.run, patience=30)
    gallery = watched.policy.gallery
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE students SET consent = 'soon' WHERE name = 's03'")
    until(lambda: "s03" not in gallery)
    assert "s04" in gallery and not watched.shut
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("DELETE FROM students WHERE name = 's07'")
    until(lambda: "s07" not in gallery)
    assert not watched.shut
    database.execute("UPDATE students SET consent = NULL WHERE name = 's03'")
    until(lambda: "s03" in gallery and not watched.shut and not supervisor.unwell())
    database.close()


def test_a_door_whose_watcher_fails_stays_shut(
    path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(path)
    broken = threading.Event()
    real = watched.policy.gallery.refresh

    def refresh(track: Track | None = None, *, pause: float = 0.0) -> bool:
        if broken.is_set():
            raise ValueError("Invalid isoformat string: 'soon'")
        return real(track, pause=pause)

    monkeypatch.setattr(watched.policy.gallery, "refresh", refresh)
    supervisor.start("watcher", watched.watcher.run, patience=30)
    broken.set()
    until(lambda: bool(supervisor.unwell()))
    assert watched.shut
    broken.clear()
    until(lambda: not supervisor.unwell())
    assert not watched.shut
    assert supervisor.events() == [
        "the watcher ended (ValueError: Invalid isoformat string: 'soon'); it is begun again",
        "the watcher works again",
    ]
