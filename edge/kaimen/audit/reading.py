"""Reading the log again: what was done to it, and what is in it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaimen.audit.chain import (
    BEGINNING,
    LOCK,
    LogEnd,
    LostRecords,
    Record,
    checked,
    files_of,
    foreign,
    lines_of,
    named,
    number_of,
    readable,
    records_of,
)
from kaimen.audit.head import Head, HeadFile
from kaimen.errors import StorageError
from kaimen.storage import write_whole

TRIES = 10  # to copy a log that goes on; its oldest file may go meanwhile


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was done to a log."""

    place: str  # file and line
    what: str


@dataclass(slots=True)
class Report:
    """What ``verify`` found."""

    lines: int = 0
    first: str = ""  # time of the first line
    last: str = ""
    end: str = ""  # number and hash of the last line
    lost: int = 0  # records that could not be written, as gaps in the log tell
    problems: list[Problem] = field(default_factory=list)


def verify(folder: Path, key: bytes, noted: str = "", *, newest: bool = False) -> Report:
    """Tell whether a log is as it was written; a gate may be writing it meanwhile.

    ``noted``: the ``end`` of an earlier report, kept elsewhere. It shows what hashes alone cannot:
    that somebody put back a whole older log. ``newest``: only of the file that is being written,
    in seconds however long the log is. Raises StorageError where there is no log.
    """
    with readable(folder):
        _require_log(folder)
        while True:
            found, wrong = _head_of(folder, key)
            head = None if found is None else found.head
            report = _verified(folder, key, head, noted, newest)
            report.problems[:0] = wrong
            report.problems += [
                Problem(path.name, "no file of this log; move it away") for path in foreign(folder)
            ]
            if head is not None:
                report.lost += LostRecords.after_last(folder, head.last)
            now, _ = _head_of(folder, key)
            # Otherwise the gate removed an old file meanwhile.
            if (head and head.first) == (now and now.head.first):
                return report


def export(folder: Path, key: bytes) -> Iterator[Record]:
    """The records in their order, as far as they can be read; ``verify`` says what is wrong."""
    with readable(folder):
        yield from records_of(files_of(folder), key)


def latest(folder: Path, key: bytes) -> Iterator[Record]:
    """Yield the records, the latest first, as far as they can be read.

    Lines that the head alone has are among them. Raises StorageError where there is no log.
    """
    with readable(folder):
        _require_log(folder)
        waiting = _records_of_head(folder, key)
        for path in reversed(files_of(folder)):
            for record in reversed([*records_of([path], key)]):
                while waiting and waiting[-1]["number"] > record["number"]:
                    yield waiting.pop()
                waiting.clear()
                yield record
        yield from reversed(waiting)


def since(folder: Path, key: bytes, number: int) -> list[Record]:
    """Return the records after a line, in their order; of none, the last line alone.

    Where few lines were added, only the head is read. Raises StorageError where there is no log.
    """
    with readable(folder):
        waiting = _records_of_head(folder, key)
    if not waiting or waiting[-1]["number"] <= number:
        return []
    if not number:
        return waiting[-1:]
    if number >= waiting[0]["number"] - 1:
        return [record for record in waiting if record["number"] > number]
    found: list[Record] = []
    for record in latest(folder, key):
        if record["number"] <= number:
            break
        found.append(record)
    return found[::-1]


def _require_log(folder: Path) -> None:
    if not files_of(folder) and not (folder / "head").exists():
        raise StorageError(f"{folder}: no log there; 'kaimen run' writes one")


def noted(folder: Path, key: bytes, field: str) -> list[Any]:
    """Return what the lines of the newest file and of the head say of something, in their order.

    Raises OSError.
    """
    found = [*records_of(files_of(folder)[-1:], key)]
    found += _records_of_head(folder, key)[-1:]
    return [record[field] for record in found if field in record]


