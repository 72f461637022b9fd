"""What is read of a log: the records after a line, one field of the newest, and a report."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kaimen import audit
from kaimen.access.growing import GrowthCandidate
from kaimen.access.pin_entry import PinAnswer
from kaimen.audit import (
    Audit,
    Follower,
    Record,
    export,
    grown_record,
    pin_record_of,
    pseudonym,
    verify,
)
from kaimen.audit.reading import noted, since
from kaimen.errors import StorageError
from tests.audit.test_audit import KEY, NOW, full, log, written


def numbers(folder: Path, after: int) -> list[int]:
    return [each["number"] for each in since(folder, KEY, after)]


def test_what_came_after_a_line_is_given_in_its_order(tmp_path: Path) -> None:
    assert numbers(tmp_path, 0) == []
    written(tmp_path, 5)
    assert numbers(tmp_path, 4) == [5]
    assert numbers(tmp_path, 2) == [3, 4, 5]
    assert numbers(tmp_path, 0) == [5]  # of none, the last line alone
    assert numbers(tmp_path, 5) == numbers(tmp_path, 9) == []
    written(tmp_path, 15)  # more than the head has
    for after in range(1, 20):
        assert numbers(tmp_path, after) == list(range(after + 1, 21))
    with log(tmp_path) as made:
        made.write({"event": "longer than a slot " * 500})  # the head has it alone
    assert numbers(tmp_path, 18) == [19, 20, 21]


def test_what_the_head_alone_has_is_after_a_line_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, 3)
    with log(tmp_path) as made, monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        made.write({"registry": "4", "verdict": "open"})
        assert numbers(tmp_path, 1) == [2, 3, 4]
        assert numbers(tmp_path, 3) == [4]
        assert noted(tmp_path, KEY, "registry") == ["4"]
        assert noted(tmp_path, KEY, "score") == [2 / 7]
    assert noted(tmp_path, KEY, "verdict") == ["open", "open"]


def test_a_field_is_read_of_the_newest_file_whatever_became_of_the_head(tmp_path: Path) -> None:
    written(tmp_path, 3)
    assert noted(tmp_path, KEY, "verdict") == ["open", "open"]  # the line itself, and the head's
    (tmp_path / "head").write_text("[]")
    assert noted(tmp_path, KEY, "verdict") == ["open"]
    (tmp_path / "head").unlink()
    assert noted(tmp_path, KEY, "verdict") == ["open"]
    assert noted(tmp_path / "none", KEY, "verdict") == []


def test_a_field_is_read_of_no_older_file(tmp_path: Path) -> None:
    written(tmp_path, 9)
    lines = len(audit.files_of(tmp_path)[-1].read_bytes().splitlines())
    assert len(audit.files_of(tmp_path)) > 2
    assert len(noted(tmp_path, KEY, "verdict")) == lines + 1


def test_a_report_tells_from_when_to_when(tmp_path: Path) -> None:
    times = [datetime.datetime(2026, 9, day, tzinfo=datetime.UTC) for day in (1, 2, 3)]
    for now in times:
        with Audit(tmp_path, KEY, now=lambda now=now: now) as made:
            made.write({"kind": "door"})
    (tmp_path / "lock").unlink()  # which tells how many are lost after the last
    report = verify(tmp_path, KEY)
    assert (report.lines, report.lost, report.problems) == (3, 0, [])
    assert (report.first, report.last) == (
        "2026-09-01T00:00:00.000+00:00",
        "2026-09-03T00:00:00.000+00:00",
    )
    assert report.end == f"3:{list(export(tmp_path, KEY))[-1]['hash']}"


def test_what_was_lost_is_the_sum_of_all_gaps(tmp_path: Path) -> None:
    with log(tmp_path) as made:
        made.write({"kind": "gap", "lost": 2})
        made.write({"kind": "gap", "lost": 3})
    assert verify(tmp_path, KEY).lost == 5


def test_a_problem_says_where_and_what(tmp_path: Path) -> None:
    written(tmp_path, 1)
    (path,) = audit.files_of(tmp_path)
    written(tmp_path, 1)
    first, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + first + b"torn")
    found = [(each.place, each.what) for each in verify(tmp_path, KEY).problems]
    assert found[0] == (
        f"{path.name}:2",
        "line 1 comes after line 1: lines were removed, added or moved",
    )
    assert found[1] == (f"{path.name}:3", "changed, cut off, or of another key")
    assert found[2][0].startswith("2:") and len(found[2][0]) == 20
    assert found[2][1] == (
        "the last line is in the head alone: the gate was cut off, and puts it back with its next "
        "line, or somebody removed it"
    )
    assert len(found) == 3


@pytest.mark.parametrize("kept", [1, 1000])
def test_a_file_of_another_log_of_the_same_key_does_not_follow(kept: int, tmp_path: Path) -> None:
    for name in ("one", "other"):
        with Audit(tmp_path / name, KEY, largest=500, kept=kept, now=lambda: NOW) as made:
            for number in range(20):
                made.write({"event": name[-3:], "count": number})
    one, other = (audit.files_of(tmp_path / name) for name in ("one", "other"))
    assert [each.name for each in one] == [each.name for each in other]
    place = 0 if kept == 1 else 1
    other[place].replace(one[place])
    found = [(each.place, each.what) for each in verify(tmp_path / "one", KEY).problems]
    what = "does not follow from the line before it"
    assert found == [(f"{one[place].name}:1", what), (f"{one[place + 1].name}:1", what)]


@pytest.mark.parametrize("file", ["a file of it", None])
def test_a_log_that_may_not_be_read_is_told_in_a_sentence(
    file: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, 3)

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied", file)

    for read in (
        lambda: verify(tmp_path, KEY),
        lambda: list(audit.latest(tmp_path, KEY)),
        lambda: list(export(tmp_path, KEY)),
        lambda: since(tmp_path, KEY, 1),
        Follower(tmp_path, KEY).waiting,
        Follower(tmp_path, KEY).skip,
    ):
        with monkeypatch.context() as patched, pytest.raises(StorageError) as error:
            patched.setattr(os, "scandir", forbidden)
            patched.setattr(os, "fstat", forbidden)
            read()
        assert str(error.value) == (
            f"{file or tmp_path}: cannot be read (Permission denied); call it as the gate's own "
            "user"
        )


@pytest.mark.parametrize("read", [export, audit.latest])
def test_a_file_that_is_removed_while_a_log_is_read_ends_nothing(
    read: Callable[[Path, bytes], Iterator[Record]], tmp_path: Path
) -> None:
    written(tmp_path, 9)
    found = read(tmp_path, KEY)
    first, gone = next(found), audit.files_of(tmp_path)[1]
    lines = len(gone.read_bytes().splitlines())
    gone.unlink()
    assert len([first, *found]) == 9 - lines


def test_a_copy_has_every_line_of_the_newest_file(tmp_path: Path) -> None:
    with Audit(tmp_path / "log", KEY) as made:
        for number in range(5):
            made.write({"number of it": number})
        audit.copy(tmp_path / "log", KEY, tmp_path / "copy")
        made.write({"number of it": 5})
    copied = list(export(tmp_path / "copy", KEY))
    assert [each["number of it"] for each in copied] == list(range(5))
    assert verify(tmp_path / "copy", KEY).problems == []
    private = [tmp_path / "copy", *(tmp_path / "copy").iterdir()]
    assert not any(each.stat().st_mode & 0o077 for each in private)


def test_a_day_is_one_of_utc_wherever_the_gate_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        for hour in (1, 12, 22):
            now = datetime.datetime(2026, 9, 1, hour, tzinfo=datetime.UTC)
            with Audit(tmp_path, KEY, days=3, now=lambda now=now: now) as made:
                made.write({"kind": "door"})
            os.utime(audit.files_of(tmp_path)[-1], (now.timestamp(), now.timestamp()))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert len(audit.files_of(tmp_path)) == 1
    assert all(each["at"].endswith(":00:00.000+00:00") for each in export(tmp_path, KEY))


@pytest.mark.parametrize(
    ("name", "what"),
    [("audit-000000001.jsonl", "audit-000000001.jsonl:1: changed"), ("head", "head: missing")],
)
def test_a_copy_of_a_log_that_was_changed_is_refused(name: str, what: str, tmp_path: Path) -> None:
    written(tmp_path / "log", 3)
    path = tmp_path / "log" / name
    path.write_bytes(path.read_bytes().replace(b"open", b"shut", 1))
    with pytest.raises(StorageError, match=f"log: {what}"):
        audit.copy(tmp_path / "log", KEY, tmp_path / "copy")


def test_a_copy_that_lacks_a_file_that_was_removed_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "log", 30)
    link = os.link

    def removed(source: Path, to: Path) -> None:
        if source == audit.files_of(tmp_path / "log")[0]:
            raise FileNotFoundError(source)
        link(source, to)

    monkeypatch.setattr(os, "link", removed)
    with pytest.raises(StorageError, match="lines were removed"):
        audit.copy(tmp_path / "log", KEY, tmp_path / "copy")


def test_a_copy_of_a_log_that_only_the_head_has_is_whole(tmp_path: Path) -> None:
    written(tmp_path / "log", 5)
    for path in audit.files_of(tmp_path / "log"):
        path.unlink()
    assert [each["number"] for each in audit.latest(tmp_path / "log", KEY)] == [5, 4, 3, 2, 1]
    audit.copy(tmp_path / "log", KEY, tmp_path / "copy")
    assert verify(tmp_path / "copy", KEY).problems == []
    assert [each["number"] for each in export(tmp_path / "copy", KEY)] == [1, 2, 3, 4, 5]
    assert [each.name for each in audit.files_of(tmp_path / "copy")] == ["audit-000000001.jsonl"]


def test_a_copy_has_the_files_of_the_log(tmp_path: Path) -> None:
    for number in range(6):
        written(tmp_path / "log", 1)
        audit.copy(tmp_path / "log", KEY, tmp_path / str(number))
        files, copied = (audit.files_of(tmp_path / each) for each in ("log", str(number)))
        assert [each.name for each in copied] == [each.name for each in files]


def test_a_pin_is_told_with_everything_but_itself() -> None:
    assert pin_record_of(PinAnswer(True, "Li", ""), key=KEY) == {
        "kind": "pin",
        "verdict": "open",
        "not_opened": None,
        "student": pseudonym(KEY, "Li"),
        "why": None,
        "wait": 0.0,
    }
    wrong = pin_record_of(PinAnswer(False, "", "a wrong PIN", 30.0), key=KEY, not_opened="held")
    assert wrong == {
        "kind": "pin",
        "verdict": "refused",
        "not_opened": "held",
        "student": None,
        "why": "a wrong PIN",
        "wait": 30.0,
    }


def test_what_was_taken_in_is_told_with_its_score() -> None:
    found = grown_record(GrowthCandidate("Li", np.zeros(4, np.float32), 0.8, 0.7), KEY)
    assert found == {
        "kind": "grown",
        "student": pseudonym(KEY, "Li"),
        "score": 0.8,
        "threshold": 0.7,
    }
