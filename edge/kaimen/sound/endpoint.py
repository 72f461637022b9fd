"""Where a phrase begins and ends in a stream.

A frame of 10 ms counts as speech while its level, after pre-emphasis, stands out from the
room. The room's level is the quietest moment of the last two seconds (minimum statistics;
R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum
statistics", IEEE Trans. Speech and Audio Processing 9(5), 2001, here without its spectrum):
steady noise of any level becomes the room after that time, and speech always has gaps.

Levels decide alone, on purpose: the learned detectors that were tried missed one-second
words of real speakers (``docs/figures/sound.md``), and what is no voice is far from every student.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from kaimen.sound import SAMPLE_RATE, Samples

FRAME = 160  # samples: 10 ms
PRE_EMPHASIS = 0.97
SMOOTHING = 5  # frames over which the room's level is averaged
ROOM_MEMORY = 200  # frames in which the quietest moment is the room
ROOM_LEVEL = -65.0  # dB, assumed of a room that has not been heard yet
NO_ROOM = -110.0  # dB below which it is no room but digital silence, as MP3 puts in front
QUIETEST = -65.0  # dB below which nothing is speech
ABOVE_ROOM_TO_BEGIN = 12.0  # dB
ABOVE_ROOM_TO_GO_ON = 8.0  # dB
BELOW_PEAK_TO_GO_ON = 36.0  # dB: what is fainter beside the phrase is its echo
LOOK_BACK = 0.20  # seconds that a soft onset may take: as faint as what goes on
ROOM_VARIES = 4.0  # dB between moments of one room
ROOM_LASTS = 0.15  # seconds of it that a whole recording holds at least
ROOM_BELOW_PEAK = 28.0  # dB; what is nearer to the peak is a noise,
NOISE_LASTS = 0.45  # and lasts so many seconds at least
HANGOVER = 0.30  # seconds without speech that end a phrase; stops and breaths are shorter
SHORTEST = 0.12  # seconds of speech frames a phrase must have: a short "up"
LONGEST = 4.0  # seconds after which a phrase is cut
FRAMES = SAMPLE_RATE / FRAME  # a second
TOGETHER = 6000 * FRAME  # samples looked at in one step: a minute, so that memory is bounded
SOFT = round(LOOK_BACK * FRAMES)  # frames
PADDING = 0.03  # seconds kept before the first and after the last speech frame
PADDED = round(PADDING * SAMPLE_RATE)  # samples


@dataclass(frozen=True, slots=True)
class Phrase:
    """Somebody spoke: the sound, and when in the stream its speech began and ended."""

    samples: Samples  # (n,), with PADDING on both sides
    start: int  # the first speech sample, counted from the start of the stream
    end: int  # one past the last speech sample
    heard: int  # samples of the stream that had been heard when the end was certain
    first: int = 0  # the first of ``samples``

    @property
    def seconds(self) -> float:
        """How long somebody spoke."""
        return (self.end - self.start) / SAMPLE_RATE

    @property
    def waited(self) -> float:
        """Seconds from the last speech sample until the end was certain."""
        return (self.heard - self.end) / SAMPLE_RATE


def levels(samples: Samples, before: float = 0.0) -> Samples:
    """Levels in dB of the whole frames of ``samples`` after pre-emphasis, shape (frames,).

    ``before`` is the sample that came before the first.
    """
    whole = samples[: len(samples) // FRAME * FRAME]
    power = np.empty(len(whole) // FRAME, np.float32)
    for at in range(0, len(whole), TOGETHER):
        piece = whole[at : at + TOGETHER]
        previous = np.concatenate((np.array([before], np.float32), piece[:-1]))
        framed = (piece - np.float32(PRE_EMPHASIS) * previous).reshape(-1, FRAME)
        mean = np.mean(framed**2, axis=1) + np.float32(1e-12)
        power[at // FRAME : at // FRAME + len(mean)] = 10 * np.log10(mean)
        before = float(piece[-1])
    return power


def background(samples: Samples) -> float | None:
    """Return the level in dB of the room of a whole recording; None where there is no sound.

    It is the quietest moment if that lasts. If it does not, the recording is cut to its speech,
    and what is faint in it is speech down to what its own peak would hide.
    """
    power = levels(samples)
    power = power[power > NO_ROOM]
    if len(power) < SMOOTHING:
        return None
    means = np.convolve(power, np.full(SMOOTHING, 1 / SMOOTHING), "valid")
    quietest, peak = float(means.min()), float(power.max())
    lasts = np.count_nonzero(means < quietest + ROOM_VARIES) / FRAMES
    # A hiss at the end of a word is as steady as a room, but neither as long nor as quiet.
    if lasts >= (ROOM_LASTS if peak - quietest >= ROOM_BELOW_PEAK else NOISE_LASTS):
        return quietest
    return min(quietest, peak - BELOW_PEAK_TO_GO_ON - ABOVE_ROOM_TO_GO_ON)


class _Tail:
    """The end of a stream, in one buffer: a block costs no more than its own copy."""

    def __init__(self) -> None:
        self._buffer = np.zeros(round((LONGEST + 2) * SAMPLE_RATE), np.float32)
        self._filled = 0
        self._origin = 0  # where the buffer's first sample is in the stream

    def add(self, block: Samples, needed: int) -> None:
        """Append a block; what lies before ``needed`` may go."""
        if self._filled + len(block) > len(self._buffer):
            kept = self._buffer[max(0, needed - self._origin) : self._filled]
            self._origin += self._filled - len(kept)
            if len(kept) + len(block) > len(self._buffer):
                self._buffer = np.concatenate((kept, np.zeros(len(block), np.float32)))
            else:
                self._buffer[: len(kept)] = kept
            self._filled = len(kept)
        self._buffer[self._filled : self._filled + len(block)] = block
        self._filled += len(block)

    def __getitem__(self, part: slice) -> Samples:
        """From a place in the stream to another; good until the next block."""
        end = self._filled if part.stop is None else part.stop - self._origin
        return self._buffer[max(0, part.start - self._origin) : end]


class Endpointer:
    """Finds phrases in blocks of any size; a function of what it has heard.

    Where in the stream something is, is counted in samples from its start.
    """

    def __init__(self, *, floor: float | None = None) -> None:
        first = ROOM_LEVEL if floor is None else floor
        # When each of the room's levels was heard, less those that a later one is not above.
        # What was known beforehand counts as heard for the first ROOM_MEMORY frames.
        self._room = deque([(0, first)])
        self._moments = 0
        self._before: deque[float] = deque(maxlen=SOFT)  # the levels before this frame
        self._recent: deque[float] = deque(maxlen=SMOOTHING)
        self._sound = _Tail()  # what may become part of a phrase
        self._position = 0  # where the frames end that were heard
        self._given = 0  # where the last phrase ended
        self._last = 0.0  # the sample before the next frame
        self._forget()

    def _forget(self) -> None:
        self._speaking = False
        self._speech = 0  # frames of speech in the open phrase
        self._silence = 0  # frames since the last of them
        self._peak = -math.inf
        self._start = 0

    @property
    def speaking(self) -> bool:
        """Return whether somebody is in the middle of a phrase."""
        return self._speaking

    @property
    def pause(self) -> float:
        """Seconds for which somebody in the middle of a phrase has said nothing."""
        return self._silence / FRAMES

    def so_far(self) -> Phrase | None:
        """The open phrase as it will be if nothing more is said; None if it is none yet."""
        return self._phrase() if self._speaking else None

    def push(self, block: Samples) -> list[Phrase]:
        """Hear a block, shape (n,); return the phrases that ended in it."""
        begun = self._start if self._speaking else self._position - SOFT * FRAME
        self._sound.add(block, begun - PADDED)
        new = self._sound[self._position :]
        power = levels(new, self._last)
        ended = [phrase for level in power.tolist() if (phrase := self._hear(level)) is not None]
        if len(power):
            self._last = float(new[len(power) * FRAME - 1])
        return ended

    def _hear(self, level: float) -> Phrase | None:
        """The next frame; the phrase, if one ended in it."""
        if level > NO_ROOM:
            self._recent.append(level)
            if len(self._recent) == SMOOTHING:
                self._listen(sum(self._recent) / SMOOTHING)
        _, room = self._room[0]
        self._position += FRAME
        if not self._speaking:
            if level < QUIETEST or level < room + ABOVE_ROOM_TO_BEGIN:
                self._before.append(level)
                return None
            self._begin(room)
        self._peak = max(self._peak, level)
        if level >= max(room + ABOVE_ROOM_TO_GO_ON, QUIETEST, self._peak - BELOW_PEAK_TO_GO_ON):
            self._speech += 1
            self._silence = 0
        else:
            self._silence += 1
        too_long = self._position - self._start >= LONGEST * SAMPLE_RATE
        return self._close() if too_long or self._silence >= HANGOVER * FRAMES else None

    def _begin(self, room: float) -> None:
        """A phrase begins with this frame, or with softer ones just before it."""
        least = max(room + ABOVE_ROOM_TO_GO_ON, QUIETEST)
        soft = sum(1 for _ in takewhile(lambda level: level >= least, reversed(self._before)))
        self._before.clear()
        self._speaking = True
        self._speech = soft
        self._start = self._position - (1 + soft) * FRAME

    def _listen(self, level: float) -> None:
        """The room at one more moment: the quietest of the last ROOM_MEMORY comes first."""
        self._moments += 1
        while self._room and self._room[-1][1] >= level:
            self._room.pop()
        self._room.append((self._moments, level))
        if self._room[0][0] <= self._moments - ROOM_MEMORY:
            self._room.popleft()

    def _close(self) -> Phrase | None:
        phrase = self._phrase()
        self._given = self._ends
        self._forget()
        return phrase

    @property
    def _ends(self) -> int:
        """Where the open phrase ends, with its padding."""
        return min(self._position, self._position - self._silence * FRAME + PADDED)

    def _phrase(self) -> Phrase | None:
        if self._speech < SHORTEST * FRAMES:
            return None
        first = max(0, self._given, self._start - PADDED)
        samples = self._sound[first : self._ends].copy()
        end = self._position - self._silence * FRAME
        return Phrase(samples, self._start, end, self._position, first)
