"""Two gates with the same students: each has the threshold of those who may enter at it."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from kaimen.cli.main import main
from kaimen.door.client import Door
from kaimen.rehearsal import RECORDINGS
from kaimen.settings import DoorSettings
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read
from tests.door.bench import opened
from tests.sounds import in_a_room, silence

pytestmark = pytest.mark.usefixtures("own_signals")

VOICES = ("anning", "bowen", "chenxi", "dezhi", "fangfei", "haoran", "jiayi", "lanxin")
STAFF = VOICES[:2]


def run(
    capsys: pytest.CaptureFixture[str], gate: Path, *arguments: str | Path
) -> list[dict[str, Any]]:
    """Return what a command says for programs."""
    capsys.readouterr()
    main([*map(str, arguments), "--json", "--config", str(gate / "kaimen.toml")])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def configure(gate: Path, roster: str = "") -> None:
    (gate / "kaimen.toml").write_text(
        f'[gallery]\npath = "{gate}/gallery.sqlite"\nkey = "{gate}/key"\n[door]\nmock = true\n'
        "[checks]\nphrase = false\nloudspeaker = false\nreplay = false\n" + roster,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gate at which all eight voices are enrolled, two of them as staff."""
    folder = tmp_path_factory.mktemp("school")
    gate = folder / "gate"
    gate.mkdir()
    configure(gate)
    for voice in VOICES:
        (folder / "enroll" / voice).mkdir(parents=True)
        for number in range(1, 6):
            shutil.copy(RECORDINGS / voice / f"phrase-{number}.mp3", folder / "enroll" / voice)
    config = ["--config", str(gate / "kaimen.toml")]
    assert main(["enroll", "--from", str(folder / "enroll"), *config]) == 0
    assert main(["students", *STAFF, "--set-group", "staff", *config]) == 0
    assert main(["students", *VOICES[2:], "--set-group", "7a", *config]) == 0
    return gate


@pytest.fixture
def staff_room(school: Path, tmp_path: Path) -> Path:
    """Another gate with the same students, where staff alone may enter."""
    gate = tmp_path / "staff room"
    shutil.copytree(school, gate)
    configure(gate, '[[roster]]\ngroups = ["staff"]\n')
    return gate


def test_the_staff_rooms_door_opens_from_lower_on_and_keeps_all_others_outside(
    school: Path, staff_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (front,) = run(capsys, school, "calibrate")
    (side,) = run(capsys, staff_room, "calibrate")
    assert (side["at_once"], side["students"]) == (2, 8)
    assert side["threshold"] < side["everybody"] == front["threshold"]
    for voice in VOICES:
        probes = [RECORDINGS / voice / f"phrase-{number}.mp3" for number in (6, 7)]
        # Each recording by itself: two files are two tries of somebody.
        for probe in probes:
            (at_front,) = run(capsys, school, "listen", probe)
            (at_side,) = run(capsys, staff_room, "listen", probe)
            assert at_side["verdict"] == "open" or voice not in STAFF
            assert at_side["student"] == (voice if voice in STAFF else None)
            assert at_side["threshold"] <= at_front["threshold"]


def test_in_a_large_school_who_comes_onto_the_roster_enters_by_all_students_threshold_at_first(
    school: Path,
    staff_room: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kaimen.installation.arming.QUICK", 2)
    (front,) = run(capsys, school, "calibrate")
    (low,) = run(capsys, staff_room, "calibrate")
    probe = RECORDINGS / "chenxi" / "phrase-6.mp3"
    assert run(capsys, staff_room, "listen", probe)[0]["verdict"] != "open"
    config = str(staff_room / "kaimen.toml")
    assert main(["students", "chenxi", "--set-group", "staff", "--config", config]) == 0
    assert "until you calibrate, the threshold is that of all" in capsys.readouterr().err
    (answer,) = run(capsys, staff_room, "listen", probe)
    assert answer["student"] == "chenxi"
    assert answer["threshold"] == pytest.approx(front["first_threshold"])
    (higher,) = run(capsys, staff_room, "calibrate")
    assert low["threshold"] <= higher["threshold"] <= front["threshold"]
    assert higher["at_once"] == 3


def test_a_small_school_is_calibrated_at_once_for_who_comes_onto_the_roster(
    staff_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, staff_room, "calibrate")
    run(capsys, staff_room, "students", "chenxi", "--set-group", "staff")
    assert run(capsys, staff_room, "calibrate", "--what-if", "0.7")[0]["students"] == 3


def test_a_table_that_changes_nothing_but_groups_calibrates_for_the_roster(
    school: Path, staff_room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, staff_room, "calibrate")
    recordings = sorted((school.parent / "enroll" / "chenxi").glob("*.mp3"))
    table = "".join(f"chenxi,{each},staff\n" for each in recordings)
    (staff_room / "table.csv").write_text(f"student,path,group\n{table}", encoding="utf-8")
    *_, enrolled = run(capsys, staff_room, "enroll", "--from", staff_room / "table.csv")
    assert (enrolled["changed"], enrolled["enrolled"]) == (1, 0)
    assert run(capsys, staff_room, "calibrate", "--what-if", "0.7")[0]["students"] == 3


@pytest.mark.slow
def test_a_running_gate_goes_by_its_roster_and_says_for_how_many_it_is_armed(
    staff_room: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = staff_room / "trace"
    monkeypatch.setattr(Door, "open", opened)
    monkeypatch.setattr(Door, "start", partial(Door.start, trace=trace))
    run(capsys, staff_room, "calibrate")
    pause = silence(2.0)
    said = [read(RECORDINGS / voice / "phrase-6.mp3") for voice in ("anning", "chenxi", "bowen")]
    day = in_a_room(np.concatenate([pause, said[0], pause, said[1], pause, said[2], pause]))
    soundfile.write(staff_room / "day.wav", day, SAMPLE_RATE)
    found = run(capsys, staff_room, "run", "--play", staff_room / "day.wav")
    notes = [each["note"] for each in found if "note" in each]
    assert "8 students; the door is armed for 2 who may enter at once" in notes
    answers = [each for each in found if "verdict" in each]
    let_in = [each["student"] for each in answers if each["verdict"] == "open"]
    assert let_in == ["anning", "bowen"]
    assert len(answers) == 3
    changes = [line.split() for line in trace.read_text(encoding="utf-8").splitlines()]
    levels = [int(level) for _, pin, level in changes if int(pin) == DoorSettings().pin]
    assert levels == [1, 0, 1, 0]
