"""Files as sound: all of it, whatever their headers say of its length."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

from kaimen.errors import RecordingTooLong, UnreadableRecording
from kaimen.sound import joined, libsndfile, mp3, other_formats
from kaimen.sound.libsndfile import Blocks

LARGEST = 128 << 20  # bytes of a file that is copied into memory: half an hour of an MP3
LARGEST_SEARCHED = 1 << 30  # bytes of a FLAC or Ogg: half an hour of any
HEAD = 1 << 16  # bytes in which a WAV's sound begins
PLAIN = (b"RIFF", b"RF64", b"FORM", b"caff", b".snd")  # how files of plain samples begin
COMPRESSED = (b"fLaC", b"OggS")  # how files begin that are no MP3


def blocks(descriptor: int, longest: float) -> Blocks:
    """Yield the sound of an open regular file; ``longest`` are seconds that are asked for.

    Raises UnreadableRecording, UnsupportedFormat and RecordingTooLong.
    """
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, HEAD, 0)
    if not head:
        raise UnreadableRecording("the file is empty; record it again")
    form = other_formats.format_of(head, other_formats.OTHERS)
    if form is not None:
        return other_formats.blocks(descriptor, form, longest)
    if head.startswith(PLAIN):
        if joined.another_follows(descriptor, head):
            raise UnreadableRecording("two WAV files in one; save them as two, or as one recording")
        mended = joined.unfinished(head, size)
        if mended is None:
            return _of_file(descriptor, head, longest)
        _require_small(size)
        return _of_unfinished(mended, descriptor, len(head))
    if head.startswith(COMPRESSED):
        _require_small(size, LARGEST_SEARCHED)
        parts = joined.parts(descriptor, head)
        if not parts:
            return _of_file(descriptor, head, longest)
        _require_small(size)
        return _of_parts(descriptor, parts)
    _require_small(size)
    content = _read(descriptor)
    streams = mp3.streams(content, longest)
    return _of_mp3(content, streams) if streams else _of_file(descriptor, head, longest)


def _require_small(size: int, largest: int = LARGEST) -> None:
    if size > largest:
        raise RecordingTooLong(f"larger than {largest >> 20} MiB; cut it into pieces")


def _read(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read(LARGEST)


def _of_file(descriptor: int, head: bytes, longest: float) -> Blocks:
    os.lseek(descriptor, 0, os.SEEK_SET)
    decoded = False
    try:
        for block in libsndfile.blocks(descriptor):
            decoded = True
            yield block
    except libsndfile.Undecodable:
        form = other_formats.format_of(head, other_formats.KINDS)
        if not decoded and head.startswith(b"fLaC"):
            raise UnreadableRecording("damaged; copy it again, or record it again") from None
        if decoded or form is None:
            raise
        yield from other_formats.blocks(descriptor, form, longest)


def _of_parts(descriptor: int, parts: list[tuple[int, int]]) -> Blocks:
    for start, end in parts:
        places = range(start, end, HEAD)
        pieces = (os.pread(descriptor, min(HEAD, end - place), place) for place in places)
        with _in_memory(pieces) as part:
            yield from libsndfile.blocks(part)


def _of_unfinished(mended: bytes, descriptor: int, place: int) -> Blocks:
    """Return the sound of a WAV whose first ``place`` bytes were mended."""
    os.lseek(descriptor, place, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        rest = iter(lambda: file.read(HEAD), b"")
        with _in_memory(chain([mended], rest)) as whole:
            yield from libsndfile.blocks(whole)


def _of_mp3(content: bytes, streams: list[mp3.Stream]) -> Blocks:
    for number, stream in enumerate(streams, 1):
        left = stream.before
        with _in_memory(stream.written(content)) as descriptor:
            if number == len(streams):
                content = b""  # a long one would be held twice
            for rate, block in libsndfile.blocks(descriptor):
                if left < len(block):
                    yield rate, block[left:]
                left = max(0, left - len(block))


@contextmanager
def _in_memory(pieces: Iterable[bytes | memoryview]) -> Iterator[int]:
    descriptor = os.memfd_create("kaimen-recording", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "w+b") as file:
        file.writelines(pieces)
        file.seek(0)
        yield descriptor
