"""Judging in processes: as in one, and whoever loses a process loses nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from kaimen.enrollment import workers
from kaimen.enrollment.entries import entries_in
from kaimen.enrollment.judging import Judge, Judged, Task
from kaimen.enrollment.workers import AHEAD, in_one, in_processes
from kaimen.errors import EncoderError
from kaimen.rehearsal import RECORDINGS
from kaimen.voice.encoder import SHIPPED, Encoder

pytestmark = pytest.mark.slow  # each process loads an encoder


def tasks() -> list[Task]:
    return [Task(place, entry) for place, entry in enumerate(entries_in(RECORDINGS))]


@pytest.fixture(scope="module")
def expected() -> list[Judged]:
    return list(in_one(tasks(), Judge.by(Encoder())))


def same(found: list[Judged], expected: list[Judged]) -> bool:
    found = sorted(found, key=lambda judged: judged.place)
    pairs = [(a, b) for x, y in zip(found, expected, strict=True)
             for a, b in zip(x.usable, y.usable, strict=True)]  # fmt: skip
    return len(pairs) > 0 and all(
        a.source == b.source and np.array_equal(a.recorded.voiceprint, b.recorded.voiceprint)
        for a, b in pairs
    )


def test_processes_judge_as_one_would(expected: list[Judged]) -> None:
    assert same(list(in_processes(tasks(), str(SHIPPED), None, 2)), expected)


def test_a_process_that_dies_costs_nobody_anything(expected: list[Judged]) -> None:
    found = []
    for judged in in_processes(tasks(), str(SHIPPED), None, 2):
        found.append(judged)
        if len(found) == 2:
            multiprocessing.active_children()[0].kill()
    assert same(found, expected)


def test_a_student_who_ends_every_process_is_refused_and_the_others_are_not(
    expected: list[Judged], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_work", _end_at_three)
    found = list(in_processes(tasks(), str(SHIPPED), None, 2))
    assert [judged.place for judged in found if judged.refused] == [3]
    assert "ends the program" in found[3].refused[0].reason
    assert len(found) == len(expected)


def _end_at_three(task: Task, *_: object) -> Judged:
    if task.place == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return Judged(task.place)


def test_no_more_is_taken_than_keeps_the_processes_busy() -> None:
    taken = count()

    def counted() -> Iterator[Task]:
        for task in tasks() * 10:
            next(taken)
            yield task

    judged = in_processes(counted(), str(SHIPPED), None, 2)
    next(judged)
    assert next(taken) <= 2 * AHEAD
    judged.close()
    assert multiprocessing.active_children() == []


def test_an_encoder_that_cannot_be_loaded_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no card"):
        list(in_processes(tasks(), str(tmp_path / "encoder.tflite"), None, 2))
