"""The head: where the log's chain ends, and its latest lines, in a file of a fixed size.

The file has ``SLOTS`` slots of the same size. Line n lies in slot n modulo ``SLOTS``, signed
together with the slot's number. A line is written over the oldest one and flushed: that is one
flush, and nothing for the file system's journal to write. So the log's own file need not be
flushed until a slot is to be used again: what a power cut takes from it is in the head.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kaimen.audit.chain import BEGINNING, LONGEST, Record, checked, hash_of
from kaimen.parsing import read_json
from kaimen.storage import write_whole

SLOTS = 16
SLOT = 4096  # bytes of a slot, or a multiple: a page is written, not read first
PAUSE = 0.02  # seconds until a file is read again that may be under way


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain begins and ends."""

    first: int = 1  # number of the oldest line that is kept
    origin: str = BEGINNING  # hash of the line before it
    last: int = 0  # number of the last line
    hash: str = BEGINNING
    line: str = ""  # the last line itself

    @classmethod
    def load(cls, path: Path, key: bytes) -> Head | None:
        """Read it; None without one. Raises ValueError for one that was changed, and OSError."""
        found = HeadFile.load(path, key)
        return None if found is None else found.head

    def save(self, path: Path, key: bytes) -> None:
        """Write a head's file in one step. Raises StorageError."""
        HeadFile(path, key).put(self)

    def packed(self, key: bytes, *slot: int) -> bytes:
        """Return it as it is written into a slot, with a keyed hash of its own."""
        values = [*slot, self.first, self.origin, self.last, self.hash, self.line]
        return json.dumps([*values, hash_of(key, json.dumps(values).encode())]).encode()


class HeadFile:
    """The file, as it was read and as it is written."""

    def __init__(self, path: Path, key: bytes, heads: Sequence[Head] = (), slot: int = 0) -> None:
        """``heads`` are those of the latest lines, the last one last; a slot has ``slot`` bytes."""
        self._path = path
        self._key = key
        self._slot = slot
        self.head = heads[-1] if heads else Head()
        self.lines = tuple(each.line for each in heads)
        self.torn = False  # whether the slot of the next line is as no gate leaves it

    @classmethod
    def load(cls, path: Path, key: bytes) -> HeadFile | None:
        """Read it; None without one. Raises ValueError for one that was changed, and OSError.

        What a gate may be writing at this moment is read again.
        """
        try:
            found = cls._read(path, key)
            if not found.torn:
                return found
        except FileNotFoundError:
            return None
        except ValueError:
            pass
        time.sleep(PAUSE)
        return cls._read(path, key)

    @classmethod
    def _read(cls, path: Path, key: bytes) -> HeadFile:
        with path.open("rb") as file:
            # As much room as is read is taken for it.
            written = file.read(min(2 * SLOTS * LONGEST, os.fstat(file.fileno()).st_size))
        former = _head_in(written, key)  # of an earlier Kaimen: a single one
        if former is not None:
            return cls(path, key, [former])
        size = len(written) // SLOTS
        heads = [
            _head_in(written[number * size : (number + 1) * size], key, number)
            for number in range(SLOTS)
        ]
        whole = sorted({each for each in heads if each is not None}, key=lambda each: each.last)
        found = cls(path, key, whole, size)
        torn = [number for number, each in enumerate(heads) if each is None]
        found.torn = torn == [(found.head.last + 1) % SLOTS]
        follow = all(after.last == before.last + 1 for before, after in pairwise(whole))
        if not follow or len(written) % SLOTS or (torn and not found.torn):
            raise ValueError("changed, or of another key")
        return found

    def records(self) -> list[Record]:
        """Return the records of the latest lines, the last one last."""
        found = [checked(line.encode(), self._key) for line in self.lines]
        return [record for record in found if record is not None]

    def takes(self, head: Head) -> bool:
        """Return whether a head can be written over a slot, so that the other lines stay."""
        try:
            there = self._path.stat().st_size == SLOTS * self._slot
        except FileNotFoundError:
            return False
        return there and len(head.packed(self._key, head.last % SLOTS)) <= self._slot

    def put(self, head: Head) -> None:
        """Put the next head on the disk. Raises StorageError and OSError.

        Where it cannot be written over a slot, the file is made anew, and has that line alone.
        """
        if self.takes(head):
            number = head.last % SLOTS
            descriptor = os.open(self._path, os.O_WRONLY)
            try:
                content = head.packed(self._key, number).ljust(self._slot)
                os.pwrite(descriptor, content, number * self._slot)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
            self.lines = (*self.lines, head.line)[-SLOTS:]
        else:
            slots = [head.packed(self._key, number) for number in range(SLOTS)]
            slot = -(-max(map(len, slots)) // SLOT) * SLOT
            content = b"".join(each.ljust(slot) for each in slots)
            write_whole(self._path, content, private=True)
            self._slot, self.lines = slot, (head.line,)
        self.head, self.torn = head, False


def _head_in(written: bytes, key: bytes, *slot: int) -> Head | None:
    """Return the head that a slot holds, or a whole file without slots; None of anything else."""
    try:
        head = Head(*read_json(written)[len(slot) : -1])
        packed = head.packed(key, *slot)
    except (ValueError, TypeError):
        return None
    return head if written == (packed.ljust(len(written)) if slot else packed) else None
