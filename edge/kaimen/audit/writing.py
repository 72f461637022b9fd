"""Writing the log: the head first, then the line.

The head is flushed with each line, the log's file only before the head lets go of a line that is
not on the disk there.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from kaimen.audit.chain import LOCK, LogEnd, LostRecords, Record, end_of, files_of, hash_of, is_torn
from kaimen.audit.head import SLOTS, Head, HeadFile
from kaimen.clock import utc_now
from kaimen.closing import Closing
from kaimen.errors import StorageError
from kaimen.output import finite
from kaimen.storage import clear_temporary, make_folder, sync

LARGEST = 4 << 20  # bytes of a file before another is begun
KEPT = 256  # full files: a gigabyte, or about a million decisions


class Audit(Closing):
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
        days: int = 0,
        now: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        """A folder's log, in files of ``largest`` bytes; the last ``kept`` full ones stay.

        With ``days``, a day has files of its own, and files of more than so many days ago go.
        """
        self.key = key
        self._folder = folder
        self._largest = largest
        self._kept = kept
        self._days = days
        self._now = now
        self._lock: IO[bytes] | None = None
        self._head: HeadFile  # of a log that is open, as are the next two
        self._missing: list[str]  # the last lines, which the head alone has
        self._flushed: int  # number of the last line that is on the disk in its file
        self._lost = 0  # records since something went wrong

    def write(self, record: Record) -> None:
        """Append a record. Raises StorageError; the log is whole then, but lacks this record."""
        try:
            self._open()
            with contextlib.suppress(OSError):  # a full disk: the head has room for some lines
                self._append()
            if self._lost:
                self._chain({"kind": "gap", "lost": self._lost})
                self._lost = 0
            self._chain(record)
        except OSError as error:
            self._lose()
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"{self._folder}: the log cannot be written ({error.strerror})"
            ) from None

    def _lose(self) -> None:
        """Count a record that could not be written, also for whoever opens the log next."""
        self._lost += 1
        self._keep(self._lost)

    def _keep(self, lost: int) -> bool:
        """Write over what is there, which takes no room on a full disk; whether it was taken."""
        if self._lock is None:
            return False
        try:
            os.pwrite(self._lock.fileno(), LostRecords(lost, self._head.head.last).rendered(), 0)
            os.fdatasync(self._lock.fileno())
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let others write it."""
        if self._lock is not None:
            if self._lost and self._keep(self._lost):
                self._lost = 0  # whoever opens it next counts them
            self._lock.close()
            self._lock = None

    def _open(self) -> None:
        """Go on with the log that is there; what a pulled plug interrupted is completed."""
        if self._lock is not None:
            return
        make_folder(self._folder, 0o700)
        lock = os.fdopen(os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path = self._folder / "head"
            self._head = HeadFile.load(path, self.key) or HeadFile(path, self.key)
            self._complete()
            # A line that was being written is lost, unless it was to tell of lost ones.
            lost = LostRecords.after_last(self._folder, self._head.head.last)
            self._lost += max(lost, self._head.torn)
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
        self._keep(self._lost)  # room is taken while there is any

    def _chain(self, record: Record) -> None:
        """The head first: from then on the line is there, whatever happens."""
        before = self._head.head
        number = before.last + 1
        at = self._now().astimezone(datetime.UTC).isoformat(timespec="milliseconds")
        whole = {"number": number, "at": at, **finite(record), "before": before.hash}
        body = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
        found = hash_of(self.key, body.encode())
        old = self._old(files_of(self._folder))
        first, origin = end_of(old[-1]) if old else (before.first - 1, before.origin)
        line = f'{body[:-1]},"hash":"{found}"}}\n'
        head = Head(first + 1, origin, number, found, line)
        if before.last - self._flushed >= SLOTS or not self._head.takes(head):
            self._append()
            self._flush()
        self._head.put(head)
        self._missing.append(line)
        for path in old:
            path.unlink()
        with contextlib.suppress(OSError):
            self._append()

    def _flush(self) -> None:
        """Put on the disk what is in the file that is being written."""
        path, _ = self._end()
        if path is not None:
            sync(path)
        self._flushed = self._head.head.last - len(self._missing)

    def _old(self, files: list[Path]) -> list[Path]:
        """Return the files that go, oldest first: what is left must begin where they end."""
        surplus = len(files[: -1 - self._kept])
        if self._days:
            first = (self._now() - datetime.timedelta(days=self._days)).timestamp()
            # A file was last written when its last line was; the one being written stays.
            while surplus < len(files) - 1 and files[surplus].stat().st_mtime < first:
                surplus += 1
        return files[:surplus]

    def _append(self) -> None:
        """Bring lines that the head alone has to where they belong. Raises OSError."""
        while self._missing:
            path, size = self._end()
            begins = path is None or not 0 < size < self._largest
            if path is None or begins or self._is_over(path) or is_torn(path):
                self._flush()
                number = self._head.head.last - len(self._missing) + 1
                path, size = self._folder / f"audit-{number:09}.jsonl", 0
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                content = self._missing[0].encode()
                try:
                    if os.write(descriptor, content) < len(content):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    if not size:
                        sync(self._folder)
                except OSError:
                    os.ftruncate(descriptor, size)
                    raise
            finally:
                os.close(descriptor)
            del self._missing[0]

    def _is_over(self, path: Path) -> bool:
        """Return whether the day of a file is over, where each day has files of its own."""
        written = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).date()
        return bool(self._days) and written != self._now().astimezone(datetime.UTC).date()

    def _complete(self) -> None:
        """Cut off what a pulled plug left of a line, and append what it left in the head alone."""
        clear_temporary(self._folder / "head")
        head, lines = self._head.head, self._head.lines
        found = LogEnd.of(files_of(self._folder), lines)
        for path in found.torn:
            path.unlink()
        # Anything else was not written here: it stays for 'kaimen audit verify' to find.
        if found.path is not None and found.ours and found.end < len(found.content):
            os.truncate(found.path, found.end)
        follows = True
        if len(found.missing) == len(lines):  # none of them is there: they must follow what is
            last = head.first - 1 if found.path is None else end_of(found.path)[0]
            follows = last == head.last - len(lines)
        self._missing = [line.decode() for line in found.missing] if follows else []
        self._flush()
        with contextlib.suppress(OSError):  # a full disk: before the next line
            self._append()

    def _end(self) -> tuple[Path | None, int]:
        """Return the file that is being written, and its size."""
        files = files_of(self._folder)
        return (files[-1], files[-1].stat().st_size) if files else (None, 0)
