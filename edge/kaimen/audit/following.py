"""Following the log: each record once it is written, from where one left off the last time.

A **cursor** is a small file with the last record that its owner has dealt with. It outlives
restarts, the removal of old files, and a log that was put in the place of this one. A record is
given at least once and in order: who was killed before ``keep`` gets it again, so receivers drop
what has an ``id_of`` that they know.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from kaimen.audit.chain import (
    BEGINNING,
    LONGEST,
    Record,
    checked,
    files_of,
    named,
    number_of,
    readable,
    records_of,
)
from kaimen.audit.head import HeadFile
from kaimen.errors import StorageError
from kaimen.parsing import read_json
from kaimen.storage import write_whole

MOST = 500  # records that are given at once
SETTLED = 1.0  # seconds after which a file's time tells whether it was written again


def id_of(record: Record) -> str:
    """Return what no other record is called, in this log and in any that takes its place."""
    return named(record["number"], record["hash"])


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last record that was dealt with."""

    number: int = 0
    hash: str = BEGINNING
    at: str = ""

    @classmethod
    def after(cls, record: Record) -> Cursor:
        """Return the cursor of one who has dealt with a record."""
        return cls(record["number"], record["hash"], record["at"])

    @classmethod
    def load(cls, path: Path) -> Cursor:
        """Return the one that was kept; the beginning where there is none, or no cursor.

        Raises StorageError for one that cannot be read.
        """
        try:
            kept = read_json(path.read_bytes())
            cursor = cls(int(kept["number"]), str(kept["hash"]), str(kept["at"]))
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise StorageError(
                f"{path}: cannot be read ({error.strerror}); give it to the user that follows"
            ) from None
        except (ValueError, TypeError, KeyError):
            return cls()
        return cursor if cursor.number >= 0 else cls()

    def save(self, path: Path) -> None:
        """Write it in one step. Raises StorageError."""
        content = json.dumps(asdict(self)).encode()
        write_whole(path, content, private=True)


class Follower:
    """The records of a log behind a cursor; a gate may be writing, rotating or starting anew."""

    def __init__(self, folder: Path, key: bytes, cursor: Path | None = None) -> None:
        """Begin behind the cursor that is kept at a path; without one, at the oldest record.

        Raises StorageError for a cursor that cannot be read.
        """
        self.missed = 0  # records that were removed before they were given
        self._folder = folder
        self._key = key
        self._path = cursor
        self._cursor = Cursor() if cursor is None else Cursor.load(cursor)
        self._kept = self._cursor
        self._file = Path()  # that is being read; at first, none
        self._inode = 0
        self._offset: int  # of its first byte that was not given
        self._lost = False  # what is being read does not follow from what was given
        self._searching: bool  # for the first record behind the cursor
        self._seen: tuple[int, ...] = ()  # which head was looked at, behind which record
        self._not_before = ""  # after a log was put in this one's place

    def skip(self) -> None:
        """Go to the end: what is there now is not given. Raises StorageError."""
        with readable(self._folder):
            found = self._head()
        record = checked(found.head.line.encode(), self._key) if found is not None else None
        if record is not None:
            self._cursor = Cursor.after(record)
            return
        while self.waiting():
            pass
        self.missed = 0

    def waiting(self, most: int = MOST) -> list[Record]:
        """Return what was written since, at most so many records; never wait.

        A log that is not there yet has none. Raises StorageError for one that cannot be read.
        """
        with readable(self._folder):
            found = self._read(most)
            if self._lost:  # the file has the name of the one that was read, and is another
                found += self._read(most - len(found))
            return found or self._of_head()

    def keep(self) -> None:
        """Write down that all that was given is dealt with. Raises StorageError."""
        if self._path is not None and self._cursor != self._kept:
            self._cursor.save(self._path)
            self._kept = self._cursor

    def _read(self, most: int) -> list[Record]:
        files = files_of(self._folder)
        if not files:
            return []
        if self._lost or not self._is_at(files):
            self._find(files)
        found: list[Record] = []
        # Files are listed before they are read: one that has a successor is read to its end.
        for path in files[files.index(self._file) :]:
            if path != self._file:
                self._file, self._offset = path, 0
            try:
                with path.open("rb") as file:
                    self._inode = os.fstat(file.fileno()).st_ino
                    file.seek(self._offset)
                    self._take(file, found, most)
            except FileNotFoundError:  # old, and removed meanwhile
                continue
            if self._lost or len(found) >= most:
                break
        return found

    def _take(self, file: IO[bytes], found: list[Record], most: int) -> None:
        """Take whole lines; of one that is being written, nothing yet."""
        while len(found) < most:
            content = file.readline(LONGEST)
            if not content.endswith(b"\n") and len(content) < LONGEST:
                return
            self._offset += len(content)
            record = checked(content, self._key)
            if record is None:
                continue
            if not self._searching and record["before"] != self._cursor.hash:
                self._lost = True
                return
            if self._is_new(record):
                self._give(record, found)

    def _is_new(self, record: Record) -> bool:
        number, at = int(record["number"]), str(record["at"])
        return number > self._cursor.number and at >= self._not_before

    def _give(self, record: Record, found: list[Record]) -> None:
        if self._cursor.number:
            self.missed += record["number"] - self._cursor.number - 1
        self._cursor, self._searching = Cursor.after(record), False
        found.append(record)

    def _of_head(self) -> list[Record]:
        """Return lines that only the head has: on a full disk, and after a power cut."""
        found: list[Record] = []
        try:
            stat = (self._folder / "head").stat()
        except FileNotFoundError:
            return found
        seen = stat.st_ino, stat.st_mtime_ns, self._cursor.number
        if seen == self._seen:
            return found
        head = self._head()
        if time.time() - stat.st_mtime > SETTLED:
            self._seen = seen
        for record in head.records() if head is not None else ():
            if record["number"] == self._cursor.number + 1 and self._is_new(record):
                self._give(record, found)
        return found

    def _is_at(self, files: list[Path]) -> bool:
        """Return whether the file that is being read is still the one that it was."""
        if self._file not in files:
            return False
        try:
            now = self._file.stat()
        except FileNotFoundError:
            return False
        return now.st_ino == self._inode and now.st_size >= self._offset

    def _find(self, files: list[Path]) -> None:
        """Begin with the file that has the record of the cursor, or should have the next one."""
        if self._cursor.number and self._is_another_log(files):
            # What was given before that log was put here has an earlier time, if it is in it.
            self._not_before, self._cursor = self._cursor.at, Cursor()
        before = [each for each in files if number_of(each) <= self._cursor.number]
        self._file, self._offset = before[-1] if before else files[0], 0
        self._lost, self._searching = False, True

    def _is_another_log(self, files: list[Path]) -> bool:
        """Return whether the cursor's record cannot have been in this log."""
        number = self._cursor.number
        last = 0
        for path in reversed(files):
            for record in records_of([path], self._key):
                if record["number"] == number:
                    return str(record["hash"]) != self._cursor.hash
                last = max(last, record["number"])
            if number_of(path) <= number:
                break
        found = self._head()
        for record in found.records() if found is not None else ():
            if record["number"] == number:
                return str(record["hash"]) != self._cursor.hash
        return last < number and (found is None or found.head.last < number)

    def _head(self) -> HeadFile | None:
        """Return the head, unless it was changed: 'kaimen audit verify' says that."""
        try:
            return HeadFile.load(self._folder / "head", self._key)
        except ValueError:
            return None
