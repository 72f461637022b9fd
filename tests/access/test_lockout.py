"""A few tries are free, then each costs a longer wait."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.access import lockout as module
from kaimen.access.lockout import FORGET, Lockout
from kaimen.settings.gate import FREE_TRIES, LOCKOUT, LONGEST_LOCKOUT


class Clock:
    """Seconds, as told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tried(lockout: Lockout, clock: Clock, times: int) -> list[float]:
    """The wait after each of some tries, each waited out."""
    waits = []
    for _ in range(times):
        lockout.unknown()
        waits.append(lockout.wait())
        clock.now += lockout.wait()
    return waits


def test_the_first_tries_are_free_and_then_each_costs_twice_as_much(clock: Clock) -> None:
    waits = tried(Lockout(clock=clock), clock, FREE_TRIES + 8)
    assert waits == [0] * FREE_TRIES + [30, 60, 120, 240, 480, 960] + 2 * [LONGEST_LOCKOUT]


def test_what_is_left_of_the_free_tries_is_told(clock: Clock) -> None:
    lockout = Lockout(free=3, clock=clock)
    left, calm = [lockout.left], [lockout.is_calm]
    for times in (1, 1, 2):
        lockout.unknown(times)
        left.append(lockout.left)
        calm.append(lockout.is_calm)
    assert left == [3, 2, 1, 0] and calm == [True, False, False, False]
    clock.now += LOCKOUT + FORGET
    assert (lockout.left, lockout.is_calm) == (0, False)
    clock.now += 1
    assert (lockout.left, lockout.is_calm) == (3, True)
    assert Lockout(first=0, clock=clock).left == math.inf


def test_however_many_there_were_nobody_waits_longer_than_the_longest(clock: Clock) -> None:
    lockout = Lockout(clock=clock)
    lockout.unknown(5_000)
    assert lockout.wait() == LONGEST_LOCKOUT


def test_a_wait_is_over_when_it_is_over(clock: Clock) -> None:
    lockout = Lockout(clock=clock)
    tried(lockout, clock, FREE_TRIES)
    lockout.unknown()
    clock.now += LOCKOUT - 1
    assert lockout.wait() == 1
    clock.now += 1
    assert lockout.wait() == 0


def test_a_student_who_comes_in_makes_up_for_strangers(clock: Clock) -> None:
    lockout = Lockout(clock=clock)
    tried(lockout, clock, FREE_TRIES)
    lockout.opened()
    assert tried(lockout, clock, FREE_TRIES) == [0] * FREE_TRIES


def test_long_ago_is_forgotten_but_a_long_wait_is_not_long_ago(clock: Clock) -> None:
    lockout = Lockout(clock=clock)
    waits = tried(lockout, clock, FREE_TRIES + 6)
    assert waits[-1] > FORGET  # longer than what is forgotten
    assert tried(lockout, clock, 1) == [LONGEST_LOCKOUT]
    clock.now += FORGET + 1
    assert tried(lockout, clock, 1) == [0]


def test_without_a_first_wait_there_is_none(clock: Clock) -> None:
    assert set(tried(Lockout(first=0, clock=clock), clock, 20)) == {0}


