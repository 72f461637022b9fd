"""A running gate takes over what operators change, and stays shut where it must not trust it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.calibration.calibration import beside, calibrate
from kaimen.gallery.gallery import Gallery
from kaimen.gate.watcher import Watcher
from kaimen.registry.vault import Vault
from tests.calibration.test_calibration import evidence
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
    calibrate(gallery, CARD, 0.05).save(beside(path), VAULT)
    return path


def opened(path: Path) -> Gallery:
    return Gallery.open(path, VAULT, "encoder", 8)


class Watched:
    """A gate's policy, its watcher, and what the watcher said."""

    def __init__(self, path: Path) -> None:
        self.said: list[str] = []
        gallery = opened(path)
        gallery.refresh()
        self.policy = AccessPolicy(gallery, Thresholds(0.5, 0.5))
        self.watcher = Watcher(self.policy, beside(path), self.said.append)

    @property
    def shut(self) -> bool:
        return self.policy.thresholds == Thresholds()


def test_nothing_is_said_while_nothing_changes(path: Path) -> None:
    watched = Watched(path)
    watched.watcher.look()
    watched.watcher.look()
    assert watched.said == []
    assert watched.policy.thresholds == Thresholds(0.5, 0.5)


def test_a_new_student_is_known_to_a_running_gate(path: Path) -> None:
    watched = Watched(path)
    opened(path).enroll("new", list(POINTS[55]))
    watched.watcher.look()
    assert watched.policy.gallery.nearest(POINTS[55, 0])[0].student == "new"
    assert not watched.shut


def test_a_new_calibration_is_taken_over(path: Path) -> None:
    watched = Watched(path)
    stricter = calibrate(opened(path), CARD, 0.02)
    stricter.save(beside(path), VAULT)
    watched.watcher.look()
    assert watched.policy.thresholds == stricter.thresholds
    assert watched.said == ["50 students; the door is armed"]


def test_a_school_that_grew_too_much_shuts_the_door_until_it_is_calibrated(path: Path) -> None:
    watched = Watched(path)
    for number in range(50, 60):
        opened(path).enroll(f"s{number:02}", list(POINTS[number]))
    for _ in range(3):
        watched.watcher.look()
    assert watched.shut
    (said,) = watched.said
    assert "stays shut" in said and "kaimen calibrate" in said
    calibrate(opened(path), CARD, 0.05).save(beside(path), VAULT)
    watched.watcher.look()
    assert not watched.shut


@pytest.mark.parametrize("damage", ["gone", "flipped"])
def test_a_calibration_that_is_lost_shuts_the_door(path: Path, damage: str) -> None:
    watched = Watched(path)
    content = bytearray(beside(path).read_bytes())
    content[100] ^= 1
    if damage == "gone":
        beside(path).unlink()
    else:
        beside(path).write_bytes(content)
    watched.watcher.look()
    assert watched.shut


def test_it_looks_by_itself_while_the_gate_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.gate.watcher.EVERY", 0.01)
    watched = Watched(path)
    with watched.watcher:
        opened(path).enroll("new", list(POINTS[55]))
        until = time.monotonic() + 30
        while "new" not in watched.policy.gallery and time.monotonic() < until:
            time.sleep(0.01)
    assert watched.policy.gallery.nearest(cast(np.ndarray, POINTS[55, 0]))[0].student == "new"
