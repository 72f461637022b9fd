"""The demo as `make demo` runs it, and that its exit code can be trusted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge.cli import main
from edge.commands.demo import RECORDINGS


@pytest.mark.slow
def test_students_open_strangers_and_noises_do_not(capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--json"]) == 0
    *visits, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert summary["right"] == summary["visits"] >= 36
    for visit in visits:
        states = [on for _, on in visit["trace"]]
        if visit["kind"] == "student":
            assert states == [False, True, False] and visit["student"] == visit["who"]
        else:
            assert states == [False] and visit["student"] is None


@pytest.mark.slow
def test_a_table_is_shown_to_a_person(capsys: pytest.CaptureFixture) -> None:
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    assert "threshold" in shown and "stranger" in shown and "▔" in shown


def some_people(folder: Path, names: dict[str, str]) -> Path:
    """A folder of people, each with the recordings of one of the demo's voices."""
    for name, voice in names.items():
        (folder / name).mkdir(parents=True)
        for take in (RECORDINGS / voice).glob("phrase-*.mp3"):
            shutil.copy(take, folder / name)
    return folder


def test_a_folder_of_ones_own_is_played(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    people = some_people(tmp_path, {"a": "anning", "b": "bowen", "c": "ruifeng"})
    assert main(["demo", "--speech", str(people), "--synthetic", "--json"]) == 0
    *visits, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert summary["enrolled"] == 2
    assert {visit["who"] for visit in visits if visit["kind"] == "stranger"} == {"c"}


def test_a_stranger_who_gets_in_makes_the_exit_code_one(tmp_path: Path) -> None:
    """The third person, who stays a stranger, has the first one's voice."""
    people = some_people(tmp_path, {"a": "anning", "b": "bowen", "c": "anning"})
    assert main(["demo", "--speech", str(people), "--synthetic", "--json"]) == 1


def test_a_student_who_is_not_let_in_makes_the_exit_code_one(tmp_path: Path) -> None:
    """The last takes of the first person are somebody else's."""
    people = some_people(tmp_path, {"a": "anning", "b": "bowen", "c": "ruifeng"})
    for take in (6, 7):
        shutil.copy(RECORDINGS / "dezhi" / f"phrase-{take}.mp3", people / "a")
    assert main(["demo", "--speech", str(people), "--synthetic", "--json"]) == 1