@given(st.lists(st.sampled_from(["unknown", "opened", 1.0, 100.0, 1000.0]), max_size=60))
def test_nobody_waits_longer_than_the_longest_and_nobody_before_the_free_tries(
    story: list[str | float],
) -> None:
    clock = Clock()
    lockout = Lockout(clock=clock)
    unknown = 0
    for event in story:
        if isinstance(event, float):
            clock.now += event
        elif lockout.wait():
            continue  # nobody is heard
        elif event == "opened":
            lockout.opened()
            unknown = 0
        else:
            lockout.unknown()
            unknown += 1
            assert not lockout.wait() or unknown > FREE_TRIES
        assert 0 <= lockout.wait() <= LONGEST_LOCKOUT


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that names this boot of the machine."""
    path = tmp_path / "boot_id"
    path.write_text("one\n")
    monkeypatch.setattr(module, "BOOT", path)
    return path


def test_a_restart_forgets_nobody(tmp_path: Path, boot: Path, clock: Clock) -> None:
    path = tmp_path / "lockout.json"
    before = Lockout(path=path, clock=clock)
    tried(before, clock, FREE_TRIES)
    before.unknown()
    clock.now += 10
    after = Lockout(path=path, clock=clock)
    assert after.wait() == LOCKOUT - 10
    clock.now += after.wait()
    after.unknown()
    assert after.wait() == 2 * LOCKOUT
    clock.now += after.wait()
    after.opened()
    assert Lockout(path=path, clock=clock).left == FREE_TRIES


@pytest.mark.parametrize(("name", "now"), [("two", 5.0), ("two", 5000.0), ("one", 5.0)])
@pytest.mark.parametrize(
    ("tries", "wait"),
    [(1, 0), (FREE_TRIES + 1, LOCKOUT), (FREE_TRIES + 9, LONGEST_LOCKOUT)],
)
def test_after_a_boot_the_wait_begins_anew(
    tmp_path: Path, boot: Path, clock: Clock, name: str, now: float, tries: int, wait: float
) -> None:
    path = tmp_path / "lockout.json"
    before = Lockout(path=path, clock=clock)
    before.unknown(tries)
    left = before.left
    boot.write_text(f"{name}\n")
    clock.now = now  # as the clock is after a boot
    after = Lockout(path=path, clock=clock)
    assert (after.wait(), after.left) == (wait, left)


def test_a_machine_that_does_not_name_its_boots_forgets_nobody(
    tmp_path: Path, boot: Path, clock: Clock
) -> None:
    boot.unlink()
    path = tmp_path / "lockout.json"
    Lockout(path=path, clock=clock).unknown(FREE_TRIES + 1)
    clock.now += 10
    assert Lockout(path=path, clock=clock).wait() == LOCKOUT - 10


def test_tries_are_on_the_card_at_once_and_what_forgives_them_in_its_own_time(
    tmp_path: Path, boot: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []
    monkeypatch.setattr(module, "write_over", lambda *_, flush: flushed.append(flush))
    lockout = Lockout(path=tmp_path / "lockout.json", clock=clock)
    lockout.opened()  # nothing to forgive, nothing to write
    lockout.unknown()
    lockout.opened()
    assert flushed == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "[" * 100_000,
        '{"boot": "one", "count": -1, "last": 0, "until": 0}',
        '{"boot": "one", "count": Infinity, "last": 0, "until": 0}',
    ]
    + [f'{{"boot": "one", "count": 4, "last": 0, "until": {u}}}' for u in ("1e9", "NaN", '"x"')],
)
def test_a_file_that_is_damaged_uses_up_the_free_tries(
    text: str, tmp_path: Path, boot: Path, clock: Clock
) -> None:
    path = tmp_path / "lockout.json"
    path.write_text(text)
    found = Lockout(path=path, clock=clock)
    assert found.wait() == 0 and found.left == 0
    found.unknown()
    assert found.wait() == LOCKOUT


def test_a_file_that_cannot_be_read_uses_up_the_free_tries(
    tmp_path: Path, boot: Path, clock: Clock
) -> None:
    assert Lockout(path=tmp_path, clock=clock).left == 0


def test_the_tries_of_a_lockout_before_this_one_go_on(clock: Clock) -> None:
    before = Lockout(clock=clock)
    before.unknown(2)
    assert Lockout(tries=before.tries, clock=clock).left == before.left


def test_a_full_disk_is_said_once_and_the_lockout_goes_on(
    tmp_path: Path, boot: Path, clock: Clock
) -> None:
    said: list[str] = []
    file = tmp_path / "folder"
    file.write_text("")
    found = Lockout(path=file / "lockout.json", clock=clock, say=said.append)
    assert tried(found, clock, FREE_TRIES + 1)[-1] == LOCKOUT
    assert len(said) == 1 and "would forget" in said[0]
    file.unlink()
    file.mkdir()
    found.unknown()  # there is room again
    shutil.rmtree(file)
    file.write_text("")
    found.unknown()
    assert len(said) == 2


@given(st.lists(st.tuples(st.floats(0, 2000), st.booleans()), max_size=30))
def test_it_is_the_same_whether_it_is_kept_or_not(story: list[tuple[float, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock, path = Clock(), Path(folder) / "lockout.json"
        plain = Lockout(clock=clock)
        for seconds, known in story:
            clock.now += seconds
            kept = Lockout(path=path, clock=clock)  # restarted each time
            assert (kept.wait(), kept.left) == (plain.wait(), plain.left)
            for each in (plain, kept):
                each.opened() if known else each.unknown()
