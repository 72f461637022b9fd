"""``kaimen map``."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaimen.cli.main import main
from tests.commands.test_calibrate_command import STUDENTS
from tests.commands.test_calibrate_command import config as config
from tests.commands.test_review_command import run


def test_a_map_is_made_told_of_and_asked_for_a_student(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (error,) = run(capsys, "map", "--config", config)
    assert code == 4
    assert "kaimen map --fit" in error["error"]
    code, (made,) = run(capsys, "map", "--fit", "--config", config)
    assert (code, made["students"], made["method"]) == (0, STUDENTS, "pca")
    assert 0 < made["kept_neighbours"] <= 1
    code, (found,) = run(capsys, "map", "--student", "s01", "--config", config)
    assert len(found["place"]) == 2
    assert len(found["nearest"]) == 10
    assert main(["students", "--remove", "s01", "--config", str(config)]) == 0
    code, (error,) = run(capsys, "map", "--student", "s01", "--config", config)
    assert code == 4
    assert "not enrolled" in error["error"]
