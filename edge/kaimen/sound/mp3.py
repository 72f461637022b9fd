"""MP3s with a length that is right: their frames are counted, whatever their headers say.

An MP3 is frames one after another. How many there are is written, if at all, in an info frame in
front of them (Xing, Info), and decoders guess where it is not, or stop where it says so. Here the
frames are counted, and an info frame that says so is put in front of them. The layout of frames is
ISO/IEC 11172-3, 2.4.1; that of info frames the "mp3 Info Tag" of LAME, revision 1.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

# A header: in sync, layer III, a known version, bit rate and sample rate.
HEADER = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", re.DOTALL)
RATES = (44_100, 48_000, 32_000)  # Hz, of version 1
HALVED = {3: 0, 2: 1, 0: 2}  # times, by the bits of versions 1, 2 and 2.5
BIT_RATES = {  # kbit/s, by version 1 or not
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
IN_A_ROW = 3  # frames that prove that it is an MP3
MOST_JUNK = 4 << 20  # bytes between frames that are looked through
INFO = 84  # bytes of an info frame, at least
ENOUGH = 2  # times the longest, with what encoders put before and after
TAG = 10  # bytes of a tag, at least
DECODER_DELAY = 529  # samples


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame's header says."""

    start: int
    length: int  # bytes
    samples: int
    rate: int  # Hz
    side: int  # bytes between the header and the sound, where an info frame has its mark
    form: tuple[int, int]  # frames of one stream have the same: version and rate, mono or not

    @property
    def end(self) -> int:
        """Return where the next frame begins."""
        return self.start + self.length


@dataclass(slots=True)
class Stream:
    """Frames of one form that one encoder wrote."""

    first: Frame
    declared: int | None = None  # frames that the info frame says there are
    delay: bytes | None = None  # samples that the encoder put before and after, 12 bits each
    frames: int = 0
    largest: int = 0  # bytes of a frame
    pieces: list[tuple[int, int]] = field(default_factory=list)  # where they are, from and to

    def add(self, frame: Frame) -> None:
        """Append a frame."""
        self.frames += 1
        self.largest = max(self.largest, frame.length)
        start = self.pieces.pop()[0] if self.pieces and self.pieces[-1][1] == frame.start else None
        self.pieces.append((frame.start if start is None else start, frame.end))

    @property
    def most_bits(self) -> float:
        """Return bits that a sample of a channel has where the bit rate is highest."""
        _, mono = self.first.form
        return 8 * self.largest / self.first.samples / (1 if mono else 2)

    @property
    def before(self) -> int:
        """Return samples that are decoded before its own begin."""
        return self.first.samples - DECODER_DELAY if self.delay is None else 0

    def written(self, content: bytes) -> Iterator[bytes | memoryview]:
        """Yield a file of it alone that says how long it is."""
        front = self._front(content)
        mark = b"Xing" + struct.pack(">II", 1, self.frames)
        if self.delay is None:
            # Decoders leave out their own delay behind an info frame: let it be of a blank one.
            mark = b"Xing" + struct.pack(">II", 1, self.frames + 1)
            yield self._filled(front, mark)
            yield self._filled(front, b"")
        else:
            both = int.from_bytes(self.delay, "big")
            if not self.declared or self.frames < self.declared:  # what was put after is cut
                both &= 0xFFF000
            yield self._filled(front, mark + b"LAME3.100" + bytes(12) + both.to_bytes(3, "big"))
        for start, end in self.pieces:
            yield memoryview(content)[start:end]
        yield bytes(max(0, end - len(content)))  # of a last frame that was cut

    def _front(self, content: bytes) -> bytes:
        """Return a header of a frame that is long enough for an info frame."""
        header = bytearray(content[self.first.start : self.first.start + 4])
        header[1] |= 1  # without a checksum
        for bit_rate in range(1, 15):
            header[2] = header[2] & 0x0C | bit_rate << 4
            frame = _frame(bytes(header), 0)
            if frame is not None and frame.length >= INFO:
                break
        return bytes(header)

    def _filled(self, header: bytes, mark: bytes) -> bytes:
        frame = _frame(header, 0)
        assert frame is not None
        return (bytes(header) + bytes(frame.side) + mark).ljust(frame.length, b"\0")


