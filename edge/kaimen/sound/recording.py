"""Recordings: WAV, FLAC and MP3 files as sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

from kaimen.errors import (
    BrokenSamples,
    NoSpeech,
    RecordingTooLong,
    SeveralPhrases,
    UnreadableRecording,
)
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.endpoint import HANGOVER, Endpointer, Phrase, background, levels
from kaimen.sound.high_pass import HighPass
from kaimen.sound.quality import is_voice
from kaimen.stderr import silenced

SUFFIXES = (".wav", ".flac", ".mp3")
LONGEST = 30.0  # seconds a recording of one phrase may last; longer is no phrase
PAUSE = 0.6  # seconds from which on a pause parts two phrases
FAR_WEAKER = 20.0  # dB below the strongest: an echo or a breath, no part of what was said
ANOTHER = 0.3  # of the longest phrase's length that makes another one of it
STANDS_OUT = 9.0  # dB above the room, which the peak of a steady noise does not reach
LEAST_RANGE = 20.0  # dB that what does stand out is taken to be above it
_CHUNK = 65_536  # frames decoded at a time, so that a long file never fills the memory
_TAIL = HANGOVER + 0.1  # seconds of silence after the last sample, so that the phrase ends


def read(path: Path | str, *, longest: float | None = LONGEST) -> Samples:
    """Decode a recording to float32 mono at 16 kHz, shape (samples,).

    Raises UnreadableRecording, RecordingTooLong (over ``longest`` seconds; None: no
    limit) or BrokenSamples, each with one sentence that names the file.
    """
    path = Path(path)
    try:
        with path.open("rb", buffering=0) as opened:
            if not opened.read(1):
                raise UnreadableRecording("the file is empty; record it again", path)
            opened.seek(0)
            # By its number, not as an object: what is raised while libsndfile calls back into
            # Python is lost, Ctrl-C too.
            samples, rate = _decode(opened.fileno(), path, longest)
    except FileNotFoundError:
        raise UnreadableRecording("there is no such file; check the path", path) from None
    except IsADirectoryError:
        raise UnreadableRecording("this is a folder, not a recording", path) from None
    except PermissionError:
        raise UnreadableRecording("no permission to read it; check its owner", path) from None
    except UnreadableRecording:
        raise
    except OSError as error:
        raise UnreadableRecording(f"cannot be read ({error.strerror}); check it", path) from None
    except soundfile.LibsndfileError:
        raise UnreadableRecording(
            "not a sound file that can be read; give WAV, FLAC or MP3", path
        ) from None
    if not np.isfinite(samples).all():
        raise BrokenSamples("some samples are not numbers; export the file again", path)
    # At its own rate: a resampler would make a click of an offset that begins with the file.
    samples = HighPass(rate)(samples)
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE)
    clipped: Samples = np.clip(samples, -1, 1).astype(np.float32)
    return clipped


def _decode(opened: int, path: Path, longest: float | None) -> tuple[Samples, int]:
    """Mono samples at the file's own rate; a header's length is not trusted."""
    chunks: list[Samples] = []
    with silenced(), soundfile.SoundFile(opened, closefd=False) as file:
        decoded = 0
        # A stream that declares nothing may still decode to much: count while reading.
        while len(chunk := file.read(_CHUNK, dtype="float32", always_2d=True)):
            decoded += len(chunk)
            if longest is not None and decoded > longest * file.samplerate:
                raise RecordingTooLong(
                    f"longer than {longest:g} s; cut out the phrase, "
                    "or give the file to 'kaimen listen'",
                    path,
                )
            with np.errstate(over="ignore", invalid="ignore"):  # broken samples are refused later
                chunks.append(chunk.mean(axis=1, dtype=np.float32))
        if not chunks:
            raise UnreadableRecording("the file holds no sound; record it again", path)
        return np.concatenate(chunks), file.samplerate


class Recording:
    """A source that plays samples as fast as they are asked for, then a little silence."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    @classmethod
    def open(cls, path: Path | str, *, longest: float | None = None) -> Recording:
        """A recording from a file; by default of any length, since it is played as a stream."""
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
        tail = round(_TAIL * SAMPLE_RATE)
        tail += -(len(self._samples) + tail) % BLOCK
        return np.concatenate((self._samples, np.zeros(tail, np.float32)))

    def blocks(self) -> Iterator[Samples]:
        """Yield the recording in blocks of shape (BLOCK,), the last ones silent."""
        yield from self.whole.reshape(-1, BLOCK)


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
