"""The log of decisions: what is written stays, and what is done to it shows."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen import audit
from kaimen.access.decision import Check, decide
from kaimen.audit import Audit, Follower, Record, export, files_of, pseudonym, record_of, verify
from kaimen.audit.head import SLOTS, Head
from kaimen.audit.words import told, turned_away
from kaimen.errors import StorageError
from kaimen.gallery.match import Match
from kaimen.gate.gate import Answer
from kaimen.sound.endpoint import Phrase
from tests.damage import flip

KEY = bytes(range(32))
LARGEST = 500  # bytes of a file in these tests: a few lines
NOW = datetime.datetime(2026, 9, 1, 7, 30, tzinfo=datetime.UTC)


def written(folder: Path, lines: int = 12, *, kept: int = 1000) -> Path:
    """A log with some lines in several files."""
    with log(folder, kept=kept) as made:
        for number in range(lines):
            made.write({"kind": "decision", "verdict": "open", "score": number / 7})
    return folder


def log(folder: Path, *, kept: int = 1000) -> Audit:
    return Audit(folder, KEY, largest=LARGEST, kept=kept, now=lambda: NOW)


def problems(folder: Path, noted: str = "") -> list[str]:
    return [f"{each.place}: {each.what}" for each in verify(folder, KEY, noted).problems]


def records(folder: Path) -> list[Record]:
    return list(export(folder, KEY))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that nobody touched."""
    return written(tmp_path_factory.mktemp("logs") / "audit")


