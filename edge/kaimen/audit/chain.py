"""How lines hang together: keyed hashes, and the files of a log."""

from __future__ import annotations

import contextlib
import hmac
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaimen.errors import StorageError
from kaimen.parsing import read_json

BEGINNING = "0" * 64  # stands for the hash before the first line
LONGEST = 1 << 20  # bytes that are read as one line
LOCK = "lock"  # whoever writes the log holds it; it also tells how many lines are lost
FILE = re.compile(r"audit-[0-9]{9,18}\.jsonl")
TAIL = len(',"hash":""}\n') + 64  # bytes of a line that its hash does not cover

Record = dict[str, Any]


def files_of(folder: Path) -> list[Path]:
    """Return the files of a log, oldest first. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if FILE.fullmatch(each.name) and each.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((folder / name for name in names), key=number_of)


def foreign(folder: Path) -> list[Path]:
    """Return what is called like a file of a log, and is none. Raises OSError."""
    ours = files_of(folder)
    return [path for path in sorted(folder.glob("audit-*.jsonl")) if path not in ours]


def number_of(path: Path) -> int:
    """Return the number of a file's first line."""
    return int(path.stem.removeprefix("audit-"))


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Make a StorageError of what the disk says of a log."""
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"{error.filename or folder}: cannot be read ({error.strerror}); call it as the "
            "gate's own user"
        ) from None


@dataclass(frozen=True, slots=True)
class LostRecords:
    """How many records could not be written after a line, kept where no room is needed for it."""

    count: int
    after: int  # number of the line that was the last

    def rendered(self) -> bytes:
        """Return it as it is written: always as long, so that it takes no more of a full disk."""
        return f"{self.count:010} {self.after:020}\n".encode()

    @classmethod
    def parse(cls, written: bytes) -> LostRecords:
        """Return what was written; of anything else, none."""
        try:
            return cls(*map(int, written.split()))
        except (ValueError, TypeError):
            return cls(0, 0)

    @classmethod
    def after_last(cls, folder: Path, last: int) -> int:
        """Return how many records are lost after the last line, by its number. Raises OSError."""
        with contextlib.suppress(FileNotFoundError), (folder / LOCK).open("rb") as file:
            lost = cls.parse(file.read(100))
            return lost.count if lost.after == last else 0
        return 0


def hash_of(key: bytes, content: bytes) -> str:
    """Return the keyed hash that a line ends with."""
    return hmac.digest(key, content, "sha256").hex()


def named(number: int, hashed: str) -> str:
    """Return a line, as somebody may note it down."""
    return f"{number}:{hashed}"


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the files of a log end, by its latest lines."""

    path: Path | None  # the last file with a whole line; None if no file has one
    content: bytes  # of it
    end: int  # of what belongs there
    missing: tuple[bytes, ...]  # lines that belong behind that
    ours: bool  # whether what is behind it is nothing, or a piece of a line
    torn: tuple[Path, ...]  # files with no more than a piece of a line

    @classmethod
    def of(cls, files: Sequence[Path], lines: Sequence[str]) -> LogEnd:
        """Compare files with the latest lines, the last one last. Raises OSError."""
        latest = tuple(line.encode() for line in lines)
        torn: list[Path] = []
        for path in reversed(files):
            content = path.read_bytes()
            end, missing = _end_in(content, latest)
            rest = content[end:].rstrip(b"\0")
            ours = not rest or any(line.startswith(rest) for line in missing)
            if end or not ours:
                return cls(path, content, end, missing, ours, tuple(torn))
            torn.append(path)
        return cls(None, b"", 0, latest, True, tuple(torn))


def _end_in(content: bytes, lines: tuple[bytes, ...]) -> tuple[int, tuple[bytes, ...]]:
    for number, line in reversed([*enumerate(lines)]):
        at = content.rfind(line)
        if at >= 0:
            return at + len(line), lines[number + 1 :]
    return content.rfind(b"\n") + 1, lines


def lines_of(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield where each line stands, and its bytes; of files that are removed meanwhile, none."""
    for path in files:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            # A line of ours is some kilobytes long; whatever else may be there fills no memory.
            lines = iter(lambda: file.readline(LONGEST), b"")
            for number, content in enumerate(lines, 1):
                yield f"{path.name}:{number}", content


def checked(content: bytes, key: bytes) -> Record | None:
    """Return the record of a line whose bytes are as they were written."""
    body, tail = content[:-TAIL] + b"}", content[-TAIL:]
    if tail != f',"hash":"{hash_of(key, body)}"}}\n'.encode():
        return None
    record: Record = read_json(content)
    return record


def records_of(files: Sequence[Path], key: bytes) -> Iterator[Record]:
    """Yield the records of files, as far as they can be read."""
    for _, content in lines_of(files):
        record = checked(content, key)
        if record is not None:
            yield record


def is_torn(path: Path) -> bool:
    """Return whether a file ends within a line."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def end_of(path: Path) -> tuple[int, str]:
    """Number and hash of a file's last line; of none where that is no line of ours."""
    try:
        record = read_json(path.read_bytes().splitlines()[-1])
        return int(record["number"]), str(record["hash"])
    except (ValueError, KeyError, IndexError, TypeError):
        return 0, BEGINNING
