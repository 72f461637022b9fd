"""Threads that die or hang are seen, said, and begun again; nothing opens meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.gate.supervisor import LONGEST_PAUSE, Pulse, Supervisor


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """One in a hurry."""
    monkeypatch.setattr("kaimen.gate.supervisor.LEAVING", 60.0)
    monkeypatch.setattr("kaimen.gate.supervisor.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("kaimen.gate.supervisor.LONGEST_PAUSE", 0.001)
    with Supervisor() as made:
        yield made


def works(pulse: Pulse) -> None:
    while not pulse.wait(0.001):
        pulse.well()


def test_threads_that_work_are_not_spoken_of(supervisor: Supervisor) -> None:
    supervisor.start("reader", works, patience=30)
    supervisor.start("watcher", works, patience=30)
    assert supervisor.unwell() == ""
    assert supervisor.events() == []


@pytest.mark.parametrize("how", [ValueError("odd"), SystemExit(1), MemoryError(), None])
def test_whatever_ends_a_thread_is_said_and_the_thread_begun_again(
    supervisor: Supervisor, how: BaseException | None
) -> None:
    begun = []
    mended = threading.Event()

    def work(pulse: Pulse) -> None:
        begun.append(1)
        if mended.is_set():
            works(pulse)
        elif how is not None:
            raise how

    supervisor.start("watcher", work, patience=30)
    until(lambda: len(begun) > 3)
    assert supervisor.unwell() == "the watcher ended"
    mended.set()
    told: list[str] = []
    until(lambda: told.extend(supervisor.events()) or len(told) > 1)
    assert not supervisor.unwell()
    ended, again = told  # said once, however often it is tried
    assert ended.startswith("the watcher ended (")
    assert again == "the watcher works again"


def test_a_thread_that_only_begins_is_not_well_yet(supervisor: Supervisor) -> None:
    begun = []

    def work(pulse: Pulse) -> None:
        pulse.alive()
        begun.append(supervisor.unwell())
        raise ValueError

    supervisor.start("watcher", work, patience=30)
    until(lambda: len(begun) > 3)
    assert set(begun[1:]) == {"the watcher ended"}


def test_a_thread_that_hangs_is_seen_and_said() -> None:
    now = [0.0]
    go = threading.Event()

    def work(pulse: Pulse) -> None:
        go.wait(60)
        works(pulse)

    with Supervisor(clock=lambda: now[0]) as supervisor:
        supervisor.start("watcher", work, patience=25)
        now[0] = 25.0
        assert supervisor.unwell() == ""
        now[0] = 26.0
        assert supervisor.unwell() == "the watcher hangs"
        assert supervisor.events() == ["the watcher hangs"]
        assert supervisor.events() == []
        go.set()
        until(lambda: not supervisor.unwell())
        assert supervisor.events() == ["the watcher works again"]


def test_all_threads_have_ended_when_it_has(supervisor: Supervisor) -> None:
    before = threading.active_count()
    supervisor.start("reader", works, patience=30)
    supervisor.close()
    assert threading.active_count() == before


@given(st.lists(st.booleans(), max_size=12))
def test_it_waits_longer_each_time_and_never_too_long(fails: list[bool]) -> None:
    """A thread ends or works, in turn; its pauses are recorded instead of slept."""
    pauses: list[float] = []
    plan = iter(fails)
    over = threading.Event()

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            return self.is_set()

    def work(pulse: Pulse) -> None:
        try:
            failed = next(plan)
        except StopIteration:
            stop.set()
            over.set()
            return
        if not failed:
            pulse.well()
        raise ValueError

    stop = Stop()
    supervisor = Supervisor(stop=stop)
    supervisor.start("watcher", work, patience=30)
    assert over.wait(60)
    supervisor.close()
    expected, pause = [], 0.0
    for number, failed in enumerate(fails):
        # What was well for a moment begins anew; the first has nothing to mend.
        pause = 1.0 if not failed or number == 0 else min(LONGEST_PAUSE, 2 * pause)
        expected.append(pause)
    assert pauses == expected
