"""Files that libsndfile would read only in part: joined ones, and those never finished.

FLAC and Ogg files that were joined are taken apart at the beginning of each, where libsndfile
reads the first and stops (RFC 9639, 8; RFC 3533, 6). A WAV whose recorder was cut off, and says
that it holds nothing, is told to be read to its end.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator

# Its mark, then 34 bytes of STREAMINFO.
FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
OGG = re.compile(rb"OggS\x00[\x00-\x07]", re.DOTALL)  # its mark, version and flags
LONGEST_MARK = 8  # bytes
PIECE = 1 << 20  # bytes that are looked through at a time
FIRST_PAGE = 2  # flag of an Ogg page that a stream begins with
TO_THE_END = 0xFFFF_FFFF  # bytes, says a WAV that was written to a pipe


def parts(descriptor: int, head: bytes) -> list[tuple[int, int]]:
    """Return where each of several FLAC or Ogg files in one begins and ends; none of a single."""
    if head.startswith(b"fLaC"):
        starts = [start for start, _ in _found(FLAC, descriptor)]
    else:
        starts = list(_links(descriptor))
    ends = [*starts[1:], os.fstat(descriptor).st_size]
    return list(zip(starts, ends, strict=True)) if len(starts) > 1 else []


def _links(descriptor: int) -> Iterator[int]:
    """Yield where each Ogg stream begins that is not beside another one."""
    beginning = False
    for start, mark in _found(OGG, descriptor):
        first = bool(mark[-1] & FIRST_PAGE)
        if first and not beginning:
            yield start
        beginning = first


def _found(mark: re.Pattern[bytes], descriptor: int) -> Iterator[tuple[int, bytes]]:
    """Yield where a mark is and its bytes; of a large file a piece alone is ever in memory."""
    place = 0
    while piece := os.pread(descriptor, PIECE + LONGEST_MARK - 1, place):
        for match in mark.finditer(piece):
            if match.start() < PIECE:  # else the next piece begins before it
                yield place + match.start(), match[0]
        place += PIECE


def another_follows(descriptor: int, head: bytes) -> bool:
    """Return whether a WAV is followed by another one, where the first says that it ends."""
    end = 8 + int.from_bytes(head[4:8], "little")
    following = os.pread(descriptor, 12, end + end % 2)
    return all(each[:4] == b"RIFF" and each[8:12] == b"WAVE" for each in (head, following))


def unfinished(head: bytes, size: int) -> bytes | None:
    """Return the head of a WAV that says it holds nothing, mended; None of every other file."""
    if not (head.startswith(b"RIFF") and head[8:12] == b"WAVE"):
        return None
    place = 12
    while place + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, place)
        place += 8
        if name == b"data":
            follows = head[place : place + 8]
            if length or place >= size or _is_chunk(follows, size - place):
                return None
            return head[: place - 4] + struct.pack("<I", TO_THE_END) + head[place:]
        place += length + length % 2
    return None


def _is_chunk(head: bytes, left: int) -> bool:
    """Return whether another chunk begins there, and not sound."""
    if len(head) < 8:
        return True
    name, length = head[:4], int.from_bytes(head[4:], "little")
    return name.isascii() and name.decode("ascii").isprintable() and length + 8 <= left
