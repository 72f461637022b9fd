"""Judging on a Dask cluster: a scheduler and two workers as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaimen.cli.main import main
from kaimen.enrollment.entries import Entry, entries_in
from kaimen.enrollment.judging import Judge, Judged, Task
from kaimen.enrollment.workers import in_one
from kaimen.errors import SettingsError
from kaimen.rehearsal import RECORDINGS
from kaimen.voice.encoder import SHIPPED, Encoder

pytest.importorskip("distributed")
from distributed import Client

import kaimen.enrollment.cluster as on_cluster_module
from kaimen.enrollment.cluster import AHEAD, on_cluster

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds until a process that should be there is given up
IDENTITY = Encoder().identity

pytestmark = [
    pytest.mark.slow,
    # Of Dask itself, on closing connections of a worker that was killed.
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning"),
]


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of Dask's, killed at the end."""
    with (folder / "log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            stdout=log, stderr=log, cwd=folder, start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            yield started
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Cluster:
    """Where the scheduler is, and its workers."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder = folder
        file = folder / "scheduler.json"
        self.scheduler = stack.enter_context(
            process(
                folder, "scheduler", "--host", "127.0.0.1", "--port", "0",
                "--no-dashboard", "--dashboard-address", ":0", "--scheduler-file", str(file),
            )
        )  # fmt: skip
        until(lambda: file.exists() and "address" in file.read_text(), "no scheduler")
        self.address: str = json.loads(file.read_text())["address"]
        self.workers = [
            stack.enter_context(
                process(
                    folder, "worker", self.address, "--nworkers", "1", "--nthreads", "1",
                    "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--memory-limit", "0",
                    "--local-directory", str(folder / name),
                )
            )
            for name in ("first", "second")
        ]  # fmt: skip
        until(lambda: self.count() == 2, "no workers")

    def count(self) -> int:
        """How many workers there are."""
        with Client(self.address, timeout=PATIENCE, set_as_default=False) as client:
            return len(client.nthreads())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path)


def tasks() -> list[Task]:
    return [Task(place, entry) for place, entry in enumerate(entries_in(RECORDINGS))]


@pytest.fixture(scope="module")
def expected() -> list[Judged]:
    return list(in_one(tasks(), Judge.by(Encoder())))


def judged_on(cluster: Cluster, asked: list[Task]) -> Iterator[Judged]:
    return on_cluster(asked, cluster.address, SHIPPED, None, IDENTITY)


def points(judged: list[Judged]) -> dict[tuple[int, str], np.ndarray]:
    return {(each.place, x.source): x.recorded.voiceprint for each in judged for x in each.usable}


def same(found: list[Judged], expected: list[Judged]) -> bool:
    assert sorted(each.place for each in found) == [each.place for each in expected]
    a, b = points(found), points(expected)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in b)


def test_a_cluster_judges_as_one_process_would(cluster: Cluster, expected: list[Judged]) -> None:
    assert same(list(judged_on(cluster, tasks())), expected)


def test_a_worker_killed_in_the_middle_loses_nothing(
    cluster: Cluster, expected: list[Judged]
) -> None:
    found = []
    for judged in judged_on(cluster, tasks()):
        found.append(judged)
        if len(found) == 2:
            os.killpg(cluster.workers[0].pid, signal.SIGKILL)
    assert same(found, expected)
    assert cluster.count() == 1


def test_no_more_travels_than_keeps_the_workers_busy(cluster: Cluster) -> None:
    taken = []

    def counted() -> Iterator[Task]:
        for task in tasks() * 3:
            taken.append(task.place)
            yield task

    judged = on_cluster(counted(), cluster.address, SHIPPED, None, IDENTITY)
    next(judged)
    assert len(taken) <= 2 * AHEAD + 1
    judged.close()


def test_what_cannot_be_read_here_is_refused_here_and_not_looked_for_there(
    cluster: Cluster, tmp_path: Path
) -> None:
    entry = Entry("s", (RECORDINGS / "anning" / "phrase-1.mp3", tmp_path / "nowhere.mp3"))
    (judged,) = judged_on(cluster, [Task(0, entry)])
    assert len(judged.usable) == 1
    assert [each.kind for each in judged.refused] == ["UnreadableRecording"]


def test_who_is_unchanged_is_left_alone(expected: list[Judged], cluster: Cluster) -> None:
    known = [
        replace(task, enrolled=frozenset(each.source for each in judged.usable))
        for task, judged in zip(tasks(), expected, strict=True)
    ]
    found = list(judged_on(cluster, known))
    assert len(found) == len(known) and all(each.unchanged for each in found)


def test_a_scheduler_that_goes_away_is_an_error_and_no_endless_wait(cluster: Cluster) -> None:
    judged = judged_on(cluster, tasks() * 3)
    next(judged)
    os.killpg(cluster.scheduler.pid, signal.SIGKILL)
    with pytest.raises(SettingsError, match="enroll again"):
        list(judged)


def test_a_cluster_that_lost_its_workers_is_an_error_and_no_endless_wait(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = judged_on(cluster, tasks() * 3)
    next(judged)
    monkeypatch.setattr(on_cluster_module, "PATIENCE", 1.0)
    for worker in cluster.workers:
        os.killpg(worker.pid, signal.SIGKILL)
    with pytest.raises(SettingsError, match="enroll again"):
        list(judged)


def test_without_a_cluster_it_is_said_how_to_start_one() -> None:
    with pytest.raises(SettingsError, match="dask scheduler"):
        list(on_cluster([], "tcp://127.0.0.1:1", SHIPPED, None, IDENTITY))


def test_the_command_enrolls_by_a_cluster(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config = tmp_path / "kaimen.toml"
    config.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n',
        encoding="utf-8",
    )
    command = ["enroll", "--from", str(RECORDINGS), "--config", str(config), "--json"]
    assert main([*command, "--cluster", cluster.address]) == 0
    assert f'"students": {len(tasks())}' in capsys.readouterr().out
    assert main(command) == 0  # the same files need not be judged here again
    assert f'"unchanged": {len(tasks())}' in capsys.readouterr().out
