"""``kaimen calibrate``, beyond the threshold: its figures, and drift."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.cli.main import main
from kaimen.gallery.gallery import Gallery
from kaimen.registry.vault import Vault
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Card
from tests.gallery.points import school
from tests.monitoring.simulated import SimulatedSchool, write

STUDENTS = 40


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A calibrated school of simulated voices in two groups."""
    card, vault = Card.read(SHIPPED.with_suffix(".json")), Vault()
    vault.save(tmp_path / "key")
    gallery = Gallery.open(tmp_path / "gallery.sqlite", vault, card.sha256, card.dimension)
    for number, own in enumerate(school(STUDENTS, 3, card.dimension, spread=1.5)):
        gallery.enroll(f"s{number:02}", list(own), group="7a" if number % 2 else "7b")
    gallery.save()
    gallery.close()
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[door]\nmock = true\n[checks]\nphrase = false\n",
        encoding="utf-8",
    )
    assert main(["calibrate", "--config", str(path)]) == 0
    return path


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = main(["calibrate", *map(str, arguments), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def kept(config: Path) -> bytes:
    return (config.parent / "gallery.calibration.json").read_bytes()


def test_a_report_holds_curve_groups_and_drift_and_changes_nothing(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = kept(config)
    code, (shown,) = run(capsys, "--report", tmp_path / "figures.json", "--config", config)
    written = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert code == 0
    assert shown == written
    assert written["curve"]
    assert written["now"]["fnir"]["of"] == 3 * STUDENTS
    assert [each["group"] for each in written["fairness"]["group"]["groups"]] == ["7a", "7b"]
    assert written["weeks"] == []
    assert written["drift"]["trips"] is False
    assert kept(config) == before


def test_another_threshold_is_tried_in_words_and_changes_nothing(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = kept(config)
    code, found = run(capsys, "--what-if", "0", "--what-if", "1", "--config", config)
    assert code == 0
    assert [each["threshold"] for each in found] == [0, 1]
    assert (found[0]["fpir"]["share"], found[0]["fnir"]["share"]) == (1, 0)
    assert (found[1]["fpir"]["share"], found[1]["fnir"]["share"]) == (0, 1)
    assert kept(config) == before


def test_groups_of_a_table_are_compared_and_kept_nowhere(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = tmp_path / "languages.csv"
    lines = [f"s{number:02},{'uighur' if number < 20 else 'han'}" for number in range(STUDENTS)]
    table.write_text("student,language\n" + "\n".join(lines), encoding="utf-8")
    code, (shown,) = run(capsys, "--groups", table, "--config", config)
    assert code == 0
    groups = shown["fairness"]["language"]["groups"]
    assert [(each["group"], each["students"]) for each in groups] == [("han", 20), ("uighur", 20)]
    table.unlink()
    found = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert not [each for each in found if b"uighur" in each.read_bytes()]


def at_a_door_for(config: Path, *groups: str) -> Path:
    """Another gate's settings, with the same gallery's files; only these groups may enter."""
    path = config.with_name(f"{'-'.join(groups)}.toml")
    named = ", ".join(f'"{each}"' for each in groups)
    path.write_text(
        config.read_text(encoding="utf-8") + f"[[roster]]\ngroups = [{named}]\n", encoding="utf-8"
    )
    return path


def test_a_door_for_a_group_has_a_threshold_of_its_own_and_says_for_how_many(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, (everybody,) = run(capsys, "--dry-run", "--config", config)
    door = at_a_door_for(config, "7a")
    code, (before,) = run(capsys, "--what-if", "0.5", "--config", door)
    assert (code, before["students"]) == (0, STUDENTS)  # it was calibrated for everybody
    code, (learned,) = run(capsys, "--config", door)
    assert code == 0
    assert (learned["at_once"], learned["students"]) == (STUDENTS // 2, STUDENTS)
    assert learned["everybody"] == everybody["threshold"] > learned["threshold"]
    code, (found,) = run(capsys, "--what-if", learned["threshold"], "--config", door)
    assert found["students"] == STUDENTS // 2
    assert found["fnir"]["of"] == 3 * STUDENTS // 2
    assert found["fpir"]["of"] == 3 * STUDENTS
    assert found["fpir"]["share"] == learned["expected_fpir"]
    assert found["fnir"]["share"] == learned["expected_fnir"]
    code, (report,) = run(capsys, "--report", tmp_path / "figures.json", "--config", door)
    assert report["calibration"]["threshold"] == report["now"]["threshold"] == learned["threshold"]
    # Drift that is mended keeps both thresholds, and the scores.
    assert run(capsys, "--drift-mended", "--config", door)[0] == 0
    again = run(capsys, "--what-if", learned["threshold"], "--config", door)[1][0]
    assert again == found


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("C.UTF-8", ["for 20 of 40 students, who may enter at once at FPIR 1.0%", "all 40"]),
        ("zh_CN.UTF-8", ["40 名学生中可同时进入的 20 名", "若门对全部 40 名学生开放"]),
    ],
)
def test_people_are_told_in_their_language_for_how_many_it_is(
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    said: list[str],
) -> None:
    monkeypatch.setenv("LC_ALL", language)
    door = at_a_door_for(config, "7a")
    capsys.readouterr()
    assert main(["calibrate", "--config", str(door)]) == 0
    shown = capsys.readouterr().out.replace("\n", " ")
    assert all(each in shown for each in said)
    assert main(["calibrate", "--what-if", "0.5", "--config", str(door)]) == 0
    assert said[0].removesuffix(" at FPIR 1.0%") in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,language\na,b\n", "the column student"),
        ("student\na\n", "and others"),
        ("", "column"),
    ],
)
def test_a_table_that_names_no_groups_is_refused(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "g.csv").write_text(content, encoding="utf-8")
    code, (error,) = run(capsys, "--groups", tmp_path / "g.csv", "--config", config)
    assert code == 2
    assert said in error["error"]


def test_what_tells_and_what_learns_are_not_asked_for_together(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (error,) = run(capsys, "--what-if", "0.5", "--dry-run", "--config", config)
    assert code == 2
    assert "leave --fpir and --dry-run out" in error["error"]


def test_a_calibration_of_before_says_that_its_scores_are_not_kept(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / ".gallery.scores").unlink()
    code, (error,) = run(capsys, "--what-if", "0.5", "--config", config)
    assert code == 4
    assert "run 'kaimen calibrate'" in error["error"]


def test_mended_drift_is_kept_through_later_calibrations(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "--drift-mended", "--config", config)[0] == 0
    _, (learned,) = run(capsys, "--config", config)
    assert learned["drift_from"]
    code, found = run(capsys, "--what-if", "0.5", "--config", config)
    assert code == 0
    assert found[0]["fpir"]["of"] == 3 * STUDENTS


@pytest.fixture
def logged(config: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same school, with a log of what its gate decided."""
    monkeypatch.setattr("tests.monitoring.simulated.pseudonym", lambda key, name: name)
    records = list(SimulatedSchool(20).records(2, 5))
    vault = Vault.load(config.parent / "key")
    write(records, config.parent / "audit", vault.derive("audit"))
    return config


def test_weeks_of_the_log_are_shown_by_group_and_microphone(
    logged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (shown,) = run(capsys, "--report", logged.parent / "f.json", "--config", logged)
    assert code == 0
    assert [(each["name"], each["phrases"]) for each in shown["weeks"]] == [("2026-W37", 10)]
    assert [each["name"] for each in shown["microphones"]] == ["day", "hall"]
    assert np.isclose(sum(sum(e["verdicts"].values()) for e in shown["microphones"]), 10)
    assert (
        main(["calibrate", "--report", str(logged.parent / "f.json"), "--config", str(logged)]) == 0
    )
    assert "2026-W37" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said", "names"),
    [
        ("--report", ["按组：被拒最多的组：7", "漂移：", "按周", "按麦克风"], ["day", "hall"]),
        ("--drift-mended", ["漂移从现在起"], []),
        ("--dry-run", ["预测", "没有任何改动"], ["gate", "retry"]),
    ],
)
def test_all_is_chinese_but_names_at_a_chinese_terminal(
    logged: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    said: list[str],
    names: list[str],
) -> None:
    capsys.readouterr()
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    file = [str(logged.parent / "f.json")] if asked == "--report" else []
    assert main(["calibrate", asked, *file, "--config", str(logged)]) == 0
    shown = "".join(capsys.readouterr())
    assert all(each in shown for each in said)
    assert {*re.findall("[A-Za-z]{2,}", shown)} <= {"FPIR", "FNIR", *names}
