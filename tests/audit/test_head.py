"""The head: it has the latest lines, and nobody without the key changes it unnoticed."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kaimen.audit.head import SLOT, SLOTS, Head, HeadFile

KEY = bytes(range(32))


def head(number: int, line: str = "a line") -> Head:
    return Head(1, "0" * 64, number, f"{number:064}", line)


def filled(path: Path, last: int) -> HeadFile:
    """A head after so many lines."""
    made = HeadFile(path, KEY)
    for number in range(1, last + 1):
        made.put(head(number))
    return made


def slots(path: Path) -> list[bytes]:
    content = path.read_bytes()
    size = len(content) // SLOTS
    return [content[at : at + size] for at in range(0, len(content), size)]


def sized(number: int, more: int) -> Head:
    """A head that is longer by so many bytes than the smallest slot; shorter below zero."""
    return head(number, "x" * (SLOT + more - len(head(number, "").packed(KEY, number % SLOTS))))


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(-4, 2), st.booleans()), max_size=SLOTS + 4))
@example([(0, True)] + [(0, False)] * SLOTS)
def test_the_latest_lines_stay_until_one_is_longer_than_a_slot(
    lines: list[tuple[int, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "head"
        made, expected = filled(path, 1), ["a line"]
        room = 0
        for number, (more, again) in enumerate(lines, 2):
            put = sized(number, more)
            if more > room:
                room, expected = SLOT, []
            expected = [*expected, put.line][-SLOTS:]
            made.put(put)
            read = HeadFile.load(path, KEY)
            assert read is not None
            for found in (made, read):
                assert (found.head, found.lines, found.torn) == (put, tuple(expected), False)
            made = read if again else made
        assert path.stat().st_size == SLOTS * (SLOT + room)


@pytest.mark.parametrize("field", range(7))
def test_no_field_can_be_changed_without_the_key(
    field: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.audit.head.PAUSE", 0.0)
    filled(tmp_path / "head", SLOTS + 3)
    for number, slot in enumerate(made := slots(tmp_path / "head")):
        values = json.loads(slot)
        values[field] = values[field] + (1 if isinstance(values[field], int) else "0")
        changed = json.dumps(values).encode().ljust(len(slot))
        (tmp_path / "head").write_bytes(b"".join([*made[:number], changed, *made[number + 1 :]]))
        try:
            found = HeadFile.load(tmp_path / "head", KEY)
        except ValueError:
            continue
        # One that was being written in the moment of a power cut.
        assert found is not None and found.torn and number in (3, 4)


@pytest.mark.parametrize("number", [1, 8, SLOTS - 1])
def test_an_older_slot_put_back_among_later_ones_is_found(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.audit.head.PAUSE", 0.0)
    path = tmp_path / "head"
    made = filled(path, SLOTS)
    before = slots(path)
    for later in range(SLOTS + 1, 2 * SLOTS + 1):
        made.put(head(later))
    now = slots(path)
    path.write_bytes(b"".join([*now[:number], before[number], *now[number + 1 :]]))
    with pytest.raises(ValueError, match="changed, or of another key"):
        HeadFile.load(path, KEY)


AfterAPause = Callable[[Callable[[], object]], None]


@pytest.fixture
def after_a_pause(monkeypatch: pytest.MonkeyPatch) -> AfterAPause:
    """Does something at the moment at which a file is about to be read again."""

    def do(something: Callable[[], object]) -> None:
        monkeypatch.setattr(time, "sleep", lambda _: something())

    return do


@pytest.mark.parametrize("slot", [4, 9])
def test_a_slot_that_is_being_written_is_read_again(
    slot: int, tmp_path: Path, after_a_pause: AfterAPause
) -> None:
    path = tmp_path / "head"
    filled(path, SLOTS + 3)
    whole = path.read_bytes()
    after_a_pause(lambda: path.write_bytes(whole))
    path.write_bytes(whole.replace(slots(path)[slot], bytes(SLOT)))
    found = HeadFile.load(path, KEY)
    assert found is not None and not found.torn


def test_a_whole_head_is_read_once(tmp_path: Path, after_a_pause: AfterAPause) -> None:
    filled(tmp_path / "head", 3)
    after_a_pause(lambda: pytest.fail("it is read again"))
    assert HeadFile.load(tmp_path / "head", KEY) is not None
