"""Boards are known by their own names, and the slow ones by their generation."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaimen.door import board
from kaimen.door.board import board_of, is_pi, is_slow, on_a_pi

SLOW = (
    "Raspberry Pi 3 Model B Rev 1.2",
    "Raspberry Pi 3 Model B Plus Rev 1.3",
    "Raspberry Pi 3 Model A Plus Rev 1.0",
    "Raspberry Pi Zero 2 W Rev 1.0",
    "Raspberry Pi Compute Module 3 Rev 1.0",
    "Raspberry Pi Compute Module 3 Plus Rev 1.0",
    "Raspberry Pi 2 Model B Rev 1.1",
    "Raspberry Pi Compute Module Rev 1.0",
    "Raspberry Pi Zero W Rev 1.1",
    "Raspberry Pi Model B Plus Rev 1.2",
)
FAST = (
    "Raspberry Pi 4 Model B Rev 1.4",
    "Raspberry Pi 400 Rev 1.0",
    "Raspberry Pi Compute Module 4 Rev 1.0",
    "Raspberry Pi Compute Module 4S Rev 1.0",
    "Raspberry Pi 5 Model B Rev 1.0",
    "Raspberry Pi 500 Rev 1.0",
    "Raspberry Pi Compute Module 5 Rev 1.0",
)


@pytest.mark.parametrize("board", SLOW)
def test_a_pi_3_a_zero_and_older_are_slow(board: str) -> None:
    assert is_pi(board) and is_slow(board)


@pytest.mark.parametrize("board", FAST)
def test_a_pi_4_and_later_are_not(board: str) -> None:
    assert is_pi(board) and not is_slow(board)


@pytest.mark.parametrize("board", ["", "Hardkernel ODROID-C4"])
def test_nothing_is_said_of_other_boards(board: str) -> None:
    assert not is_pi(board) and not is_slow(board)


def test_the_name_is_the_device_trees(tmp_path: Path) -> None:
    assert board_of(tmp_path) == ""
    place = tmp_path / "proc" / "device-tree"
    place.mkdir(parents=True)
    for name in ("Raspberry Pi 3 Model B Rev 1.2", "X96 Max X"):
        (place / "model").write_text(f"{name}\n\0")
        assert board_of(tmp_path) == name


@pytest.mark.parametrize(
    ("model", "expected"),
    [(b"Raspberry Pi 4 Model B Rev 1.4\0", True), (b"Some Board\0", False), (b"\xff\xfe", False)],
)
def test_a_pi_is_known_by_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: bytes, expected: bool
) -> None:
    place = tmp_path / "proc" / "device-tree"
    place.mkdir(parents=True)
    (place / "model").write_bytes(model)
    monkeypatch.setattr(board, "ROOT", tmp_path)
    assert on_a_pi() is expected


def test_a_machine_without_a_model_is_no_pi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "ROOT", tmp_path)
    assert not on_a_pi()
