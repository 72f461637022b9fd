"""Who judges on a machine: as many processes as it has cores, memory and locks for."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from kaimen.enrollment import workers
from kaimen.enrollment.workers import NEEDS, in_one, in_processes, workers_for
from kaimen.voice.encoder import Encoder

STUDENTS = 20


def judge_of(encoder: Encoder) -> tuple[object, int]:
    work = workers_for(encoder, STUDENTS)
    assert isinstance(work, partial)
    return work.func, work.keywords.get("processes", 1)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})


def memory(path: Path, available: int) -> Path:
    path.write_text(f"MemTotal:  508416 kB\nMemAvailable:  {available >> 10} kB\n")
    return path


@pytest.mark.parametrize(
    ("available", "processes"),
    [(8 * NEEDS, 4), (3 * NEEDS + 1024, 3), (NEEDS - 1024, 1), (0, 1)],
)
def test_no_more_processes_judge_than_there_is_memory_for(
    available: int,
    processes: int,
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "MEMORY", memory(tmp_path / "meminfo", available))
    expected = in_one if processes == 1 else in_processes
    assert judge_of(encoder) == (expected, processes)


def test_where_nobody_tells_how_much_memory_there_is_all_cores_judge(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MEMORY", tmp_path / "none")
    assert judge_of(encoder) == (in_processes, 4)


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError, OSError])
def test_without_shared_memory_for_locks_this_process_judges(
    error: type[OSError], encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error("no /dev/shm")

    monkeypatch.setattr("_multiprocessing.SemLock", refuse)
    assert judge_of(encoder)[0] is in_one
