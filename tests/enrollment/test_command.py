"""``kaimen enroll`` as somebody uses it, on the recordings that come with Kaimen."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.cli.main import main
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import mp3
from kaimen.sound.recording import read

GOOD = 0
REFUSED = 3  # docs/use/commands.md
VOICES = ("anning", "bowen", "dezhi")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes have tests of their own."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})


@pytest.fixture
def school(tmp_path: Path) -> Path:
    for voice in VOICES:
        (tmp_path / "school" / voice).mkdir(parents=True)
        for take in takes(voice):
            shutil.copy(take, tmp_path / "school" / voice)
    return tmp_path / "school"


def takes(voice: str, numbers: str = "1-5") -> list[Path]:
    return sorted((RECORDINGS / voice).glob(f"phrase-[{numbers}].mp3"))


def run(
    capsys: pytest.CaptureFixture, config: Path, *arguments: str | Path
) -> tuple[int, list[dict]]:
    code = main(["enroll", *map(str, arguments), "--config", str(config), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_school_is_enrolled_summed_up_and_found_unchanged(
    config: Path, school: Path, capsys: pytest.CaptureFixture
) -> None:
    code, (*students, summary) = run(capsys, config, "--from", school)
    assert code == GOOD
    assert students == [{"student": name, "recordings": 5, "refused": 0} for name in VOICES]
    assert (summary["students"], summary["recordings"], summary["enrolled"]) == (3, 15, 3)
    assert 0 < summary["threshold"] < 1

    code, (*students, again) = run(capsys, config, "--from", school)
    assert code == GOOD and [each["unchanged"] for each in students] == [True] * 3
    assert again == {**summary, "enrolled": 0, "unchanged": 3}


def test_a_table_says_groups_and_consents(
    config: Path, school: Path, capsys: pytest.CaptureFixture
) -> None:
    lines = ["student,path,group,consent"]
    lines += [f"s1,anning/{take.name},7b,2999-07-31" for take in takes("anning")]
    lines += [f"s2,bowen/{take.name},," for take in takes("bowen")]
    (school / "school.csv").write_text("\n".join(lines), encoding="utf-8")
    assert run(capsys, config, "--from", school / "school.csv")[0] == GOOD
    main(["students", "--config", str(config), "--json"])
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["student"], each["group"], each["consent"]) for each in listed] == [
        ("s1", "7b", "2999-07-31"), ("s2", "", None),
    ]  # fmt: skip


def test_one_student_is_given_a_group_and_a_consent(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    chosen = ("--student", "s1", "--group", "7b", "--consent", "2999-07-31")
    assert run(capsys, config, *chosen, *takes("anning"))[0] == GOOD
    main(["students", "--config", str(config), "--json"])
    (listed,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (listed["group"], listed["consent"]) == ("7b", "2999-07-31")


def test_what_is_refused_is_said_counted_and_written(
    config: Path, school: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (school / "bowen" / "empty.mp3").touch()
    shutil.copy(takes("chenxi")[0], school / "bowen" / "other.mp3")
    (school / "nobody").mkdir()
    report = tmp_path / "refused.csv"
    code, said = run(capsys, config, "--from", school, "--report", report)
    assert code == REFUSED
    refused = [each for each in said if "error" in each]
    assert {(each["student"], Path(each["path"]).name, each["kind"]) for each in refused} == {
        ("bowen", "empty.mp3", "UnreadableRecording"),
        ("bowen", "other.mp3", "NotLikeTheOthers"),
        ("nobody", "nobody", "UnreadableRecording"),
    }
    assert said[-1]["kinds"] == {"UnreadableRecording": 2, "NotLikeTheOthers": 1}
    assert (said[-1]["enrolled"], said[-1]["refused"]) == (3, 1)
    with report.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [(row["student"], row["path"], row["kind"], row["reason"]) for row in rows] == [
        (each["student"], each["path"], each["kind"], each["error"]) for each in refused
    ]
    # Asked again, the same is refused.
    code, again = run(capsys, config, "--from", school)
    assert code == REFUSED and [each for each in again if "error" in each] == refused


def test_files_that_cannot_be_read_here_are_counted_and_pipes_are_not_waited_for(
    config: Path, school: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for name in ("1.m4a", "2.m4a"):  # beside MP3s, and alone
        for student in ("bowen", "li"):
            (school / student).mkdir(exist_ok=True)
            (school / student / name).write_bytes(b"\x00\x00\x00\x20ftypM4A " + bytes(500))
    os.mkfifo(school / "anning" / "pipe.mp3")
    with monkeypatch.context() as bare:
        bare.setitem(sys.modules, "av", None)
        bare.setattr(shutil, "which", lambda program: None)
        code, said = run(capsys, config, "--from", school)
    assert code == REFUSED
    assert said[-1]["kinds"] == {"UnsupportedFormat": 4, "UnreadableRecording": 1}
    assert (said[-1]["enrolled"], said[-1]["refused"]) == (3, 1)
    reasons = {each["error"] for each in said if each.get("kind") == "UnsupportedFormat"}
    (sentence,) = reasons
    assert sentence.startswith("M4A cannot be read here; install ffmpeg")
    # Once something can read them, they are looked at again.
    _, said = run(capsys, config, "--from", school)
    assert said[-1]["kinds"] == {"UnreadableRecording": 5}


def test_a_school_of_mp3s_without_a_length_that_begin_with_a_puff_is_enrolled(
    config: Path, school: Path, capsys: pytest.CaptureFixture
) -> None:
    puff = np.random.default_rng(0).normal(0, 0.1, 4800).astype(np.float32)
    for path in school.glob("*/*.mp3"):
        sound = np.concatenate((puff, np.zeros(8000, np.float32), read(path)))
        soundfile.write(path, sound, 16_000, bitrate_mode="VARIABLE", compression_level=0.4)
        content = path.read_bytes()
        (stream,) = mp3.streams(content)
        path.write_bytes(b"".join(content[start:end] for start, end in stream.pieces))
    code, said = run(capsys, config, "--from", school)
    assert [each["error"] for each in said if "error" in each] == []
    assert (code, said[-1]["enrolled"], said[-1]["recordings"]) == (0, 3, 15)


def test_a_voice_under_two_names_is_enrolled_once_unless_it_is_asked_for(
    config: Path, school: Path, capsys: pytest.CaptureFixture
) -> None:
    (school / "twin").mkdir()
    for take in takes("bowen", "6-9"):
        shutil.copy(take, school / "twin")
    code, said = run(capsys, config, "--from", school)
    assert code == REFUSED and said[-1]["students"] == 3
    twins = [each for each in said if each.get("kind") == "AlikeAnother"]
    assert {(each["student"], each["alike"]) for each in twins} == {("twin", "bowen")}
    code, said = run(capsys, config, "--from", school, "--accept-alike")
    assert code == GOOD and said[-1]["students"] == 4


def test_nothing_usable_at_all_is_no_crash(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "empty.mp3").touch()
    code, said = run(capsys, config, "--student", "s", tmp_path / "empty.mp3")
    assert code == REFUSED
    assert (said[-1]["students"], said[-1]["threshold"]) == (0, None)


def test_who_enrolled_nobody_is_not_sent_to_calibrate(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "empty.mp3").touch()
    given = ["enroll", "--student", "s", str(tmp_path / "empty.mp3"), "--config", str(config)]
    assert main(given) == REFUSED
    assert "the door is not armed: nobody is enrolled" in (said := capsys.readouterr().err)
    assert "calibrate" not in said


def test_a_large_school_is_told_to_calibrate(
    config: Path, school: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.installation.arming.QUICK", 2)
    assert main(["enroll", "--from", str(school), "--config", str(config)]) == GOOD
    assert "the door is not armed: " in (said := capsys.readouterr().err)
    assert "run 'kaimen calibrate'" in said


def test_people_read_what_was_refused_and_the_sum(
    config: Path, school: Path, capsys: pytest.CaptureFixture
) -> None:
    (school / "bowen" / "empty.mp3").touch()
    assert main(["enroll", "--from", str(school), "--config", str(config)]) == REFUSED
    said = capsys.readouterr()
    assert "empty.mp3: the file is empty" in said.err
    assert "✓ bowen: 5 recordings" in said.out
    assert "UnreadableRecording" in said.out and "3 students with 15 recordings" in said.out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--from", "x", "--student", "s"], "--student NAME"),
        (["--from", "x", "--group", "7b"], "--student NAME"),
        (["--student", "s", "--consent", "tomorrow", "a.mp3"], "2027-07-31"),
        (["--from", "/nowhere.csv"], "no such file"),
        (["--student", "a\x1b[2J", "a.mp3"], "--student: the name 'a\\x1b[2J'"),
    ],
)
def test_wrong_usage_is_one_sentence_with_what_to_do(
    arguments: list[str], hint: str, config: Path, capsys: pytest.CaptureFixture
) -> None:
    code, (said,) = run(capsys, config, *arguments)
    assert code == 2 and hint in said["error"]


def test_without_dask_it_is_said_what_to_install(
    config: Path, school: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "kaimen.enrollment.cluster", raising=False)
    code, (said,) = run(capsys, config, "--from", school, "--cluster", "tcp://127.0.0.1:1")
    assert code == 2 and "kaimen[cluster]" in said["error"]


def test_a_file_whose_name_is_in_no_encoding_is_shown_all_the_same(
    config: Path, school: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = str(school / "bowen").encode()
    Path((folder + b"/J\xf6rg.mp3").decode(errors="surrogateescape")).touch()
    code, said = run(capsys, config, "--from", school)
    assert code == REFUSED and Path(said[1]["path"]).name == "J\ufffdrg.mp3"
