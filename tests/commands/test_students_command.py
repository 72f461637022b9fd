"""``kaimen students`` and ``kaimen enroll`` as an operator uses them from day to day."""

from __future__ import annotations

import base64
import datetime
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kaimen.cli.main import main
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS

VOICES = ("anning", "bowen", "dezhi")
TODAY = datetime.date.today()


def takes(voice: str, numbers: str = "1-5") -> list[str]:
    return [str(path) for path in sorted((RECORDINGS / voice).glob(f"phrase-[{numbers}].mp3"))]


def settings_of(folder: Path) -> Path:
    """Write the settings of a gate whose files are in a folder."""
    file = folder / "kaimen.toml"
    file.write_text(
        f'[gallery]\npath = "{folder}/gallery.sqlite"\nkey = "{folder}/key"\n', encoding="utf-8"
    )
    return file


class Gate:
    """The commands of one gate."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture) -> None:
        self.folder = folder
        self.config = settings_of(folder)
        self._capsys = capsys

    def __call__(self, command: str, *arguments: str | Path) -> tuple[int, list[dict]]:
        self._capsys.readouterr()
        code = main([command, *map(str, arguments), "--config", str(self.config), "--json"])
        return code, [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def shown(self, command: str, *arguments: str) -> str:
        self._capsys.readouterr()
        main([command, *arguments, "--config", str(self.config)])
        return self._capsys.readouterr().out

    def students(self, *arguments: str) -> list[str]:
        return [each["student"] for each in self("students", *arguments)[1]]

    def recordings(self, student: str) -> int:
        return len(self("students", student, "--recordings")[1])

    def opens(self, file: str) -> str | None:
        (answer, *_) = (each for each in self("listen", file)[1] if "verdict" in each)
        return answer["student"] if answer["verdict"] == "open" else None


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("school")
    settings = settings_of(folder)
    for voice, group in zip(VOICES, ("7a", "7a", "7b"), strict=True):
        chosen = ["--student", voice, "--group", group, "--config", str(settings)]
        assert main(["enroll", *chosen, *takes(voice, "1-4")]) == 0
    return folder


@pytest.fixture
def gate(enrolled: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> Gate:
    shutil.copytree(enrolled, tmp_path, dirs_exist_ok=True)
    return Gate(tmp_path, capsys)


def test_all_whom_remove_names_are_removed(gate: Gate) -> None:
    code, said = gate("students", "--remove", "anning", "--remove", "dezhi")
    assert code == 0
    assert [each["removed"] for each in said if "removed" in each] == ["anning", "dezhi"]
    assert gate.students() == ["bowen"]


def test_a_name_that_nobody_has_removes_nobody(gate: Gate) -> None:
    code, said = gate("students", "--remove", "anning", "--remove", "nobody")
    assert code == 4 and "nobody is not enrolled" in said[-1]["error"]
    assert gate.students() == list(VOICES)


def test_one_recording_replaces_several_only_when_asked(gate: Gate) -> None:
    code, said = gate("enroll", "--student", "anning", *takes("anning", "5"))
    assert code == 2 and "4 recordings" in said[-1]["error"]
    assert "--add" in said[-1]["error"] and "--replace" in said[-1]["error"]
    assert gate.recordings("anning") == 4
    code, said = gate("enroll", "--student", "anning", *takes("anning", "1-4"))
    assert code == 0 and said[0]["unchanged"]
    code, said = gate("enroll", "--student", "anning", "--add", *takes("anning", "5"))
    assert code == 0 and said[0]["recordings"] == 5 == gate.recordings("anning")
    code, said = gate("enroll", "--student", "anning", "--replace", *takes("anning", "1"))
    assert code == 0 and (said[0]["recordings"], said[0]["replaced"]) == (1, 5)
    assert gate.recordings("anning") == 1


def test_a_recording_that_is_added_is_of_the_same_voice_and_new(gate: Gate) -> None:
    code, said = gate("enroll", "--student", "anning", "--add", *takes("dezhi", "5"))
    assert code == 3 and said[0]["kind"] in ("NotLikeTheOthers", "AlikeAnother")
    code, said = gate("enroll", "--student", "anning", "--add", *takes("anning", "45"))
    assert code == 3 and "enrolled already" in said[0]["error"]
    assert gate.recordings("anning") == 5
    code, said = gate("enroll", "--from", RECORDINGS, "--add")
    assert code == 2 and "--from" in said[-1]["error"]


def test_a_dry_run_says_what_would_be_and_writes_nothing(gate: Gate, tmp_path: Path) -> None:
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    code, said = gate("enroll", "--from", RECORDINGS, "--dry-run")
    assert code == 0 and said[-1]["dry_run"] and said[-1]["enrolled"] > 3
    code, said = gate("enroll", "--student", "new", "--dry-run", *takes("dezhi", "5"))
    assert code == 3 and said[0]["kind"] == "AlikeAnother"
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


def test_a_dry_run_of_a_school_that_is_not_there_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    gate = Gate(tmp_path, capsys)
    code, said = gate("enroll", "--student", "anning", "--dry-run", *takes("anning"))
    assert code == 0 and said[-1]["enrolled"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kaimen.toml"]


def test_students_are_found_by_name_and_group_and_counted(gate: Gate) -> None:
    assert gate.students("--group", "7a") == ["anning", "bowen"]
    assert gate.students("*e*") == ["bowen", "dezhi"]
    assert gate.students("anning", "*e*", "--group", "7a") == ["anning", "bowen"]
    assert gate("students", "x*")[0] == 4
    _, (counted,) = gate("students", "--count")
    assert (counted["students"], counted["recordings"]) == (3, 12)
    assert counted["groups"] == {"7a": 2, "7b": 1}
    assert "3 students: 7a 2, 7b 1" in gate.shown("students")


def test_group_and_consent_are_changed_without_recordings(gate: Gate) -> None:
    soon, over = TODAY + datetime.timedelta(days=9), TODAY - datetime.timedelta(days=1)
    gate("students", "anning", "--set-group", "8a", "--set-consent", soon.isoformat())
    gate("students", "dezhi", "--set-consent", over.isoformat())
    _, listed = gate("students")
    assert [(each["group"], each["consent_state"]) for each in listed] == [
        ("8a", "soon"), ("7a", "valid"), ("7b", "ended"),
    ]  # fmt: skip
    assert gate.opens(takes("dezhi", "5")[0]) is None
    gate("students", "dezhi", "--set-consent", "none")
    assert gate.opens(takes("dezhi", "5")[0]) == "dezhi"
    assert gate("students", "--group", "7a", "--set-group", "9c")[1] == [{"changed": "bowen"}]
    assert gate.students("--group", "9c") == ["bowen"]


def test_a_group_is_found_in_other_characters_and_shown_as_it_is_written(gate: Gate) -> None:
    composed, decomposed = "[red]Ren\u00e9[/red]", "[red]Rene\u0301[/red] "
    assert gate("students", "anning", "--set-group", decomposed)[0] == 0
    assert gate.students("--group", composed) == gate.students("--group", decomposed) == ["anning"]
    assert composed in gate.shown("students", "anning")
    assert composed in gate.shown("students", "--count")
    code, (said,) = gate("students", "anning", "--set-group", "7\na")
    assert code == 2 and said["error"].startswith("--set-group: ")


def test_a_change_must_say_whose_it_is(gate: Gate) -> None:
    assert gate("students", "--set-group", "8a")[0] == 2
    assert gate("students", "--remove", "anning", "--count")[0] == 2
    assert gate("students", "bowen", "--remove", "anning")[0] == 2
    assert gate("students", "anning", "--set-consent", "soon")[0] == 2
    assert gate("students", "*n*", "--export", gate.folder / "x.json")[0] == 2
    assert gate.students("--group", "7a") == ["anning", "bowen"]


def test_one_recording_is_removed_and_never_the_last(gate: Gate) -> None:
    _, listed = gate("students", "anning", "--recordings")
    first, *others = [str(each["recording"]) for each in listed]
    assert gate("students", "anning", "--remove-recording", first)[0] == 0
    assert gate.recordings("anning") == 3
    assert gate("students", "bowen", "--remove-recording", others[0])[0] == 4
    every = [word for number in others for word in ("--remove-recording", number)]
    code, said = gate("students", "anning", *every)
    assert code == 4 and "no recording" in said[-1]["error"]
    assert gate.recordings("anning") == 3
    assert gate.opens(takes("anning", "5")[0]) == "anning"


def test_all_that_is_kept_of_a_student_becomes_a_file_of_its_owner(gate: Gate) -> None:
    file = gate.folder / "anning.json"
    assert gate("students", "anning", "--export", file)[0] == 0
    assert file.stat().st_mode & 0o077 == 0
    found = json.loads(file.read_bytes())
    assert (found["student"], found["group"], found["consent"]) == ("anning", "7a", None)
    assert len(found["recordings"]) == 4
    with closing(
        Registry(gate.folder / "gallery.sqlite", Vault.load(gate.folder / "key"))
    ) as registry:
        for each in found["recordings"]:
            point = np.frombuffer(base64.b64decode(each["voiceprint"]["base64"]), "<f4")
            np.testing.assert_array_equal(
                point, registry.recordings.voiceprints([each["number"]])[0]
            )
            assert each["said"]["shape"] and each["fingerprint"]["shape"]


def test_two_names_that_were_swapped_by_hand_are_said_and_open_for_neither(gate: Gate) -> None:
    with closing(sqlite3.connect(gate.folder / "gallery.sqlite")) as database, database:
        for old, new in (("anning", "x"), ("bowen", "anning"), ("x", "bowen")):
            database.execute("UPDATE students SET name = ? WHERE name = ?", (new, old))
    assert gate.opens(takes("anning", "5")[0]) is None
    assert gate.opens(takes("dezhi", "5")[0]) == "dezhi"
    _, said = gate("students")
    assert "2 students stay outside" in said[0]["note"]
    assert [each["student"] for each in said[1:]] == ["dezhi"]
    assert gate("students", "--remove", "anning", "--remove", "bowen")[0] == 0
    assert gate("enroll", "--student", "anning", *takes("anning", "1-4"))[0] == 0
    assert gate.opens(takes("anning", "5")[0]) == "anning"


def test_a_list_fits_into_sixty_columns(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate("students", "anning", "--set-consent", (TODAY - datetime.timedelta(days=1)).isoformat())
    monkeypatch.setattr("kaimen.terminal.UNWRAPPED", 60)
    lines = gate.shown("students").splitlines()
    assert max(map(len, lines)) <= 60
    assert any("anning" in line and "7a" in line and "ended" in line for line in lines)


def test_what_was_taken_in_at_the_gate_is_listed_and_forgotten(gate: Gate) -> None:
    assert gate("students", "--grown") == (0, [])
    assert "nothing was taken in" in gate.shown("students", "--grown")
    at = datetime.datetime(2026, 3, 1, 7, 30, tzinfo=datetime.UTC)
    with closing(
        Registry(gate.folder / "gallery.sqlite", Vault.load(gate.folder / "key"))
    ) as known:
        encoder = known.student("anning").encoder
        for student in ("anning", "bowen"):
            assert known.grown.take_in(student, np.eye(192)[0], encoder, at)
    code, listed = gate("students", "--grown")
    assert code == 0 and [each["student"] for each in listed] == ["anning", "bowen"]
    assert listed[0]["at"] == at.isoformat()
    assert [each["student"] for each in gate("students", "bowen", "--grown")[1]] == ["bowen"]
    assert gate.recordings("anning") == 4
    assert gate("students", "--forget-grown")[0] == 2
    assert gate("students", "anning", "--forget-grown", "--grown")[0] == 2
    assert gate("students", "anning", "--forget-grown")[1] == [
        {"forgotten_grown": 1, "students": 1}
    ]
    assert [each["student"] for each in gate("students", "--grown")[1]] == ["bowen"]
    assert gate("students", "*", "--forget-grown")[1][0]["forgotten_grown"] == 1
    assert gate.recordings("bowen") == 4


def test_a_calibration_counts_what_was_taken_in_until_then(gate: Gate) -> None:
    at = datetime.datetime(2026, 3, 1, 7, 30, tzinfo=datetime.UTC)
    with closing(
        Registry(gate.folder / "gallery.sqlite", Vault.load(gate.folder / "key"))
    ) as known:
        encoder = known.student("anning").encoder
        known.grown.take_in("anning", np.eye(192)[0], encoder, at)
    code, said = gate("calibrate", "--fpir", "0.05")
    assert code == 0 and said[0]["grown"] == 1