@pytest.fixture(scope="module")
def spoiled(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Gives a copy of it to be changed."""
    folder = tmp_path_factory.mktemp("logs")

    def copy() -> Path:
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
        return folder

    return copy


# What was written


def test_a_log_tells_what_was_written_in_its_order(whole: Path) -> None:
    assert problems(whole) == []
    assert [each["number"] for each in records(whole)] == list(range(1, 13))
    assert [each["score"] for each in records(whole)] == [number / 7 for number in range(12)]
    assert {each["at"] for each in records(whole)} == {"2026-09-01T07:30:00.000+00:00"}
    assert len(files_of(whole)) > 3


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    written(tmp_path, 3)
    written(tmp_path, 4)
    assert problems(tmp_path) == []
    assert [each["number"] for each in records(tmp_path)] == [1, 2, 3, 4, 5, 6, 7]


def test_files_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = [f"audit-{number}.jsonl" for number in (999_999_999, 1_000_000_000)]
    for name in names:
        (tmp_path / name).touch()
    assert [each.name for each in files_of(tmp_path)] == names


def test_old_files_are_removed_and_the_rest_is_still_a_chain(tmp_path: Path) -> None:
    written(tmp_path, 40, kept=2)
    assert problems(tmp_path) == []
    assert len(files_of(tmp_path)) <= 4
    kept = records(tmp_path)
    assert kept[0]["number"] > 20 and kept[-1]["number"] == 40
    files_of(tmp_path)[0].unlink()
    assert problems(tmp_path)


def test_an_old_file_that_a_killed_gate_did_not_remove_is_no_problem(tmp_path: Path) -> None:
    written(tmp_path, 40, kept=2)
    old = files_of(tmp_path)[0]
    content = old.read_bytes()
    while old.exists():
        written(tmp_path, 1, kept=2)
    old.write_bytes(content)
    assert problems(tmp_path) == []


def test_lines_are_kept_for_as_many_days_as_are_set(tmp_path: Path) -> None:
    day = datetime.datetime(2026, 9, 1, 12, tzinfo=datetime.UTC)
    for later in range(10):
        now = day + datetime.timedelta(days=later)
        with Audit(tmp_path, KEY, days=3, now=lambda now=now: now) as audit:
            audit.write({"kind": "door", "event": f"day {later}"})
        os.utime(files_of(tmp_path)[-1], (now.timestamp(), now.timestamp()))
        assert [each["event"] for each in records(tmp_path)] == [
            f"day {kept}" for kept in range(max(0, later - 3), later + 1)
        ]
        assert problems(tmp_path) == []


def test_the_file_that_is_being_written_stays_however_old_it_is(tmp_path: Path) -> None:
    for day in (1, 2, 3, 20, 21):
        now = NOW.replace(day=day)
        with Audit(tmp_path, KEY, days=3, now=lambda now=now: now) as audit:
            audit.write({"kind": "door", "event": day})
        os.utime(files_of(tmp_path)[-1], (now.timestamp(), now.timestamp()))
        if day == 20:
            assert [each["event"] for each in records(tmp_path)] == [3, 20]
    assert [each["event"] for each in records(tmp_path)] == [20, 21]
    assert problems(tmp_path) == []


def test_a_file_that_is_full_to_its_last_byte_gets_no_more(tmp_path: Path) -> None:
    written(tmp_path, 1)
    size = files_of(tmp_path)[0].stat().st_size
    with Audit(tmp_path, KEY, largest=size) as made:
        made.write({"verdict": "open"})
    assert len(files_of(tmp_path)) == 2


def test_the_newest_file_can_be_verified_alone(tmp_path: Path) -> None:
    written(tmp_path)
    report = verify(tmp_path, KEY, newest=True)
    assert report.problems == []
    assert report.lines == len(files_of(tmp_path)[-1].read_bytes().splitlines())
    assert report.end == verify(tmp_path, KEY).end
    spoil(files_of(tmp_path)[0])
    assert verify(tmp_path, KEY).problems
    assert verify(tmp_path, KEY, newest=True).problems == []
    spoil(files_of(tmp_path)[-1])
    assert verify(tmp_path, KEY, newest=True).problems


def spoil(path: Path) -> None:
    """Change a letter in the middle."""
    flip(path, path.stat().st_size // 2)


def test_a_decision_is_told_with_its_reasons_and_without_names() -> None:
    samples = np.array([0.25, -1.0] * 8_000, np.float32)
    decision = replace(
        decide([Match("Li", 0.75), Match("An", 0.25)], 0.5, claim="Li"),
        pooled=0.75,
        checks=(Check("phrase", 0.5, 0.125),),
    )
    found = record_of(
        Answer(decision, Phrase(samples, 0, 16_000, 20_000), 0.5, "held for too long"),
        key=KEY,
        encoder="e" * 64,
        gallery="f" * 64,
        calibration="c" * 64,
        microphone="hall",
    )
    assert found == {
        "kind": "decision", "verdict": "open", "not_opened": "held for too long",
        "student": pseudonym(KEY, "Li"), "claim": pseudonym(KEY, "Li"), "score": 0.75,
        "threshold": 0.5, "above_threshold": 0.25, "above_next": 0.5,
        "nearest": [
            {"student": pseudonym(KEY, "Li"), "score": 0.75},
            {"student": pseudonym(KEY, "An"), "score": 0.25},
        ],
        "seconds": 1.0, "peak": 1.0, "clipped": 0.5, "pooled": 0.75,
        "checks": {"phrase": [0.5, 0.125]}, "latency": 0.75, "computed": 0.5,
        "encoder": "e" * 16, "gallery": "f" * 16, "calibration": "c" * 16, "microphone": "hall",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("near", "score", "above"), [([], None, None), ([Match("Li", 0.25)], 0.25, -0.25)]
)
def test_a_decision_about_nobody_names_nobody(
    near: list[Match], score: float | None, above: float | None
) -> None:
    quiet = Phrase(np.array([0.25, -0.5], np.float32), 0, 2, 2)
    found = record_of(
        Answer(decide(near, 0.5), quiet, 0.5), key=KEY, encoder="", gallery="", calibration=""
    )
    unset = ("not_opened", "student", "claim", "above_next", "pooled")
    assert [found[each] for each in unset] == [None] * len(unset)
    assert (found["verdict"], found["score"], found["above_threshold"]) == ("unknown", score, above)
    assert (found["peak"], found["clipped"], found["microphone"]) == (0.5, 0.0, "")


def test_pseudonyms_of_another_key_are_others() -> None:
    assert pseudonym(KEY, "s0001") != pseudonym(bytes(32), "s0001")
    assert pseudonym(KEY, "s0001") != pseudonym(KEY, "s0002")


def test_what_json_has_no_word_for_is_null(tmp_path: Path) -> None:
    with log(tmp_path) as made:
        made.write(
            {"score": float("nan"), "nearest": [{"score": float("inf")}], "pair": (0.5, -np.inf)}
        )
    assert records(tmp_path)[0]["score"] is None
    assert records(tmp_path)[0]["nearest"] == [{"score": None}]
    assert records(tmp_path)[0]["pair"] == [0.5, None]


def test_a_line_can_be_searched_for_words_of_any_language(tmp_path: Path) -> None:
    with log(tmp_path) as made:
        made.write({"event": "门"})
    assert '"event":"门"'.encode() in files_of(tmp_path)[0].read_bytes()


# What is done to it


def places(content: bytes) -> list[int]:
    """All bytes but most of the spaces that fill up a slot of the head."""
    return [at for at in range(len(content)) if at % 64 == 0 or content[at] != ord(" ")]


@pytest.mark.slow
def test_every_flipped_byte_is_found(
    spoiled: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = spoiled()
    chance = random.Random(1)
    monkeypatch.setattr("kaimen.audit.head.PAUSE", 0.0)
    for path in [*files_of(folder), folder / "head"]:
        right = path.read_bytes()
        for place in places(right):
            wrong = right[place] ^ chance.randrange(1, 256)
            path.write_bytes(right[:place] + bytes([wrong]) + right[place + 1 :])
            assert problems(folder), f"{path.name}, byte {place}"
        path.write_bytes(right)
    assert problems(folder) == []


@pytest.mark.slow
def test_every_cut_is_found(spoiled: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = spoiled()
    monkeypatch.setattr("kaimen.audit.head.PAUSE", 0.0)
    for path in [*files_of(folder), folder / "head"]:
        right = path.read_bytes()
        for length in places(right):
            path.write_bytes(right[:length])
            assert problems(folder), f"{path.name}, {length} bytes"
        path.write_bytes(right)


LINES = st.lists(st.integers(0, 11), max_size=14)


@given(LINES)
def test_lines_deleted_added_or_moved_are_found(
    whole: Path, spoiled: Callable[[], Path], order: list[int]
) -> None:
    folder = spoiled()
    lines = b"".join(path.read_bytes() for path in files_of(whole)).splitlines(keepends=True)
    for path in files_of(folder):
        path.unlink()
    (folder / "audit-000000001.jsonl").write_bytes(b"".join(lines[each] for each in order))
    assert bool(problems(folder)) == (order != list(range(12)))


@given(st.integers(0, 11), st.integers(0, 11))
def test_two_lines_that_changed_places_are_found(
    whole: Path, spoiled: Callable[[], Path], one: int, other: int
) -> None:
    folder = spoiled()
    paths = files_of(folder)
    lines = [path.read_bytes().splitlines(keepends=True) for path in paths]
    places = [(file, line) for file, each in enumerate(lines) for line in range(len(each))]
    (a, b), (c, d) = places[one], places[other]
    lines[a][b], lines[c][d] = lines[c][d], lines[a][b]
    for path, each in zip(paths, lines, strict=True):
        path.write_bytes(b"".join(each))
    assert bool(problems(folder)) == (one != other)


@given(st.binary(min_size=1, max_size=300), st.integers(0, 10_000), st.integers(0, 10))
def test_anything_put_in_between_is_found(
    spoiled: Callable[[], Path], more: bytes, place: int, file: int
) -> None:
    folder = spoiled()
    paths = [*files_of(folder), folder / "head"]
    path = paths[file % len(paths)]
    right = path.read_bytes()
    at = place % (len(right) + 1)
    path.write_bytes(right[:at] + more + right[at:])
    assert problems(folder)


@pytest.mark.parametrize("which", range(4))
def test_a_missing_file_is_found(spoiled: Callable[[], Path], which: int) -> None:
    folder = spoiled()
    paths = files_of(folder)
    [paths[0], paths[1], paths[-1], folder / "head"][which].unlink()
    assert problems(folder)


def test_files_that_changed_names_are_found(spoiled: Callable[[], Path]) -> None:
    folder = spoiled()
    first, second = files_of(folder)[:2]
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)
    assert problems(folder)


def test_a_log_of_another_key_is_found(whole: Path, tmp_path: Path) -> None:
    assert verify(whole, bytes(32)).problems
    with Audit(tmp_path, bytes(32)) as forged:
        forged.write({"verdict": "open"})
    assert problems(tmp_path)
    assert records(tmp_path) == []


def test_an_older_log_put_back_is_found_by_whoever_noted_its_end(tmp_path: Path) -> None:
    now, before = tmp_path / "now", tmp_path / "before"
    shutil.copytree(written(now, 5), before)
    written(now, 3)
    end = verify(now, KEY).end
    assert problems(now, noted=end) == []
    assert problems(before) == []  # a chain cannot tell
    assert problems(before, noted=end) == [f"{end[:20]}: noted once, and not in the log"]
    written(now, 3)
    assert problems(now, noted=end) == []


def test_a_folder_without_a_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no log there"):
        verify(tmp_path, KEY)


# When something goes wrong


def full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Fills a disk, or makes room: what is there can be written over, and nothing be added."""
    write = os.write

    def fill(is_full: bool) -> None:
        monkeypatch.setattr(os, "write", full if is_full else write)

    yield fill
    fill(False)


Fill = Callable[[bool], None]


def test_a_full_disk_loses_no_line_while_the_head_has_room(tmp_path: Path, full_disk: Fill) -> None:
    with log(tmp_path) as made:
        made.write({"verdict": "open"})
        full_disk(True)
        for number in range(SLOTS - 1):
            made.write({"verdict": "unknown", "count": number})
        assert len(records(tmp_path)) == 1
        assert len(list(audit.latest(tmp_path, KEY))) == SLOTS
        assert len(audit.since(tmp_path, KEY, 1)) == SLOTS - 1
        assert len(Follower(tmp_path, KEY).waiting()) == 1
        with pytest.raises(StorageError, match="No space left"):
            made.write({"verdict": "unknown"})
        full_disk(False)
        made.write({"verdict": "open"})
    assert problems(tmp_path) == []
    kinds = [each.get("lost") for each in records(tmp_path)]
    assert kinds == [None] * SLOTS + [1, None]


def test_a_full_disk_loses_lines_and_the_log_says_how_many(tmp_path: Path, full_disk: Fill) -> None:
    with log(tmp_path) as made:
        made.write({"verdict": "open"})
        full_disk(True)
        lost = lose(made, 3)
        assert problems(tmp_path)[0].endswith("or somebody removed it")
        full_disk(False)
        made.write({"verdict": "open"})
    assert problems(tmp_path) == [] and lost == 3
    told = [(each.get("verdict"), each.get("lost")) for each in records(tmp_path)]
    assert told[-2:] == [(None, 3), ("open", None)]


def lose(made: Audit, lines: int) -> int:
    """Write until so many lines were refused; how many were."""
    refused = 0
    while refused < lines:
        try:
            made.write({"verdict": "open"})
        except StorageError as error:
            assert "No space left" in str(error)
            refused += 1
    return refused


@pytest.mark.parametrize("again", ["the same", "another"])
def test_lines_lost_on_a_full_disk_are_a_gap_after_a_restart(
    again: str, tmp_path: Path, full_disk: Fill
) -> None:
    made = log(tmp_path)
    made.write({"verdict": "open"})
    full_disk(True)
    lose(made, 5)
    full_disk(False)
    made.close()
    assert verify(tmp_path, KEY).lost == 5
    with made if again == "the same" else log(tmp_path) as restarted:
        restarted.write({"verdict": "open"})
    assert problems(tmp_path) == []
    assert verify(tmp_path, KEY).lost == 5
    assert [each.get("lost") for each in records(tmp_path)][-3:] == [None, 5, None]
    with log(tmp_path) as later:
        later.write({"verdict": "open"})
    assert verify(tmp_path, KEY).lost == 5


def test_a_line_is_counted_as_lost_although_its_loss_cannot_be_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, 1)
    made = log(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        lose(made, 1)
        made.close()
    made.write({"verdict": "open"})
    made.close()
    assert verify(tmp_path, KEY).lost == 1


STEPS = st.tuples(st.sampled_from(["write", "full", "restart", "kill"]), st.integers(1, 20))


@given(steps=st.lists(STEPS, max_size=8))
def test_every_line_is_written_or_counted_as_lost(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        folder, asked = Path(name), 0
        made = log(folder)
        for step, lines in (("write", 1), *steps, ("write", 1)):
            if step in ("write", "full"):
                asked += lines
                with patched.context() as disk:
                    if step == "full":
                        disk.setattr(os, "write", full)
                    for _ in range(lines):
                        with contextlib.suppress(StorageError):
                            made.write({"verdict": "open"})
            elif step == "restart":
                made.close()
                made = log(folder)
            elif made._lock is not None:  # killed: nothing of it is heard any more
                made._lock.close()
                made = log(folder)
        made.close()
        found = verify(folder, KEY)
        told = sum("verdict" in each for each in records(folder))
        assert found.problems == [] and told + found.lost == asked


def test_the_latest_lines_come_first_with_what_only_the_head_has(
    tmp_path: Path, full_disk: Fill
) -> None:
    written(tmp_path, 12)
    with log(tmp_path) as made:
        full_disk(True)
        made.write({"verdict": "last"})
    numbers = [each["number"] for each in audit.latest(tmp_path, KEY)]
    assert numbers == list(range(13, 0, -1))


@pytest.mark.parametrize("content", [b"[" * 100_000, b"", b"\xff", b"{}", b"[1]", b"null"])
def test_a_head_that_is_none_is_told_in_a_sentence(
    content: bytes, spoiled: Callable[[], Path]
) -> None:
    folder = spoiled()
    (folder / "head").write_bytes(content)
    assert problems(folder) == ["head: changed, or of another key"]
    with pytest.raises(StorageError, match="kaimen audit verify"), log(folder) as made:
        made.write({"verdict": "open"})


@pytest.mark.parametrize("last", [b"[" * 100_000, b"[]\n", b"1\n", b'{"number":"x","hash":1}\n'])
def test_a_last_line_that_is_none_is_told_in_a_sentence(
    last: bytes, spoiled: Callable[[], Path]
) -> None:
    folder = spoiled()
    path = files_of(folder)[-1]
    path.write_bytes(path.read_bytes() + last)
    (problem,) = problems(folder)
    assert problem.endswith("changed, cut off, or of another key")
    with log(folder) as made:
        made.write({"verdict": "open"})


@pytest.mark.parametrize("name", ["audit-x.jsonl", "audit-1.jsonl", "audit-.jsonl"])
def test_a_foreign_file_is_named_and_harms_nothing(
    name: str, spoiled: Callable[[], Path], tmp_path: Path
) -> None:
    folder = spoiled()
    (folder / name).write_bytes(b"[" * 100_000)
    assert problems(folder) == [f"{name}: no file of this log; move it away"]
    with log(folder) as made:
        made.write({"verdict": "open"})
    audit.copy(folder, KEY, tmp_path / "copy")
    assert problems(tmp_path / "copy") == []


def test_a_folder_called_like_a_file_of_the_log_is_named(spoiled: Callable[[], Path]) -> None:
    folder = spoiled()
    (folder / "audit-000000999.jsonl").mkdir()
    assert problems(folder) == ["audit-000000999.jsonl: no file of this log; move it away"]


def test_what_a_killed_gate_was_writing_is_gone_with_its_next_line(tmp_path: Path) -> None:
    written(tmp_path, 1)
    for number in range(6):
        (tmp_path / f".head-abcdefg{number}").touch()
    written(tmp_path, 1)
    assert not [each.name for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_a_line_that_only_the_head_could_take_comes_back(tmp_path: Path, full_disk: Fill) -> None:
    with log(tmp_path) as made:
        made.write({"verdict": "open"})
        full_disk(True)
        made.write({"verdict": "unknown"})
        full_disk(False)
        assert "the last line is in the head alone" in problems(tmp_path)[0]
        made.write({"verdict": "open"})
    assert problems(tmp_path) == []
    assert [each["verdict"] for each in records(tmp_path)] == ["open", "unknown", "open"]


def test_a_gate_that_starts_on_a_full_disk_writes_into_the_head(
    tmp_path: Path, full_disk: Fill
) -> None:
    written(tmp_path, 1)
    full_disk(True)
    for _ in range(2):
        written(tmp_path, 1)
    full_disk(False)
    written(tmp_path, 1)
    assert problems(tmp_path) == []
    assert [each["number"] for each in records(tmp_path)] == [1, 2, 3, 4]


def test_a_log_that_cannot_be_begun_is_begun_later(tmp_path: Path) -> None:
    place = tmp_path / "audit"
    place.write_text("a file where the folder should be")
    with log(place) as made:
        with pytest.raises(StorageError):
            made.write({"verdict": "open"})
        place.unlink()
        made.write({"verdict": "open"})
    assert [each.get("lost") for each in records(place)] == [1, None]


def torn_head(folder: Path, slots: int = 1, key: bytes = KEY) -> None:
    """Tear the slots of the last lines, as a plug pulled amid a write may tear that of one."""
    last = audit.since(folder, key, 0)[0]["number"]
    head = bytearray((folder / "head").read_bytes())
    size = len(head) // SLOTS
    for number in range(last - slots + 1, last + 1):
        at = number % SLOTS * size
        head[at + 40 : at + size] = bytes(size - 40)
    (folder / "head").write_bytes(head)


def test_a_line_that_was_cut_off_in_the_head_is_a_gap(tmp_path: Path) -> None:
    written(tmp_path, 30)
    last = files_of(tmp_path)[-1]
    lines = last.read_bytes().splitlines(keepends=True)
    torn_head(tmp_path)
    last.write_bytes(b"".join(lines[:-1]))
    assert problems(tmp_path)[0] == (
        "head: the gate was cut off while writing it, and says so with its next line, or somebody "
        "changed it"
    )
    for _ in range(2):  # a start that writes nothing counts nothing twice
        made = log(tmp_path)
        made._open()
        made.close()
    written(tmp_path, 1)
    assert problems(tmp_path) == [] and verify(tmp_path, KEY).lost == 1
    assert [each["number"] for each in records(tmp_path)] == list(range(1, 32))


def test_a_copy_of_a_log_that_was_cut_off_tells_of_it(tmp_path: Path) -> None:
    written(tmp_path / "log", 30)
    torn_head(tmp_path / "log")
    last = files_of(tmp_path / "log")[-1]
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))
    audit.copy(tmp_path / "log", KEY, tmp_path / "copy")
    assert (tmp_path / "copy" / "lock").stat().st_mode & 0o077 == 0
    written(tmp_path / "copy", 1)
    assert problems(tmp_path / "copy") == []
    assert verify(tmp_path / "copy", KEY).lost == 1


def test_more_than_one_torn_slot_is_no_accident(tmp_path: Path) -> None:
    written(tmp_path, 30)
    torn_head(tmp_path, slots=2)
    assert "head: changed, or of another key" in problems(tmp_path)
    with pytest.raises(StorageError, match="kaimen audit verify"), log(tmp_path) as made:
        made.write({"verdict": "open"})


def test_a_line_longer_than_a_slot_makes_room_for_itself(tmp_path: Path) -> None:
    with Audit(tmp_path, KEY) as made:
        for length in (10, 10, 9_000, 10, 30_000, 10):
            made.write({"event": "x" * length})
            assert problems(tmp_path) == []
    assert [len(each["event"]) for each in records(tmp_path)] == [10, 10, 9_000, 10, 30_000, 10]


def test_a_head_of_an_earlier_kaimen_is_gone_on_with(tmp_path: Path) -> None:
    written(tmp_path, 7)
    head = Head.load(tmp_path / "head", KEY)
    assert head is not None
    (tmp_path / "head").write_bytes(head.packed(KEY))
    assert problems(tmp_path) == []
    assert [each["number"] for each in audit.latest(tmp_path, KEY)] == list(range(7, 0, -1))
    (tmp_path / "head").write_bytes(head.packed(KEY) + b" ")
    assert problems(tmp_path)
    (tmp_path / "head").write_bytes(head.packed(KEY))
    written(tmp_path, 20)
    assert problems(tmp_path) == []
    assert len(records(tmp_path)) == 27


def test_a_line_is_flushed_once_and_the_file_before_the_head_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    for name in ("fsync", "fdatasync"):
        whole = getattr(os, name)

        def flush(descriptor: int, whole: Callable[[int], None] = whole) -> None:
            flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            whole(descriptor)

        monkeypatch.setattr(os, name, flush)
    with Audit(tmp_path, KEY) as made:
        made.write({"verdict": "open"})
        flushed.clear()
        for _ in range(4 * SLOTS):
            made.write({"verdict": "open"})
    assert flushed.count("head") == 4 * SLOTS
    assert flushed.count("audit-000000001.jsonl") == 4 and len(flushed) == 4 * SLOTS + 4


def test_a_changed_head_is_not_written_over(spoiled: Callable[[], Path]) -> None:
    folder = spoiled()
    (folder / "head").write_text("[]")
    with log(folder) as made:
        with pytest.raises(StorageError, match="kaimen audit verify"):
            made.write({"verdict": "open"})
        assert (folder / "head").read_text() == "[]"
        shutil.rmtree(folder)
        made.write({"verdict": "open"})
    assert problems(folder) == []


def test_what_somebody_else_added_at_the_end_is_not_removed(spoiled: Callable[[], Path]) -> None:
    folder = spoiled()
    with files_of(folder)[-1].open("ab") as file:
        file.write(b"not ours")
    written(folder, 2)
    assert len(problems(folder)) == 1
    assert records(folder)[-1]["number"] == 14


def test_two_gates_do_not_write_one_log(tmp_path: Path) -> None:
    with log(tmp_path) as one, log(tmp_path) as other:
        one.write({"verdict": "open"})
        with pytest.raises(StorageError, match="another gate"):
            other.write({"verdict": "open"})
        one.close()
        other.write({"verdict": "unknown"})
    assert problems(tmp_path) == []


def check_torn(folder: Path, lengths: Callable[[int], Iterable[int]]) -> None:
    """Tear a line at some of its bytes, as a pulled plug may leave it: the head completes it."""
    torn, original = folder / "torn", written(folder / "whole", 4)
    line = files_of(original)[-1].read_bytes().splitlines(keepends=True)[-1]
    for length in lengths(len(line)):
        shutil.rmtree(torn, ignore_errors=True)
        shutil.copytree(original, torn)
        last = files_of(torn)[-1]
        os.truncate(last, last.stat().st_size - len(line) + length)
        with last.open("ab") as file:
            file.write(bytes(length % 3))  # room that was taken, and not written
        written(torn, 1)
        assert problems(torn) == [], length
        assert [each["number"] for each in records(torn)] == [1, 2, 3, 4, 5]


def test_an_interrupted_line_is_completed(tmp_path: Path) -> None:
    check_torn(tmp_path, lambda length: (0, 1, 2, length - 1))


@pytest.mark.slow
def test_a_line_interrupted_anywhere_is_completed(tmp_path: Path) -> None:
    check_torn(tmp_path, range)


@pytest.mark.parametrize(("lines", "taken"), [(5, 5), (20, SLOTS), (20, SLOTS + 1), (20, 20)])
def test_what_a_power_cut_took_comes_back_from_the_head_where_it_follows(
    lines: int, taken: int, tmp_path: Path
) -> None:
    written(tmp_path, lines)
    files = files_of(tmp_path)
    whole = b"".join(each.read_bytes() for each in files).splitlines(keepends=True)
    for path in files:
        path.unlink()
    left, torn = whole[: lines - taken], whole[lines - taken][:12]
    files[0].write_bytes(b"".join([*left, torn]))
    written(tmp_path, 1)
    follows, numbers = taken <= SLOTS, [each["number"] for each in records(tmp_path)]
    assert numbers == [*range(1, lines + 1 if follows else len(left) + 1), lines + 1]
    assert (problems(tmp_path) == []) == follows


def test_lines_come_back_behind_what_somebody_wrote_in_their_place(tmp_path: Path) -> None:
    written(tmp_path, 5)
    files = files_of(tmp_path)
    for path in files[1:]:
        path.unlink()
    files[0].write_bytes(b"not ours\n")
    written(tmp_path, 1)
    assert [each["number"] for each in records(tmp_path)] == [1, 2, 3, 4, 5, 6]


WRITER = """
import sys
from pathlib import Path
from kaimen.audit import Audit
with Audit(Path(sys.argv[1]), bytes(range(32)), largest=500, kept=1000) as log:
    for number in range(10**9):
        log.write({"score": number})
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
"""


@pytest.mark.slow
def test_a_killed_gate_loses_no_line_it_was_told_is_written(tmp_path: Path) -> None:
    chance = random.Random(3)
    told = 0
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None and writer.stdout.readline() == "0\n"
            time.sleep(chance.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
            told += 1 + len(writer.stdout.read().split())
    written(tmp_path, 1)
    assert problems(tmp_path) == []
    assert not [each.name for each in tmp_path.iterdir() if each.name.startswith(".")]
    assert told + 1 <= len(records(tmp_path)) <= told + 11
    assert told > 20


def test_a_log_is_for_its_owner_alone(whole: Path) -> None:
    assert whole.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in whole.iterdir())
    assert audit.KEPT * audit.LARGEST <= 1 << 30


def test_a_door_that_did_not_open_is_no_opening_in_the_words_of_the_log() -> None:
    knew = {"kind": "decision", "verdict": "open", "student": "ab", "score": 0.9, "threshold": 0.8}
    assert told(knew, str) == "opened for ab (0.90, 0.80 is needed)"
    assert not turned_away(knew)
    shut = {**knew, "not_opened": "the door did not open: held for too long"}
    assert told(shut, str) == (
        "knew ab (0.90, 0.80 is needed); the door did not open: held for too long"
    )
    assert turned_away(shut)
