"""Judging on all cores of this machine: processes, each with an encoder of its own."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from itertools import islice
from multiprocessing.connection import wait
from pathlib import Path

from kaimen.enrollment.judging import Judge, Judged, Refusal, Task, Work, shown
from kaimen.errors import SettingsError, UnreadableRecording
from kaimen.voice.encoder import Encoder

AHEAD = 8  # students that wait for each process
NEEDS = 128 << 20  # bytes a process may take: 63 MB by the large encoder, and long recordings
MEMORY = Path("/proc/meminfo")


def workers_for(encoder: Encoder, students: int) -> Work:
    """Return who judges so many students on this machine: this process, or several."""
    processes = min(len(os.sched_getaffinity(0)), students, max(1, _available() // NEEDS))
    if processes == 1 or not _locks():
        return partial(in_one, judge=Judge.by(encoder))
    return partial(
        in_processes, encoder=str(encoder.path), runtime=encoder.runtime, processes=processes
    )


def _available() -> int:
    """Return how many bytes of memory are left for this program; plenty where nobody says."""
    try:
        said = re.search(r"^MemAvailable: +(\d+) kB$", MEMORY.read_text(), re.MULTILINE)
    except OSError:
        said = None
    return int(said[1]) << 10 if said else sys.maxsize


def _locks() -> bool:
    """Return whether processes can share locks, which live in /dev/shm.

    Some containers and hardened units keep it from a program.
    """
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError):  # not permitted, missing, full, or a kernel without them
        return False
    return True


def on_cluster(address: str, encoder: Encoder) -> Work:
    """Return who judges on the Dask cluster at an address. Raises SettingsError without Dask."""
    try:
        from kaimen.enrollment.cluster import on_cluster as judged_there
    except ImportError:
        raise SettingsError("--cluster needs Dask; run pip install 'kaimen[cluster]'") from None
    return partial(
        judged_there,
        address=address,
        path=encoder.path,
        runtime=encoder.runtime,
        identity=encoder.identity,
    )


def in_one(tasks: Iterable[Task], judge: Judge) -> Iterator[Judged]:
    """Judge in this process, one after another."""
    return map(judge, tasks)


def in_processes(
    tasks: Iterable[Task], encoder: str, runtime: str | None, processes: int
) -> Iterator[Judged]:
    """Judge in processes by the encoder of a path.

    A process that dies, as decoders may of a file, costs nobody else: those it took with it are
    judged one by one, and who ends a process again is refused.
    """
    remaining = iter(tasks)
    running: deque[tuple[Task, Future[Judged]]] = deque()
    pool = _pool(processes)
    try:
        while True:
            for task in islice(remaining, processes * AHEAD - len(running)):
                running.append((task, _submit(pool, task, encoder, runtime)))
            if not running:
                return
            task, future = running[0]
            try:
                judged = future.result()
            except BrokenProcessPool:
                left = [task for task, _ in running]
                running.clear()
                pool.shutdown()
                for each in left:
                    yield _alone(each, encoder, runtime)
                pool = _pool(processes)
            else:
                running.popleft()
                yield judged
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(task: Task, encoder: str, runtime: str | None) -> Judged:
    with _pool(1) as pool:
        try:
            return _submit(pool, task, encoder, runtime).result()
        except BrokenProcessPool:
            return deadly(task)


def deadly(task: Task) -> Judged:
    """Return what is said of a student whose recordings end whoever reads them."""
    reason = "a recording of this student ends the program that reads it; export them again"
    kind = UnreadableRecording.__name__
    refused = [Refusal(shown(file), None, kind, reason) for file in task.entry.files]
    return Judged(task.place, refused=tuple(refused))


def _pool(processes: int) -> ProcessPoolExecutor:
    # A forked copy of a process with threads may wait for ever for a lock none of them frees.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, _begin)


def _submit(
    pool: ProcessPoolExecutor, task: Task, encoder: str, runtime: str | None
) -> Future[Judged]:
    """Submit a task. Processes that this starts never see Ctrl-C: the parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_work, task, encoder, runtime)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed tells nobody, and its children would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@lru_cache(maxsize=1)
def _judge(encoder: str, runtime: str | None) -> Judge:
    return Judge.by(Encoder(encoder, runtime=runtime))


def _work(task: Task, encoder: str, runtime: str | None) -> Judged:
    return _judge(encoder, runtime)(task)
