"""Following the log: nothing is left out, whatever happens to the log and to who follows it."""

from __future__ import annotations

import datetime
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen import audit
from kaimen.audit import Audit, Cursor, Follower, Record, files_of, following, id_of
from kaimen.audit.chain import LONGEST
from kaimen.errors import StorageError

KEY = bytes(range(32))
LARGEST = 500  # bytes of a file in these tests: a few lines
DAY = datetime.datetime(2026, 9, 1, 7, 30, tzinfo=datetime.UTC)


class Log:
    """A log that is written line by line, with a clock of its own."""

    def __init__(self, folder: Path, *, kept: int = 1000, at: datetime.datetime = DAY) -> None:
        self.folder = folder
        self.at = at
        self.written = 0
        self.audit = Audit(folder, KEY, largest=LARGEST, kept=kept, now=lambda: self.at)

    def write(self, lines: int = 1) -> None:
        for _ in range(lines):
            self.at += datetime.timedelta(seconds=1)
            self.written += 1
            self.audit.write({"kind": "decision", "verdict": "unknown", "count": self.written})
        self.audit.close()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "audit")


@pytest.fixture
def cursor(tmp_path: Path) -> Path:
    return tmp_path / "webhook.cursor"


def counts(records: list[Record]) -> list[int]:
    return [each["count"] for each in records]


def test_a_log_that_is_not_there_yet_has_no_records(log: Log, cursor: Path) -> None:
    follower = Follower(log.folder, KEY, cursor)
    assert follower.waiting() == []
    log.write(2)
    assert counts(follower.waiting()) == [1, 2]


def test_each_record_is_given_once_in_its_order_over_many_files(log: Log) -> None:
    follower = Follower(log.folder, KEY)
    found = []
    for _ in range(8):
        log.write(5)
        found += follower.waiting(3)
    while more := follower.waiting(3):
        found += more
    assert len(files_of(log.folder)) > 10
    assert counts(found) == list(range(1, 41))
    assert len({id_of(each) for each in found}) == 40


def test_who_follows_goes_on_behind_what_was_kept(log: Log, cursor: Path) -> None:
    log.write(10)
    first = Follower(log.folder, KEY, cursor)
    assert counts(first.waiting(4)) == [1, 2, 3, 4]
    first.keep()
    assert counts(first.waiting(4)) == [5, 6, 7, 8]  # and is killed before it keeps that
    again = Follower(log.folder, KEY, cursor)
    assert counts(again.waiting()) == [5, 6, 7, 8, 9, 10]
    again.keep()
    assert Follower(log.folder, KEY, cursor).waiting() == []


def test_what_was_removed_before_it_was_given_is_counted(tmp_path: Path, cursor: Path) -> None:
    log = Log(tmp_path / "audit", kept=2)
    log.write(5)
    follower = Follower(log.folder, KEY, cursor)
    follower.waiting()
    follower.keep()
    log.write(60)
    (log.folder / "head").unlink()
    for each in (follower, Follower(log.folder, KEY, cursor)):
        found = counts(each.waiting())
        assert found == list(range(found[0], 66)) and found[0] > 40
        assert each.missed == found[0] - 6


def test_a_half_written_line_waits_for_its_end(log: Log) -> None:
    log.write(3)
    path = files_of(log.folder)[-1]
    whole = path.read_bytes()
    follower = Follower(log.folder, KEY)
    (log.folder / "head").unlink()  # it has the last line already
    path.write_bytes(whole[:-20])
    assert counts(follower.waiting()) == [1, 2]
    assert follower.waiting() == []
    with path.open("ab") as file:
        file.write(whole[-20:])
    assert counts(follower.waiting()) == [3]


def test_a_line_that_only_the_head_has_is_given_once(log: Log, cursor: Path) -> None:
    log.write(3)
    path = files_of(log.folder)[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))  # a full disk took the head, and not the line
    follower = Follower(log.folder, KEY, cursor)
    assert counts(follower.waiting()) + counts(follower.waiting()) == [1, 2, 3]
    follower.keep()
    again = Follower(log.folder, KEY, cursor)
    assert follower.waiting() == again.waiting() == []
    log.write()
    for each in (follower, again, Follower(log.folder, KEY, cursor)):
        assert counts(each.waiting()) == [4]


