"""How lines hang together: keyed hashes, the head, and the files of a log."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaimen.storage import write_whole

BEGINNING = "0" * 64  # stands for the hash before the first line
LONGEST = 1 << 20  # bytes that are read as one line
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


def files_of(folder: Path) -> list[Path]:
    """The files of a log, oldest first."""
    return sorted(folder.glob("audit-*.jsonl"))


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
    except (ValueError, KeyError, IndexError, TypeError):
        return 0, BEGINNING