def copy(folder: Path, key: bytes, to: Path) -> None:
    """Copy a log of one moment, whole, into a folder beside it; a gate may write it meanwhile.

    Full files are linked, not copied. Raises StorageError for one that is not as it was written.
    """
    for left in reversed(range(TRIES)):
        found, _ = _head_of(folder, key)  # ``verify`` says what is wrong
        problems = _copied(folder, key, to, found)
        if not problems:
            return
        now, _ = _head_of(folder, key)
        if not left or found is None or now is None or now.head == found.head:
            raise StorageError(
                f"{folder}: {problems[0].place}: {problems[0].what}; look at it with 'kaimen audit "
                "verify', then move the folder away, and a new log begins"
            )
        shutil.rmtree(to)  # files of that moment may be gone: copy a later one


def _copied(folder: Path, key: bytes, to: Path, found: HeadFile | None) -> list[Problem]:
    """Copy a log as its head has it; return what is wrong with the copy."""
    to.mkdir(mode=0o700)
    for path in files_of(folder):
        with contextlib.suppress(FileNotFoundError):
            os.link(path, to / path.name)
    if found is not None:
        found.head.save(to / "head", key)
        _end_with(to, found)
    if found is not None and found.torn:  # whoever goes on with the copy tells of it, too
        lost = LostRecords(1, found.head.last).rendered()
        write_whole(to / LOCK, lost, private=True)
    return verify(to, key).problems


def _end_with(folder: Path, found: HeadFile) -> None:
    """Leave out what was written after the head, and put in lines that only the head has."""
    files, last = files_of(folder), found.head.last
    while files and number_of(files[-1]) > last:
        files.pop().unlink()
    log = LogEnd.of(files, found.lines)
    for torn in log.torn:
        torn.unlink()
    path = log.path or folder / f"audit-{last - len(log.missing) + 1:09}.jsonl"
    whole = b"".join([log.content[: log.end], *log.missing])
    write_whole(path, whole, private=True)


def _head_of(folder: Path, key: bytes) -> tuple[HeadFile | None, list[Problem]]:
    try:
        found = HeadFile.load(folder / "head", key)
    except ValueError as error:
        return None, [Problem("head", str(error))]
    if found is None:
        return None, [Problem("head", "missing")]
    torn = (
        "the gate was cut off while writing it, and says so with its next line, or somebody "
        "changed it"
    )
    return found, [Problem("head", torn)] if found.torn else []


def _records_of_head(folder: Path, key: bytes) -> list[Record]:
    """Return the records of the log's latest lines, as the head has them, in their order."""
    found, _ = _head_of(folder, key)
    return found.records() if found else []


def _verified(folder: Path, key: bytes, head: Head | None, noted: str, newest: bool) -> Report:
    report = Report()
    files = files_of(folder)
    left_out = files[:-1] if newest else []
    missing = {noted: "noted once, and not in the log"} if noted else {}
    number, before = None, BEGINNING  # of the line before, if it is known
    if head is not None and head.last:
        number, before = head.first - 1, head.origin
        missing[named(head.last, head.hash)] = (
            "the last line is in the head alone: the gate was cut off, and puts it back with its "
            "next line, or somebody removed it"
        )
    if left_out:
        number = None  # of the last line that is not looked at
    for place, content in lines_of(files[len(left_out) :]):
        record = checked(content, key)
        if record is None:
            report.problems.append(Problem(place, "changed, cut off, or of another key"))
            number = None
            continue
        if not report.lines and head is not None and record["number"] < head.first:
            number = None  # of a file that was about to be removed
        if number is not None and record["number"] != number + 1:
            what = f"line {record['number']} comes after line {number}"
            report.problems.append(Problem(place, f"{what}: lines were removed, added or moved"))
        elif number is not None and record["before"] != before:
            report.problems.append(Problem(place, "does not follow from the line before it"))
        number, before = record["number"], record["hash"]
        if record.get("kind") == "gap":
            report.lost += int(record["lost"])
        report.lines += 1
        report.first = report.first or record["at"]
        report.last, report.end = record["at"], named(record["number"], before)
        missing.pop(report.end, None)
    report.problems += [Problem(end[:20], what) for end, what in missing.items()]
    return report
