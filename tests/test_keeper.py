"""A running gate takes over what operators change, and stays shut where it must not trust it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from kaimen.access.decision import Thresholds
from kaimen.calibration.calibration import beside, calibrate
from kaimen.door.pins import mock_pins
from kaimen.door.relay import Relay
from kaimen.gallery.gallery import Gallery
from kaimen.gate.gate import Gate
from kaimen.gate.watcher import Watcher, claims
from kaimen.registry.vault import Vault
from tests.gallery.points import school
from tests.gallery.test_calibration import evidence

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
    calibrate(gallery, CARD, 0.05).save(beside(path))
    return path


def opened(path: Path) -> Gallery:
    return Gallery.open(path, VAULT, "encoder", 8)


class Watched:
    """A gate, its keeper, and what the keeper said."""

    def __init__(self, path: Path) -> None:
        nobody: Any = None
        self.said: list[str] = []
        with Relay(pins=mock_pins(), lease=60) as relay:
            self.gate = Gate(nobody, opened(path), Thresholds(0.5, 0.5), relay)
        self.keeper = Watcher(self.gate, beside(path), self.said.append)

    @property
    def shut(self) -> bool:
        return self.gate.thresholds == Thresholds()


def test_nothing_is_said_while_nothing_changes(path: Path) -> None:
    watched = Watched(path)
    watched.keeper.look()
    watched.keeper.look()
    assert watched.said == []
    assert watched.gate.thresholds == Thresholds(0.5, 0.5)


def test_a_new_student_is_known_to_a_running_gate(path: Path) -> None:
    watched = Watched(path)
    opened(path).enroll("new", list(POINTS[55]))
    watched.keeper.look()
    assert watched.gate.gallery.nearest(POINTS[55, 0])[0].student == "new"
    assert not watched.shut


def test_a_new_calibration_is_taken_over(path: Path) -> None:
    watched = Watched(path)
    stricter = calibrate(opened(path), CARD, 0.02)
    stricter.save(beside(path))
    watched.keeper.look()
    assert watched.gate.thresholds == stricter.thresholds
    assert watched.said == ["50 students; the door is armed"]


def test_a_school_that_grew_too_much_shuts_the_door_until_it_is_calibrated(path: Path) -> None:
    watched = Watched(path)
    for number in range(50, 60):
        opened(path).enroll(f"s{number:02}", list(POINTS[number]))
    for _ in range(3):
        watched.keeper.look()
    assert watched.shut
    (said,) = watched.said
    assert "stays shut" in said and "kaimen calibrate" in said
    calibrate(opened(path), CARD, 0.05).save(beside(path))
    watched.keeper.look()
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
    watched.keeper.look()
    assert watched.shut


def test_it_looks_by_itself_while_the_gate_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.gate.watcher.EVERY", 0.01)
    watched = Watched(path)
    with watched.keeper:
        opened(path).enroll("new", list(POINTS[55]))
        until = time.monotonic() + 30
        while "new" not in watched.gate.gallery and time.monotonic() < until:
            time.sleep(0.01)
    assert watched.gate.gallery.nearest(cast(np.ndarray, POINTS[55, 0]))[0].student == "new"


def test_every_line_of_a_reader_is_a_claim(tmp_path: Path) -> None:
    (tmp_path / "reader").write_text("s0001\n\n  王 \n", encoding="utf-8")
    claimed: list[str] = []
    claims(tmp_path / "reader", claimed.append).join(30)
    assert claimed == ["s0001", "王"]
