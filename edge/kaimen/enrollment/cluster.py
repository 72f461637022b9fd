"""Judging on the machines of a Dask cluster, which may share no disk with this one.

The files' contents travel, no more at a time than keeps the workers busy. A worker that is lost
loses nothing: what it had is given to another. Workers need Kaimen, but not this school's encoder.
"""

# distributed is typed by halves:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from distributed import Client, Future, KilledWorker, Worker, WorkerPlugin, as_completed, get_worker

from kaimen.enrollment.judging import (
    Judge,
    Judged,
    Task,
    contents_of,
    reader_crashed,
    rules,
    shown,
    sources_of,
)
from kaimen.errors import EncoderError, SettingsError
from kaimen.voice import PHRASE, SHIPPED, model_path
from kaimen.voice.encoder import Encoder

AHEAD = 4  # students on their way to each thread of the cluster
PATIENCE = 10.0  # seconds to wait for the scheduler, and without workers for a new one
PAUSE = 0.005  # seconds between looks whether a student is judged


class Judging(WorkerPlugin):
    """Brings the judge to every worker, to those that come later, too."""

    def __init__(self, path: Path, runtime: str | None, identity: str) -> None:
        """What belongs to the encoder is read here, since workers may not have it."""
        self._contents = {
            shipped.with_suffix(suffix).name: own.with_suffix(suffix).read_bytes()
            for shipped, own in ((SHIPPED, path), (PHRASE, model_path(path, PHRASE)))
            for suffix in (path.suffix, ".json")
        }
        said_by = hashlib.sha256(self._contents[PHRASE.name]).hexdigest()
        self.name = f"kaimen-{identity}-{said_by}"
        self._runtime = runtime

    def setup(self, worker: Worker) -> None:
        """Load the encoder."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / SHIPPED.name
            for name, content in self._contents.items():
                path.with_name(name).write_bytes(content)
            encoder = Encoder(path, runtime=self._runtime)
            self._judge = Judge.by(encoder)
        self._rules = rules(encoder.identity)
        # An encoder has one caller at a time, and what decoders say to standard error is
        # kept from it for the whole process.
        self._alone = threading.Lock()

    def __call__(self, task: Task, expected: str) -> Judged | None:
        """Judge a student by the rules that are expected; None by others."""
        if self._rules != expected:
            return None
        with self._alone:
            return self._judge(task)


def on_cluster(
    tasks: Iterable[Task], address: str, path: Path, runtime: str | None, identity: str
) -> Iterator[Judged]:
    """Judge on the cluster of a scheduler's address, by the encoder at ``path``.

    Raises SettingsError where there is no cluster that can.
    """
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError):
        raise SettingsError(
            f"{address}: no cluster answers there; start 'dask scheduler' and 'dask worker'"
        ) from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise SettingsError(f"{address}: the cluster has no workers; start 'dask worker'")
        judging = Judging(path, runtime, identity)
        try:
            client.register_plugin(judging)
        except Exception as error:  # whatever a worker says
            raise SettingsError(
                f"{address}: a worker cannot judge ({error}); install this Kaimen on all of them"
            ) from None
        yield from _judged(tasks, client, judging.name, rules(identity), threads * AHEAD)


def _judged(
    tasks: Iterable[Task], client: Client, name: str, expected: str, ahead: int
) -> Iterator[Judged]:
    running: dict[Any, Task] = {}
    done = as_completed(loop=client.loop)
    for task in tasks:
        loaded = _carrying(task)
        if isinstance(loaded, Judged):
            yield loaded
            continue
        if len(running) == ahead:
            yield _next(client, done, running)
        future = client.submit(_work, loaded, name, expected, pure=False)
        running[future.key] = task
        done.add(future)
    while running:
        yield _next(client, done, running)


def _next(client: Client, done: as_completed, running: dict[Any, Task]) -> Judged:
    began = time.monotonic()
    while not done.has_ready():
        time.sleep(PAUSE)
        if time.monotonic() - began > PATIENCE:
            began = time.monotonic()
            _require_workers(client)
    future = next(done)
    judged = _result(client, future, running.pop(future.key))
    future.release()  # the cluster forgets what nobody holds
    return judged


def _carrying(task: Task) -> Task | Judged:
    """Return the task with the files' contents; what comes of it where nothing is to be judged."""
    contents = tuple(map(contents_of, task.entry.files))
    sources = sources_of(contents)
    if task.unchanged(sources):
        paths = dict(zip(map(str, sources), map(shown, task.entry.files), strict=True))
        return Judged(task.place, unchanged=paths)
    return replace(task, enrolled=frozenset(), refused=frozenset(), contents=contents)


def _work(task: Task, name: str, expected: str) -> Judged | None:
    judging = get_worker().plugins[name]
    assert isinstance(judging, Judging)
    return judging(task, expected)


def _require_workers(client: Client) -> None:
    if client.status == "running" and not client.nthreads():
        raise _failed("it has no workers any more")


def _result(client: Client, future: Future[Judged | None], task: Task) -> Judged:
    while True:
        try:
            judged = future.result(timeout=PATIENCE)
            break
        except KilledWorker:
            return reader_crashed(task)
        except TimeoutError:  # who had it was killed with it: it waits for another worker
            _require_workers(client)
        except Exception as error:  # whatever a cluster may come to
            raise _failed(str(error) or type(error).__name__) from None
    if judged is None:
        raise EncoderError("a worker has another Kaimen; install this version on all of them")
    return judged


def _failed(why: str) -> SettingsError:
    return SettingsError(
        f"the cluster failed ({why}); who is enrolled stays so: see to it and enroll again"
    )
