"""How lines hang together: keyed hashes, the head, and the files of a log."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaimen.storage import write_whole

BEGINNING = "0" * 64  # stands for the hash before the first line
LONGEST = 1 << 20  # bytes that are read as one line
LOCK = "lock"  # whoever writes the log holds it; it also tells how many lines are lost
FILE = re.compile(r"audit-[0-9]{9,18}\.jsonl")
TAIL = len(',"hash":""}\n') + 64  # bytes of a line that its hash does not cover

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain begins and ends."""

    first: int = 1  # number of the oldest line that is kept
    origin: str = BEGINNING  # hash of the line before it
    last: int = 0  # number of the last line
    hash: str = BEGINNING
    line: str = ""  # the last line itself

    def rendered(self, key: bytes) -> bytes:
        """As it is written, with a keyed hash of its own."""
        values = [self.first, self.origin, self.last, self.hash, self.line]
        return json.dumps([*values, hash_of(key, json.dumps(values).encode())]).encode()

    def save(self, path: Path, key: bytes) -> None:
        """Write it in one step. Raises StorageError."""
        write_whole(path, lambda file: file.write(self.rendered(key)), private=True)

    @classmethod
    def load(cls, path: Path, key: bytes) -> Head | None:
        """None where there is none. Raises ValueError for one that was changed, and OSError."""
        try:
            with path.open("rb") as file:
                written = file.read(2 * LONGEST)
        except FileNotFoundError:
            return None
        try:
            head = cls(*json.loads(written)[:-1])
            whole = head.rendered(key) == written
        except (ValueError, TypeError, RecursionError):
            whole = False
        if not whole:
            raise ValueError("changed, or of another key")
        return head


def files_of(folder: Path) -> list[Path]:
    """The files of a log, oldest first. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if FILE.fullmatch(each.name) and each.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((folder / name for name in names), key=number_of)


def foreign(folder: Path) -> list[Path]:
    """What is called like a file of a log, and is none. Raises OSError."""
    ours = files_of(folder)
    return [path for path in sorted(folder.glob("audit-*.jsonl")) if path not in ours]


def number_of(path: Path) -> int:
    """The number of a file's first line."""
    return int(path.stem.removeprefix("audit-"))


@dataclass(frozen=True, slots=True)
class Lost:
    """How many records could not be written after a line, kept where no room is needed for it."""

    count: int
    after: int  # number of the line that was the last

    def rendered(self) -> bytes:
        """As it is written: always as long, so that it takes no more of a full disk."""
        return f"{self.count:010} {self.after:020}\n".encode()

    @classmethod
    def parse(cls, written: bytes) -> Lost:
        """What was written; of anything else, none."""
        try:
            return cls(*map(int, written.split()))
        except (ValueError, TypeError):
            return cls(0, 0)

    @classmethod
    def after_last(cls, folder: Path, head: Head | None) -> int:
        """How many records are lost that no line tells of yet. Raises OSError."""
        with contextlib.suppress(FileNotFoundError), (folder / LOCK).open("rb") as file:
            lost = cls.parse(file.read(100))
            return lost.count if lost.after == (head or Head()).last else 0
        return 0


def hash_of(key: bytes, content: bytes) -> str:
    """The keyed hash that a line ends with."""
    return hmac.digest(key, content, "sha256").hex()


def named(number: int, hashed: str) -> str:
    """A line, as somebody may note it down."""
    return f"{number}:{hashed}"


def lines_of(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Where each line stands, and its bytes; of files that are removed meanwhile, none."""
    for path in files:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            # A line of ours is some kilobytes long; whatever else may be there fills no memory.
            lines = iter(lambda: file.readline(LONGEST), b"")
            for number, content in enumerate(lines, 1):
                yield f"{path.name}:{number}", content


def checked(content: bytes, key: bytes) -> Record | None:
    """The record of a line whose bytes are as they were written."""
    body, tail = content[:-TAIL] + b"}", content[-TAIL:]
    if tail != f',"hash":"{hash_of(key, body)}"}}\n'.encode():
        return None
    record: Record = json.loads(content)
    return record


def is_torn(path: Path) -> bool:
    """Return whether a file ends within a line."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def end_of(path: Path) -> tuple[int, str]:
    """Number and hash of a file's last line; of none where that is no line of ours."""
    try:
        record = json.loads(path.read_bytes().splitlines()[-1])
        return int(record["number"]), str(record["hash"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return 0, BEGINNING