@pytest.mark.parametrize(("lines", "head"), [(2, True), (2, False), (12, True), (40, True)])
def test_a_new_log_in_the_place_of_this_one_is_followed_from_its_beginning(
    lines: int, head: bool, log: Log, cursor: Path
) -> None:
    log.write(9)
    follower = Follower(log.folder, KEY, cursor)
    follower.waiting()
    follower.keep()
    log.folder.rename(log.folder.with_name("moved"))
    new = Log(log.folder, at=log.at - datetime.timedelta(seconds=1))
    new.write(lines)
    if not head:
        (log.folder / "head").unlink()
    assert counts(follower.waiting()) == list(range(1, lines + 1))
    assert counts(Follower(log.folder, KEY, cursor).waiting()) == list(range(1, lines + 1))


def test_a_new_log_is_known_by_the_line_that_only_its_head_has(log: Log, cursor: Path) -> None:
    log.write(3)
    follower = Follower(log.folder, KEY, cursor)
    follower.waiting()
    follower.keep()
    other = Log(log.folder.with_name("other"), at=log.at)
    other.write(3)
    path = files_of(other.folder)[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    again = Follower(other.folder, KEY, cursor)
    assert counts(again.waiting()) + counts(again.waiting()) == [1, 2, 3]


def test_of_a_restored_older_log_only_what_is_new_is_given(log: Log, cursor: Path) -> None:
    log.write(5)
    backup = log.folder.with_name("backup")
    shutil.copytree(log.folder, backup)
    log.write(5)
    follower = Follower(log.folder, KEY, cursor)
    follower.waiting()
    follower.keep()
    shutil.rmtree(log.folder)
    backup.rename(log.folder)
    log.write(8)
    assert counts(follower.waiting()) == list(range(11, 19))
    assert counts(Follower(log.folder, KEY, cursor).waiting()) == list(range(11, 19))


def test_another_log_in_the_same_file_is_followed_from_what_is_new(log: Log) -> None:
    log.write(2)
    (path,) = files_of(log.folder)
    follower = Follower(log.folder, KEY)
    assert counts(follower.waiting()) == [1, 2]
    other = Log(log.folder.with_name("other"), at=log.at)
    other.written = 10
    other.write(3)
    path.write_bytes(b"".join(each.read_bytes() for each in files_of(other.folder)))
    shutil.copy(other.folder / "head", log.folder / "head")
    assert counts(follower.waiting()) == [11, 12, 13]
    assert follower.waiting() == []


def test_a_record_is_called_by_its_number_and_its_hash(log: Log) -> None:
    log.write(1)
    (record,) = Follower(log.folder, KEY).waiting()
    assert id_of(record) == f"1:{record['hash']}" and len(record["hash"]) == 64


def test_a_line_that_was_changed_is_left_out(log: Log) -> None:
    log.write(4)
    path = files_of(log.folder)[0]
    path.write_bytes(path.read_bytes().replace(b'"count":1', b'"count":7'))
    assert counts(Follower(log.folder, KEY).waiting()) == [2, 3, 4]
    assert Follower(log.folder, bytes(32)).waiting() == []


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that are looked at."""
    found: list[bytes] = []
    checked = following.checked

    def look(content: bytes, key: bytes) -> Record | None:
        found.append(content)
        return checked(content, key)

    for module in (audit.chain, audit.head, audit.following):
        monkeypatch.setattr(module, "checked", look)
    return found


def test_what_was_read_is_not_read_again(log: Log, looked_at: list[bytes]) -> None:
    follower = Follower(log.folder, KEY)
    for number in (1, 2):
        log.write(1)
        looked_at.clear()
        assert counts(follower.waiting()) == [number] and len(looked_at) == 1
        os.utime(log.folder / "head", (1, 1))
        assert follower.waiting() == []
        looked_at.clear()
        assert follower.waiting() == [] and not looked_at


def test_who_goes_on_looks_at_no_file_before_the_cursor(
    log: Log, cursor: Path, looked_at: list[bytes]
) -> None:
    log.write(21)
    last = files_of(log.folder)[-1]
    follower = Follower(log.folder, KEY, cursor)
    follower.waiting(following.number_of(last))  # up to the first line of the last file
    follower.keep()
    (log.folder / "head").unlink()
    looked_at.clear()
    Follower(log.folder, KEY, cursor).waiting()
    assert set(looked_at) == set(last.read_bytes().splitlines(keepends=True))


@pytest.mark.parametrize("ago", [(0, 0, 0), (9, 9, 8)])
def test_a_head_that_may_be_another_is_looked_at_again(
    ago: tuple[int, ...], log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write(1)
    (path,), head = files_of(log.folder), log.folder / "head"
    before, first = path.read_bytes(), head.read_bytes()
    log.write(1)
    path.write_bytes(before)
    second, now = head.read_bytes(), time.time()
    monkeypatch.setattr(following, "time", SimpleNamespace(time=lambda: now))
    follower, found = Follower(log.folder, KEY), []
    for content, seconds in zip((first, first, second), ago, strict=True):
        head.write_bytes(content)
        os.utime(head, (now - seconds, now - seconds))
        found.append(counts(follower.waiting()))
    assert found == [[1], [], [2]]


def test_a_head_gives_no_line_before_those_that_it_lacks(log: Log) -> None:
    log.write(20)
    for path in files_of(log.folder):
        path.unlink()
    assert Follower(log.folder, KEY).waiting() == []


def test_a_line_that_does_not_follow_takes_none_away(log: Log) -> None:
    log.write(2)
    (path,) = files_of(log.folder)
    follower = Follower(log.folder, KEY)
    follower.waiting(1)
    other = Log(log.folder.with_name("other"), at=log.at)
    other.write(5)
    lines = b"".join(each.read_bytes() for each in files_of(other.folder)).splitlines(True)
    path.write_bytes(path.read_bytes() + b"".join(lines[2:]))
    assert counts(follower.waiting(2)) == [2, 3]
    assert counts(follower.waiting()) == [4, 5]


def test_a_line_longer_than_any_of_a_log_holds_up_nobody(log: Log, cursor: Path) -> None:
    log.write(2)
    (path,) = files_of(log.folder)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"x" * (LONGEST + 9) + b"\n" + second)
    (log.folder / "head").unlink()
    follower = Follower(log.folder, KEY, cursor)
    assert counts(follower.waiting()) == [1, 2]
    follower.keep()
    assert Follower(log.folder, KEY, cursor).waiting() == []


def test_a_file_that_is_removed_meanwhile_holds_up_nobody(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write(7)
    files = files_of(log.folder)
    kept = following.number_of(files[1])
    files[0].unlink()
    monkeypatch.setattr(following, "files_of", lambda folder: files)
    assert counts(Follower(log.folder, KEY).waiting()) == list(range(kept, 8))


def test_a_cursor_is_for_its_owner_alone_and_written_where_it_moved(log: Log, cursor: Path) -> None:
    log.write(2)
    follower = Follower(log.folder, KEY, cursor)
    follower.keep()
    assert not cursor.exists()
    follower.waiting()
    follower.keep()
    assert cursor.stat().st_mode & 0o077 == 0
    cursor.unlink()
    follower.keep()
    assert not cursor.exists()


@pytest.mark.parametrize("head", ["whole", "missing", "changed"])
def test_who_skips_gets_only_what_comes(head: str, log: Log, looked_at: list[bytes]) -> None:
    log.write(7)
    if head == "missing":
        (log.folder / "head").unlink()
    elif head == "changed":
        (log.folder / "head").write_text("[]")
    follower = Follower(log.folder, KEY)
    follower.skip()
    assert follower.missed == 0 and (head != "whole" or len(looked_at) == 1)
    follower.keep()
    assert follower.waiting() == []
    if head == "whole":
        log.write(2)
        assert counts(follower.waiting()) == [8, 9]


@pytest.mark.parametrize("content", ["", "[", "[[1]]", '{"number": -4, "hash": "", "at": ""}'])
def test_what_is_no_cursor_begins_at_the_oldest(log: Log, cursor: Path, content: str) -> None:
    log.write(2)
    cursor.write_text(content)
    follower = Follower(log.folder, KEY, cursor)
    assert counts(follower.waiting()) == [1, 2] and follower.missed == 0


def test_a_cursor_that_cannot_be_read_is_no_new_beginning(log: Log, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        Follower(log.folder, KEY, tmp_path)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 6)),
            st.tuples(st.just("read"), st.integers(1, 6)),
            st.sampled_from([("keep", 0), ("restart", 0), ("tear", 0)]),
        ),
        max_size=15,
    )
)
def test_nothing_is_left_out_and_nothing_goes_back_behind_what_was_kept(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log, cursor = Log(folder / "audit"), folder / "cursor"
    follower, last, kept = Follower(log.folder, KEY, cursor), 0, 0
    for step, number in [*steps, ("write", 1), ("read", 1000), ("read", 1)]:
        if step == "write":
            log.write(number)
        elif step == "read":
            for record in follower.waiting(number):
                last += 1
                assert record["count"] == last
        elif step == "keep":
            follower.keep()
            kept = last
        elif step == "restart":
            follower, last = Follower(log.folder, KEY, cursor), kept
        elif files := files_of(log.folder):  # a pulled plug: the gate mends it with its next line
            whole = files[-1].read_bytes()
            files[-1].write_bytes(whole[: -min(9, len(whole))])
    assert last == log.written
    follower.keep()
    assert Cursor.load(cursor).number == log.written
