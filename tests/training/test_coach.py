"""The protocol of the coach at takes whose answers are known beforehand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaimen.enrollment.chance import WEIGHTS
from kaimen.enrollment.take_quality import TakeQuality
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.loudness import decibels
from kaimen_train.cli.main import main
from kaimen_train.evaluation import coach_protocol
from kaimen_train.evaluation.coach_protocol import (
    CALLS,
    ENROLLED,
    calibration_of,
    enrollments,
    retakes,
    rows_of,
    students_of,
    taken_for_another,
)
from kaimen_train.evaluation.coach_takes import FIELDS, TakeTable, renditions
from tests.sounds import noise, spoken

OTHERS = {"mean": 0.0, "deviation": 0.1}
QUALITY = TakeQuality(1.0, 0.8, -25.0, 30.0, 0.0)


def table(takes: int = 8, corpus: str = "mandarin20", spread: float = 0.3) -> TakeTable:
    """Four speakers of a corpus, in two splits; a call is of two takes."""
    random = np.random.default_rng(0)
    named = [(corpus, split, who, "") for split in ("train", "eval") for who in "ab"]
    students = [each for each in named for _ in range(takes)]
    centres = np.repeat(random.standard_normal((len(named), 16)), takes, axis=0)
    points = centres[:, None] + spread * random.standard_normal((len(students), 2, 16))
    points /= np.linalg.norm(points, axis=2, keepdims=True)
    quality = [getattr(QUALITY, name) for name in FIELDS]
    sessions = [f"{at // 6}" for _ in named for at in range(takes)]
    return TakeTable(
        students, sessions, points.astype(np.float32),
        np.full((len(students), 2, len(FIELDS)), quality, np.float32),
    )  # fmt: skip


def test_who_has_too_few_takes_is_no_student() -> None:
    assert len(students_of(table())) == 4
    assert students_of(table(takes=ENROLLED)) == []


def test_no_take_enrolls_and_comes_to_the_gate() -> None:
    for each in enrollments(students_of(table()), 3):
        known = {*each.chosen.tolist(), each.spare[0]}
        assert len(known) == ENROLLED + 1
        assert len(each.probes) == 8 - ENROLLED - 1


def test_calls_enroll_by_the_first_and_come_by_the_others() -> None:
    for each in enrollments(students_of(table(takes=12, corpus=CALLS)), 3):
        assert max(each.chosen) < 6
        assert each.spare[0] >= 6 or each.spare[0] not in each.chosen


def test_the_same_enrollments_are_drawn_each_time() -> None:
    first, second = (list(enrollments(students_of(table()), 3)) for _ in range(2))
    assert [each.spare for each in first] == [each.spare for each in second]


def test_what_comes_true_has_no_error() -> None:
    rows = rows_of(list(enrollments(students_of(table()), 3)), OTHERS)
    predicted = np.array([coach_protocol.chance_by(tuple(each)) for each in rows.terms])
    told = replace(rows, measured=predicted)
    assert calibration_of(told)["mean_error"] == pytest.approx(0, abs=1e-9)
    assert calibration_of(replace(rows, measured=1 - predicted))["mean_error"] > 10


def test_a_retake_is_told_for_each_size_of_school() -> None:
    drawn = list(enrollments(students_of(table(spread=1.0)), 3))
    found = retakes(drawn, OTHERS)
    assert [each["students"] for each in found] == list(coach_protocol.SIZES)
    for each in found:
        assert 0 < each["asked"] <= 1
        assert 0 <= each["advised"] <= 1


def test_another_speaker_is_told_from_the_own_takes() -> None:
    for each in taken_for_another(students_of(table()), OTHERS):
        assert each["own"] < 0.1
        assert each["another"] > 0.5


def test_the_worse_rendition_is_worse() -> None:
    random = np.random.default_rng(0)
    for _ in range(10):
        quiet, worse = renditions(spoken(0.8), [noise(1.0, -20.0)], random)
        assert len(quiet) == len(worse) == round(1.8 * SAMPLE_RATE)
        louder = decibels(worse[: SAMPLE_RATE // 4]) > decibels(quiet[: SAMPLE_RATE // 4]) + 3
        assert louder


def test_the_command_tells_one_object_and_draws_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    both = table()
    callers = table(takes=12, corpus=CALLS)
    students = TakeTable(
        [*both.students, *callers.students],
        [*both.sessions, *callers.sessions],
        np.concatenate((both.points, callers.points)),
        np.concatenate((both.qualities, callers.qualities)),
    )
    manifest, figure = tmp_path / "manifest.csv", tmp_path / "coach.svg"
    manifest.write_text("path,corpus,split,speaker,text\n")
    monkeypatch.setattr("kaimen_train.evaluation.coach_takes.takes_of", lambda *_: students)
    monkeypatch.setattr(coach_protocol, "DRAWS", 2)
    asked = ["coach", str(manifest), "--figure", str(figure)]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["weights"]) == set(WEIGHTS)
    assert figure.read_text().startswith("<?xml")
    assert main(asked) == 0
    assert "calls" in capsys.readouterr().out
