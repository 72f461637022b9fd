"""Recordings: files as sound, and the phrases in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from kaimen.errors import NoSpeech, RecordingError, SeveralPhrases, UnreadableRecording
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples, other_formats
from kaimen.sound.decoding import blocks
from kaimen.sound.endpoint import HANGOVER, Endpointer, Phrase, background, levels
from kaimen.sound.own_form import in_own_form
from kaimen.sound.quality import is_voice
from kaimen.stderr import silenced

# How recordings are called; what others are called is not looked at in folders.
READ_ANYWHERE = (".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
SUFFIXES = READ_ANYWHERE + other_formats.SUFFIXES
LONGEST = 30.0  # seconds a recording of one phrase may last; longer is no phrase
LONGEST_STREAM = 1800.0  # seconds of what is played as a stream: it is held in memory
DECODED = 2  # times that what is decoded of a file has changed
PAUSE = 0.6  # seconds from which on a pause parts two phrases
FAR_WEAKER = 20.0  # dB below the strongest: an echo or a breath, no part of what was said
ANOTHER = 0.3  # of the longest phrase's length that makes another one of it
STANDS_OUT = 9.0  # dB above the room, which the peak of a steady noise does not reach
LEAST_RANGE = 20.0  # dB that what does stand out is taken to be above it
_TAIL = HANGOVER + 0.1  # seconds of silence after the last sample, so that the phrase ends

NO_FILE = "a pipe, a device or a socket, not a file; save the sound to a file first"
ONE_PHRASE = "longer than {:g} s; cut out the phrase, or give the file to 'kaimen listen'"
CUT = f"longer than {LONGEST_STREAM / 60:g} min; cut it into pieces"


def read(path: Path | str, *, longest: float | None = LONGEST) -> Samples:
    """Decode a recording to float32 mono at 16 kHz, shape (samples,).

    Of several channels the one with the clearest voice is taken, see ``ChannelLevels``.

    Raises UnreadableRecording, UnsupportedFormat, RecordingTooLong (over ``longest``
    seconds; None: LONGEST_STREAM) or BrokenSamples, each with one sentence that names the file.
    """
    limit, advice = (LONGEST_STREAM, CUT) if longest is None else (longest, ONE_PHRASE)
    advice = advice.format(limit)
    try:
        with opened(path) as descriptor, silenced():
            return in_own_form(lambda: blocks(descriptor, limit), limit, advice)
    except RecordingError as error:
        raise error.at(path) from None
    except OSError as error:
        raise UnreadableRecording(f"cannot be read ({error.strerror}); check it", path) from None


@contextmanager
def opened(path: Path | str) -> Iterator[int]:
    """Open a file of a disk, by its number; no pipe or device, which may never end.

    Raises UnreadableRecording.
    """
    try:
        _require_file(Path(path).stat().st_mode, path)  # merely to open a device may do something
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UnreadableRecording("there is no such file; check the path", path) from None
    except PermissionError:
        raise UnreadableRecording("no permission to read it; check its owner", path) from None
    except UnreadableRecording:
        raise
    except OSError as error:
        raise UnreadableRecording(f"cannot be read ({error.strerror}); check it", path) from None
    except ValueError:
        raise UnreadableRecording("no file can be called so; correct the path") from None
    try:
        _require_file(os.fstat(descriptor).st_mode, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _require_file(mode: int, path: Path | str) -> None:
    if stat.S_ISDIR(mode):
        raise UnreadableRecording("this is a folder, not a recording", path)
    if not stat.S_ISREG(mode):
        raise UnreadableRecording(NO_FILE, path)


class Recording:
    """A source that plays samples as fast as they are asked for, then a little silence."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    @classmethod
    def open(cls, path: Path | str, *, longest: float | None = None) -> Recording:
        """A recording from a file; by default as long as a stream may be."""
        return cls(read(path, longest=longest))

    @property
    def floor(self) -> float | None:
        """The level of the room in dB; a lower one where a voice hardly stands out of it."""
        room = background(self._samples)
        if room is None:
            return None
        peak = float(levels(self._samples).max())
        return min(room, peak - LEAST_RANGE) if peak - room >= STANDS_OUT else room

    @property
    def whole(self) -> Samples:
        """All that it plays, at once."""
        return np.concatenate((self._samples, self._silence))

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return (len(self._samples) + len(self._silence)) / SAMPLE_RATE

    @property
    def _silence(self) -> Samples:
        """What follows the last sample, to the end of a block."""
        tail = round(_TAIL * SAMPLE_RATE)
        tail += -(len(self._samples) + tail) % BLOCK
        return np.zeros(tail, np.float32)

    def blocks(self) -> Iterator[Samples]:
        """Yield the recording in blocks of shape (BLOCK,), the last ones silent."""
        full = len(self._samples) // BLOCK * BLOCK
        yield from self._samples[:full].reshape(-1, BLOCK)
        yield from np.concatenate((self._samples[full:], self._silence)).reshape(-1, BLOCK)


def phrases(samples: Samples) -> list[Phrase]:
    """Every phrase of a recording, found as the gate would find it."""
    source = Recording(samples)
    # All at once: the same phrases as block by block, in half the time.
    return Endpointer(floor=source.floor).push(source.whole)


def said(samples: Samples) -> list[Phrase]:
    """Return what was said in a recording, in its order; a short pause parts nothing.

    What is far weaker than the rest is left out.
    """
    found = phrases(samples)
    heights = [float(levels(phrase.samples).max()) for phrase in found]
    strong = [
        phrase
        for phrase, height in zip(found, heights, strict=True)
        if height >= max(heights) - FAR_WEAKER
    ]
    whole = Recording(samples).whole
    joined: list[Phrase] = []
    for phrase in strong:
        if joined and phrase.start - joined[-1].end < PAUSE * SAMPLE_RATE:
            first, start = joined[-1].first, joined[-1].start
            sound = whole[first : phrase.first + len(phrase.samples)]
            joined[-1] = replace(phrase, samples=sound, start=start, first=first)
        else:
            joined.append(phrase)
    return joined


def main_phrase(samples: Samples) -> Phrase:
    """The phrase of a recording that should hold one: the longest. Raises NoSpeech."""
    return _longest(said(samples))


def only_phrase(samples: Samples) -> Phrase:
    """The phrase of a recording that must hold no other. Raises NoSpeech and SeveralPhrases."""
    found = said(samples)
    phrase = _longest(found)
    others = [each for each in found if each.seconds >= ANOTHER * phrase.seconds]
    if any(each is not phrase and is_voice(each.samples) for each in others):
        raise SeveralPhrases("two phrases are heard in it; record it again, without a long pause")
    return phrase


def _longest(found: list[Phrase]) -> Phrase:
    if not found:
        raise NoSpeech("no phrase is heard in it; speak closer to the microphone")
    return max(found, key=lambda phrase: phrase.seconds)