def streams(content: bytes, longest: float = math.inf) -> list[Stream]:
    """Return the streams of a file in their order; none if it is no MP3.

    Of a file that lasts longer than ``longest`` seconds the rest may be left out.
    """
    found: list[Stream] = []
    seconds = 0.0
    for frame in _frames(content):
        seconds += frame.samples / frame.rate
        if seconds > ENOUGH * longest:
            break
        info = _info_of(content, frame)
        if info is not None:
            found.append(Stream(frame, *info))
            continue
        if not found or found[-1].first.form != frame.form:
            found.append(Stream(frame))
        found[-1].add(frame)
    return [stream for stream in found if stream.frames]


def _frames(content: bytes) -> Iterator[Frame]:
    """Yield every frame; what is between them is passed over."""
    position, junk = 0, 0
    while junk < MOST_JUNK:
        before, frame = position, _proven(content, position)
        while frame is not None:
            yield frame
            position = frame.end
            following = _frame(content[position : position + 4], position)
            frame = following if following and following.form == frame.form else None
        if position > before:
            continue
        position = _after_tag(content, before)
        junk += TAG
        if position == before:
            match = HEADER.search(content, before + 1, before + MOST_JUNK)
            if match is None:
                return
            position = match.start()
            junk += position - before


def _proven(content: bytes, start: int) -> Frame | None:
    """Return the frame at a place, if so many follow it that it is no chance, or the file ends."""
    first = frame = _frame(content[start : start + 4], start)
    for _ in range(IN_A_ROW - 1):
        if frame is None or frame.end > len(content):
            return None
        if frame.end == len(content):
            return first
        following = _frame(content[frame.end : frame.end + 4], frame.end)
        frame = following if following and first and following.form == first.form else None
    return first if frame is not None else None


def _frame(header: bytes, start: int) -> Frame | None:
    if HEADER.match(header) is None or len(header) < 4 or header[2] & 0x0C == 0x0C:
        return None
    version, mono = header[1] >> 3 & 3, header[3] >> 6 == 3
    one = version == 3
    rate = RATES[header[2] >> 2 & 3] >> HALVED[version]
    samples = 1152 if one else 576
    bit_rate = 1000 * BIT_RATES[one][header[2] >> 4]
    length = samples // 8 * bit_rate // rate + (header[2] >> 1 & 1)
    side = (17 if mono else 32) if one else (9 if mono else 17)
    return Frame(start, length, samples, rate, side, (rate, mono))


def _info_of(content: bytes, frame: Frame) -> tuple[int | None, bytes | None] | None:
    """The frames that an info frame declares, and the encoder's delays; None of other frames."""
    inside = bytes(content[frame.start : frame.end])
    if inside[36:40] == b"VBRI":
        return struct.unpack_from(">I", inside.ljust(54, b"\0"), 50)[0], None
    mark = 4 + frame.side
    if inside[mark : mark + 4] not in (b"Xing", b"Info"):
        return None
    inside = inside.ljust(mark + 200, b"\0")
    (flags,) = struct.unpack_from(">I", inside, mark + 4)
    declared = struct.unpack_from(">I", inside, mark + 8)[0] if flags & 1 else None
    lame = mark + 8 + 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2
    return declared, inside[lame + 21 : lame + 24] if any(inside[lame : lame + 9]) else None


def _after_tag(content: bytes, position: int) -> int:
    """Return where the tag at a place ends (ID3v2); the place itself without one."""
    size = content[position + 6 : position + 10]
    if not content.startswith(b"ID3", position) or len(size) < 4 or max(size) > 0x7F:
        return position
    end = position + TAG + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    return end if end <= len(content) else position
