"""The commands as somebody uses them, on the recordings that come with Kaimen."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory

from kaimen.calibration.calibration import Calibration
from kaimen.cli.main import COMMANDS, main
from kaimen.door.pins import mock_pins
from kaimen.registry.registry import Registry
from kaimen.registry.space_map import SpaceMap
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from kaimen.settings import Settings
from kaimen.voice.encoder import Encoder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[door]\nmock = true\nlease = 0.05\n"
        # A machine's takes are as alike as recordings.
        "[checks]\nreplay = false\nloudspeaker = false\n",
        encoding="utf-8",
    )
    return path


def run(capsys: pytest.CaptureFixture, *arguments: str | Path) -> tuple[int, list[dict]]:
    code = main([*map(str, arguments), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def takes(voice: str, numbers: str = "1-5") -> list[Path]:
    return sorted((RECORDINGS / voice).glob(f"phrase-[{numbers}].mp3"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_in_its_help(
    name: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    assert re.search(rf"example:\n  kaimen {name}", capsys.readouterr().out)


def test_on_a_narrow_terminal_each_command_has_its_summary_beside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name, summary in COMMANDS.items():
        (line,) = [each for each in lines if each.startswith(f"  {name} ")]
        assert line.split(maxsplit=1)[1] == summary[: len(line.split(maxsplit=1)[1])]
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("name", COMMANDS)
def test_on_a_narrow_terminal_help_is_wrapped_and_an_example_is_a_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main([name, "--help"])
    lines = capsys.readouterr().out.partition("example:\n")[2].splitlines()
    assert max((len(line) for line in lines if not line.startswith("  ")), default=0) <= 60
    examples = [line for line in lines if line.startswith("  ")]
    assert all(re.match("  ((sudo )?kaimen |    [(])", line) for line in examples)


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert set(re.findall(r"^  ([a-z]+) ", capsys.readouterr().err, re.MULTILINE)) == set(COMMANDS)


def test_the_public_commands_are_these() -> None:
    assert list(COMMANDS) == [
        "demo", "setup", "doctor", "run", "door", "listen", "enroll", "students", "erase",
        "renew", "calibrate", "update", "attack", "settings", "log", "review", "map", "backup",
        "restore", "audit", "bundle", "fleet", "embed", "bridge", "console", "bench",
    ]  # fmt: skip


@pytest.mark.parametrize(("option", "real"), [([], 0), (["--no-relay"], 0), (["--relay"], 1)])
def test_a_recording_switches_the_real_relay_only_when_asked(
    config: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
    real: int,
) -> None:
    claimed: list[int] = []

    def real_pins() -> MockFactory:
        claimed.append(1)
        return mock_pins()

    for module in ("kaimen.door.pins", "kaimen.installation.parts"):
        monkeypatch.setattr(f"{module}.on_a_pi", lambda: True)
    monkeypatch.setattr("kaimen.door.pins.real_pins", real_pins)
    config.write_text(config.read_text().replace("mock = true", "mock = false"))
    for voice in ("anning", "bowen"):
        assert run(capsys, "enroll", "--student", voice, *takes(voice), "--config", config)[0] == 0
    probe = RECORDINGS / "bowen" / "phrase-6.mp3"
    code, said = run(capsys, "listen", *option, probe, "--config", config)
    assert (code, said[-1]["verdict"], len(claimed)) == (0, "open", real)


def test_enrolled_students_are_listed_heard_and_removed(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    for voice in ("anning", "bowen"):
        code, said = run(capsys, "enroll", "--student", voice, *takes(voice), "--config", config)
        assert code == 0 and said[0] == {"student": voice, "recordings": 5, "refused": 0}
    listed = run(capsys, "students", "--config", config)[1]
    assert [(each["student"], each["recordings"]) for each in listed] == [
        ("anning", 5),
        ("bowen", 5),
    ]
    probe = RECORDINGS / "bowen" / "phrase-6.mp3"
    code, (answer,) = run(capsys, "listen", probe, "--config", config)
    assert (code, answer["verdict"], answer["student"]) == (0, "open", "bowen")
    assert [near["student"] for near in answer["nearest"]] == ["bowen", "anning"]
    assert answer["score"] >= answer["threshold"] > 0
    assert answer["opened"] is True

    assert run(capsys, "students", "--remove", "bowen", "--config", config)[0] == 0
    code, (answer,) = run(capsys, "listen", probe, "--config", config)
    assert (code, answer["student"]) == (0, None)


def test_students_of_another_encoder_are_carried_over_by_its_map(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for voice in ("anning", "bowen"):
        run(capsys, "enroll", "--student", voice, *takes(voice), "--config", config)
    here, same = Encoder().identity, np.eye(192, dtype=np.float32)
    registry = Registry(tmp_path / "gallery.sqlite", Vault.load(tmp_path / "key"))
    for voice in ("anning", "bowen"):  # as if another encoder had made their points
        numbers, owners = registry.recordings.numbers(here)
        own = numbers[owners == registry.student(voice).number]
        registry.enroll(voice, registry.recordings.voiceprints(own), "before")
    registry.close()
    probe = RECORDINGS / "bowen" / "phrase-6.mp3"
    assert run(capsys, "listen", probe, "--config", config)[0] == 4
    SpaceMap("before", here, same).save(tmp_path / "map.npz")
    SpaceMap("before", "elsewhere", same).save(tmp_path / "wrong.npz")
    wrong = ("students", "--carry", tmp_path / "wrong.npz", "--config", config)
    assert run(capsys, *wrong)[0] == 4
    right = ("students", "--carry", tmp_path / "map.npz", "--config", config)
    assert run(capsys, *right) == (0, [{"carried": 2}])
    assert run(capsys, *right) == (0, [{"carried": 0}])
    assert run(capsys, "listen", probe, "--config", config)[1][-1]["student"] == "bowen"


def test_without_a_gallery_nobody_is_carried_over(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    SpaceMap("before", Encoder().identity, np.eye(192, dtype=np.float32)).save(tmp_path / "m.npz")
    assert run(capsys, "students", "--carry", tmp_path / "m.npz", "--config", config)[0] == 4
    assert not (tmp_path / "key").exists()


@pytest.mark.slow
def test_a_school_is_enrolled_from_a_folder(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for voice in ("anning", "bowen", "dezhi"):
        (tmp_path / "school" / voice).mkdir(parents=True)
        for take in takes(voice):
            shutil.copy(take, tmp_path / "school" / voice)
    code, said = run(capsys, "enroll", "--from", tmp_path / "school", "--config", config)
    assert code == 0
    assert said[-1]["students"] == 3 and said[-1]["recordings"] == 15


def test_a_stricter_fpir_asks_for_more_and_is_kept_when_more_enroll(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    for voice in ("anning", "bowen", "dezhi"):
        run(capsys, "enroll", "--student", voice, *takes(voice), "--config", config)
    loose = run(capsys, "calibrate", "--fpir", "0.2", "--config", config)[1][0]
    strict = run(capsys, "calibrate", "--fpir", "0.003", "--config", config)[1][0]
    assert loose["threshold"] < strict["threshold"]
    run(capsys, "enroll", "--student", "fangfei", *takes("fangfei"), "--config", config)
    code, (again,) = run(capsys, "calibrate", "--config", config)
    assert code == 0 and again["fpir"] == 0.003 and again["students"] == 4


def test_what_there_is_no_evidence_for_changes_nothing(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    _, said = run(capsys, "enroll", "--student", "anning", *takes("anning"), "--config", config)
    assert said[-1]["armed"] is True and said[-1]["reason"] is None
    kept = (config.parent / "gallery.calibration.json").read_bytes()
    code, (learned, error) = run(capsys, "calibrate", "--fpir", "0.00001", "--config", config)
    assert code == 4
    assert learned["promised"] > 0.00001
    assert "too few to promise" in error["error"] and "--fpir" in error["error"]
    assert (config.parent / "gallery.calibration.json").read_bytes() == kept
    code, _ = run(capsys, "listen", takes("anning")[0], "--config", config)
    assert code == 0


def test_a_calibration_may_be_tried_without_keeping_it(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    run(capsys, "enroll", "--student", "anning", *takes("anning"), "--config", config)
    kept = (config.parent / "gallery.calibration.json").read_bytes()
    for fpir, expected in (("0.2", 0), ("0.00001", 4)):
        code, (learned, *_) = run(
            capsys, "calibrate", "--fpir", fpir, "--dry-run", "--config", config
        )
        assert (code, learned["fpir"]) == (expected, float(fpir))
    assert (config.parent / "gallery.calibration.json").read_bytes() == kept


def test_a_threshold_from_somebody_without_the_key_opens_nothing(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    run(capsys, "enroll", "--student", "anning", *takes("anning"), "--config", config)
    kept = config.parent / "gallery.calibration.json"
    fields = json.loads(json.loads(kept.read_text())["calibration"])
    content = json.dumps({**fields, "threshold": -1.0, "first_threshold": -1.0})
    checksum = hashlib.sha256(content.encode()).hexdigest()
    for whole in ({"checksum": checksum}, {"mac": checksum}, {}):
        kept.write_text(json.dumps({**whole, "calibration": content}))
        code, (error,) = run(capsys, "listen", takes("bowen")[0], "--config", config)
        assert code == 4 and "run 'kaimen calibrate'" in error["error"]


def test_a_recording_that_enrolled_somebody_opens_nothing(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    config.write_text(config.read_text().replace("replay = false", "replay = true"))
    for voice in ("anning", "bowen"):
        run(capsys, "enroll", "--student", voice, *takes(voice), "--config", config)
    code, (answer,) = run(capsys, "listen", takes("bowen")[2], "--config", config)
    assert (code, answer["verdict"], answer["student"]) == (0, "refused", None)
    assert "heard before" in answer["reason"]
    assert list(answer["checks"]) == ["phrase", "replay"]


def test_other_words_in_a_known_voice_open_nothing(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    for voice in ("anning", "bowen"):
        run(capsys, "enroll", "--student", voice, *takes(voice), "--config", config)
    path = config.parent / "gallery.calibration.json"
    vault = Vault.load(Settings.read(config).gallery.key_file)
    kept = Calibration.load(path, vault)
    replace(kept, threshold=0.3, first_threshold=0.3, claim_threshold=0.3).save(path, vault)
    probe = RECORDINGS / "bowen" / "other-1.mp3"
    probe = probe if probe.exists() else RECORDINGS / "anning" / "other-1.mp3"
    code, (answer,) = run(capsys, "listen", probe, "--config", config)
    assert (code, answer["verdict"]) == (0, "unknown")
    assert "not the words" in answer["reason"]


def test_a_claim_is_answered_for_that_student_alone(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    for voice in ("anning", "bowen"):
        run(capsys, "enroll", "--student", voice, *takes(voice), "--config", config)
    probe = RECORDINGS / "bowen" / "phrase-6.mp3"
    for claim, student in (("bowen", "bowen"), ("anning", None), ("nobody", None)):
        code, (answer,) = run(capsys, "listen", probe, "--claim", claim, "--config", config)
        assert (code, answer["claim"], answer["student"]) == (0, claim, student)


def test_a_manifest_is_embedded_with_its_own_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    manifest = tmp_path / "manifest.csv"
    shutil.copy(RECORDINGS / "anning" / "phrase-1.mp3", tmp_path / "a.mp3")
    shutil.copy(RECORDINGS / "anning" / "phrase-2.mp3", tmp_path / "b.mp3")
    manifest.write_text("path,split\na.mp3,train\nb.mp3,eval\n", encoding="utf-8")
    out = tmp_path / "points.npz"
    arguments = ("embed", "--manifest", manifest, "--split", "eval", "--out", out)
    assert run(capsys, *arguments)[0] == 0
    with np.load(out) as points:
        assert sorted(points.files) == ["paths", "vectors"]
        assert points["paths"].tolist() == ["b.mp3"]
        assert np.linalg.norm(points["vectors"], axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["enroll"], 2, "--student"),
        (["enroll", "--student", "a"], 2, "--from"),
        (["enroll", "--from", "/nowhere"], 2, "no such file"),
        (["embed", "--out", "x.npz"], 2, "--manifest"),
        (["embed", "--manifest", "/nowhere.csv", "--out", "x.npz"], 2, "cannot be read"),
        (["calibrate", "--fpir", "2"], 2, "between 0 and 1"),
        (["listen", "x.wav"], 4, "begin with 'kaimen enroll'"),
        (["students"], 4, "begin with 'kaimen enroll'"),
        (["demo", "--encoder", "/nowhere.tflite"], 4, "no card"),
        (["demo", "--speech", "/nowhere"], 2, "no such file"),
    ],
)
def test_wrong_usage_is_one_sentence_with_what_to_do(
    arguments: list[str], code: int, hint: str, config: Path, capsys: pytest.CaptureFixture
) -> None:
    found, (said,) = run(capsys, *arguments, "--config", config)
    assert found == code
    assert hint in said["error"] and "\n" not in said["error"]


def test_a_point_file_that_cannot_be_written_is_an_error_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "points.npz"
    code, said = run(capsys, "embed", RECORDINGS / "bowen" / "phrase-1.mp3", "--out", out)
    assert code == 6 and "there is no folder" in said[-1]["error"]


def test_a_name_that_looks_like_markup_is_shown_as_it_is(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    name = "[/red]李"
    arguments = ["enroll", "--student", name, *map(str, takes("anning")), "--config", str(config)]
    assert main(arguments) == 0
    assert main(["students", "--config", str(config)]) == 0
    probe = str(RECORDINGS / "anning" / "phrase-6.mp3")
    assert main(["listen", probe, "--config", str(config)]) == 0
    assert capsys.readouterr().out.count(name) == 3
