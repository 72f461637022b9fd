"""What the gate decided: an append-only log, a chain of lines that nobody changes unnoticed.

A line is a JSON object. Its last field is a keyed hash (HMAC-SHA256) of all its bytes before, and
among these is the hash of the line before it, so no line can be changed, left out, added or moved
by somebody without the key. The **head**, a small file beside the log, holds the last line itself:
it is written before the line is, so that neither a pulled plug nor a full disk tears the log, and
so that its end cannot be cut off.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import hmac
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from edge.decision import Match
from edge.errors import StorageError
from edge.gate import Answer
from edge.sound.quality import clipped_share
from edge.storage import make_folder, write_whole

LARGEST = 4 << 20  # bytes of a file before another is begun
KEPT = 256  # full files: a gigabyte, or about a million decisions
BEGINNING = "0" * 64  # stands for the hash before the first line
SHORT = 16  # characters of a hash that only tells apart
LONGEST = 1 << 20  # bytes that are read as one line
TAIL = len(',"hash":""}\n') + 64  # bytes of a line that its hash does not cover

Record = dict[str, Any]


def _utc() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class _Head:
    """Where the chain begins and ends."""

    first: int = 1  # number of the oldest line that is kept
    origin: str = BEGINNING  # hash of the line before it
    last: int = 0  # number of the last line
    hash: str = BEGINNING
    line: str = ""  # the last line itself

    def rendered(self, key: bytes) -> bytes:
        """As it is written, with a keyed hash of its own."""
        values = [self.first, self.origin, self.last, self.hash, self.line]
        return json.dumps([*values, _hash(key, json.dumps(values).encode())]).encode()

    def save(self, path: Path, key: bytes) -> None:
        """Write it in one step. Raises StorageError."""
        write_whole(path, lambda file: file.write(self.rendered(key)), private=True)

    @classmethod
    def load(cls, path: Path, key: bytes) -> _Head | None:
        """None where there is none. Raises ValueError for one that was changed."""
        try:
            written = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            head = cls(*json.loads(written)[:-1])
            whole = head.rendered(key) == written
        except (ValueError, TypeError):
            whole = False
        if not whole:
            raise ValueError("changed, or of another key")
        return head


class Audit:
    """The log of one gate, for writing; a context manager.

    It is opened by the first record. Where it cannot be, or a line cannot be written, the caller is
    told, and the first line that can be written again says how many are missing.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        *,
        largest: int = LARGEST,
        kept: int = KEPT,
        now: Callable[[], datetime.datetime] = _utc,
    ) -> None:
        """A folder's log, in files of ``largest`` bytes; the last ``kept`` full ones stay."""
        self.key = key
        self._folder = folder
        self._largest = largest
        self._kept = kept
        self._now = now
        self._lock: IO[bytes] | None = None
        self._head = _Head()
        self._missing = False  # whether the head alone has the last line
        self._lost = 0  # records since something went wrong

    def write(self, record: Record) -> None:
        """Append a record. Raises StorageError; the log is whole then, but lacks this record."""
        try:
            self._open()
            if self._missing:
                self._append()
            if self._lost:
                self._chain({"kind": "gap", "lost": self._lost})
                self._lost = 0
            self._chain(record)
        except StorageError:
            self._lost += 1
            raise
        except OSError as error:
            self._lost += 1
            raise StorageError(
                f"{self._folder}: the log cannot be written ({error.strerror})"
            ) from None

    def close(self) -> None:
        """Let others write it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Audit:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> None:
        """Go on with the log that is there; what a pulled plug interrupted is completed."""
        if self._lock is not None:
            return
        make_folder(self._folder, 0o700)
        lock = (self._folder / "lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._head = _Head.load(self._folder / "head", self.key) or _Head()
            self._complete()
        except BaseException as error:
            lock.close()
            if isinstance(error, BlockingIOError):
                raise StorageError(f"{self._folder}: another gate writes this log") from None
            if isinstance(error, ValueError):
                raise StorageError(
                    f"{self._folder / 'head'}: {error}; look at it with 'kaimen audit verify', "
                    "then move the folder away, and a new log begins"
                ) from None
            raise
        self._lock = lock

    def _chain(self, record: Record) -> None:
        """The head first: from then on the line is there, whatever happens."""
        number = self._head.last + 1
        at = self._now().astimezone(datetime.UTC).isoformat(timespec="milliseconds")
        whole = {"number": number, "at": at, **_plain(record), "before": self._head.hash}
        body = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        found = _hash(self.key, body.encode())
        old = files_of(self._folder)[: -1 - self._kept]
        first, origin = _end_of(old[-1]) if old else (self._head.first - 1, self._head.origin)
        line = f'{body[:-1]},"hash":"{found}"}}\n'
        head = _Head(first + 1, origin, number, found, line)
        head.save(self._folder / "head", self.key)
        self._head, self._missing = head, True
        for path in old:
            path.unlink()
        # The head has it, so a full disk does no harm here: it is appended before the next.
        with contextlib.suppress(OSError):
            self._append()

    def _append(self) -> None:
        """Bring the head's line to where it belongs."""
        path, size = self._end()
        if path is None or not 0 < size < self._largest or _is_torn(path):
            path, size = self._folder / f"audit-{self._head.last:09}.jsonl", 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            content = self._head.line.encode()
            try:
                if os.write(descriptor, content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        self._missing = False

    def _complete(self) -> None:
        """Cut off what a pulled plug left of the last line, and append what it left in the head."""
        path, size = self._end()
        if path is not None:
            written = path.read_bytes()
            torn = written[written.rfind(b"\n") + 1 :]
            # Anything else was not written here: it stays for 'kaimen audit verify' to find.
            if (torn or not written) and self._head.line.encode().startswith(torn):
                os.truncate(path, size - len(torn))
                if size == len(torn):
                    path.unlink()
        path, _ = self._end()
        last = self._head.first - 1 if path is None else _end_of(path)[0]
        if self._head.line and last == self._head.last - 1:
            self._append()

    def _end(self) -> tuple[Path | None, int]:
        """The file that is being written, and its size."""
        files = files_of(self._folder)
        return (files[-1], files[-1].stat().st_size) if files else (None, 0)


def files_of(folder: Path) -> list[Path]:
    """The files of a log, oldest first."""
    return sorted(folder.glob("audit-*.jsonl"))


def pseudonym(key: bytes, student: str) -> str:
    """What a student is called in the log: nobody finds out who it is without the key.

    64 bits tell 20,000 students apart with a chance of one in 10^11 of confusing any two.
    """
    return hmac.digest(key, f"student {student}".encode(), "sha256").hex()[:SHORT]


def record_of(
    answer: Answer, *, key: bytes, encoder: str, gallery: str, calibration: str
) -> Record:
    """The record of a decision by an encoder, a gallery and a calibration with these hashes."""
    decision, samples = answer.decision, answer.phrase.samples

    def named(match: Match) -> Record:
        return {"student": pseudonym(key, match.student), "score": match.score}

    scores = [match.score for match in decision.nearest]
    return {
        "kind": "decision",
        "verdict": decision.verdict.value,
        "student": decision.student and pseudonym(key, decision.student),
        "claim": decision.claim and pseudonym(key, decision.claim),
        "score": decision.score,
        "threshold": decision.threshold,
        "above_threshold": scores[0] - decision.threshold if scores else None,
        "above_next": scores[0] - scores[1] if len(scores) > 1 else None,
        "nearest": [named(match) for match in decision.nearest],
        "seconds": answer.phrase.seconds,
        "peak": float(np.abs(samples).max(initial=0)),
        "clipped": clipped_share(samples),
        "pooled": decision.pooled,
        "checks": {check.name: [check.score, check.threshold] for check in decision.checks},
        "latency": answer.latency,
        "computed": answer.computed,
        "encoder": encoder[:SHORT],
        "gallery": gallery[:SHORT],
        "calibration": calibration[:SHORT],
    }


# Reading it again


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
    problems: list[Problem] = field(default_factory=list)


def verify(folder: Path, key: bytes, noted: str = "", *, newest: bool = False) -> Report:
    """Whether a log is as it was written; a gate may be writing it meanwhile.

    ``noted``: the ``end`` of an earlier report, kept elsewhere. It shows what hashes alone cannot:
    that somebody put back a whole older log. ``newest``: only of the file that is being written,
    in seconds however long the log is. Raises StorageError where there is no log.
    """
    if not files_of(folder) and not (folder / "head").exists():
        raise StorageError(f"{folder}: no log there; 'kaimen run' writes one")
    while True:
        head, wrong = _head_of(folder, key)
        report = _verified(folder, key, head, noted, newest)
        report.problems[:0] = wrong
        now, _ = _head_of(folder, key)
        # Otherwise the gate removed an old file meanwhile.
        if (head and head.first) == (now and now.first):
            return report


def export(folder: Path, key: bytes) -> Iterator[Record]:
    """The records in their order, as far as they can be read; ``verify`` says what is wrong."""
    for _, content in _lines(files_of(folder)):
        record = _checked(content, key)
        if record is not None:
            yield record


def copy(folder: Path, key: bytes, to: Path) -> None:
    """A log of one moment, whole, in a folder beside it; a gate may be writing it meanwhile.

    Full files are linked, not copied. Raises StorageError for one that is not as it was written.
    """
    head = None
    with contextlib.suppress(ValueError):  # ``verify`` says what is wrong
        head = _Head.load(folder / "head", key)
    to.mkdir(mode=0o700)
    for path in files_of(folder):
        with contextlib.suppress(FileNotFoundError):
            os.link(path, to / path.name)
    if head is not None and head.last:
        head.save(to / "head", key)
        _end_with(to, head)
    problems = verify(to, key).problems
    if problems:
        raise StorageError(
            f"{folder}: {problems[0].place}: {problems[0].what}; look at it with 'kaimen audit "
            "verify', then move the folder away, and a new log begins"
        )


def _end_with(folder: Path, head: _Head) -> None:
    """Leave out what was written after the head, and put in its line if only the head has it."""
    files = files_of(folder)
    while files and int(files[-1].stem.removeprefix("audit-")) > head.last:
        files.pop().unlink()
    path = files[-1] if files else folder / f"audit-{head.last:09}.jsonl"
    content, line = path.read_bytes() if files else b"", head.line.encode()
    at = content.find(line)
    if at < 0:
        at = content.rfind(b"\n") + 1
    write_whole(path, lambda file: file.write(content[:at] + line), private=True)


def _head_of(folder: Path, key: bytes) -> tuple[_Head | None, list[Problem]]:
    try:
        head = _Head.load(folder / "head", key)
    except ValueError as error:
        return None, [Problem("head", str(error))]
    return head, [] if head else [Problem("head", "missing")]


def _verified(folder: Path, key: bytes, head: _Head | None, noted: str, newest: bool) -> Report:
    report = Report()
    files = files_of(folder)
    left_out = files[:-1] if newest else []
    missing = {noted: "noted once, and not in the log"} if noted else {}
    number, before = None, BEGINNING  # of the line before, if it is known
    if head is not None and head.last:
        number, before = head.first - 1, head.origin
        missing[_name(head.last, head.hash)] = (
            "the last line is in the head alone: the gate was cut off while writing it, and puts "
            "it back with its next line, or somebody removed it"
        )
    if left_out:
        number = None  # of the last line that is not looked at
    for place, content in _lines(files[len(left_out) :]):
        record = _checked(content, key)
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
        report.lines += 1
        report.first = report.first or record["at"]
        report.last, report.end = record["at"], _name(record["number"], before)
        missing.pop(report.end, None)
    report.problems += [Problem(end[:20], what) for end, what in missing.items()]
    return report


def _name(number: int, hashed: str) -> str:
    return f"{number}:{hashed}"


def _lines(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            # A line of ours is some kilobytes long; whatever else may be there fills no memory.
            lines = iter(lambda: file.readline(LONGEST), b"")
            for number, content in enumerate(lines, 1):
                yield f"{path.name}:{number}", content


def _checked(content: bytes, key: bytes) -> Record | None:
    """The record of a line whose bytes are as they were written."""
    body, tail = content[:-TAIL] + b"}", content[-TAIL:]
    if tail != f',"hash":"{_hash(key, body)}"}}\n'.encode():
        return None
    record: Record = json.loads(content)
    return record


def _hash(key: bytes, content: bytes) -> str:
    return hmac.digest(key, content, "sha256").hex()


def _is_torn(path: Path) -> bool:
    """Whether a file ends within a line."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _end_of(path: Path) -> tuple[int, str]:
    """Number and hash of a file's last line; of none where that is no line of ours."""
    try:
        record = json.loads(path.read_bytes().splitlines()[-1])
        return int(record["number"]), str(record["hash"])
    except (ValueError, KeyError, IndexError, TypeError):
        return 0, BEGINNING


def _plain(value: Any) -> Any:
    """The same without what JSON has no word for."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
