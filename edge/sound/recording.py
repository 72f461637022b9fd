"""Recordings: WAV, FLAC and MP3 files as sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from edge.errors import BrokenSamples, NoSpeech, RecordingTooLong, UnreadableRecording
from edge.quiet import hushed
from edge.sound import BLOCK, SAMPLE_RATE, Samples
from edge.sound.endpoint import HANGOVER, Endpointer, Phrase, background, levels
from edge.sound.high_pass import HighPass

SUFFIXES = (".wav", ".flac", ".mp3")
LONGEST = 30.0  # seconds a recording of one phrase may last; longer is no phrase
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
    with hushed(), soundfile.SoundFile(opened, closefd=False) as file:
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
        """The quietest moment of the recording, in dB."""
        return background(self._samples)

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


def main_phrase(samples: Samples) -> Phrase:
    """The phrase of a recording that should hold one: the longest. Raises NoSpeech."""
    found = said(samples)
    if not found:
        raise NoSpeech("no phrase is heard in it; speak closer to the microphone")
    return max(found, key=lambda phrase: phrase.seconds)


def said(samples: Samples) -> list[Phrase]:
    """What was said in a recording: phrases that hardly a pause parts are one."""
    found = phrases(samples)
    heights = [float(levels(phrase.samples).max()) for phrase in found]
    near: list[Phrase] = []
    for phrase, height in zip(found, heights, strict=True):
        if height < max(heights) - FAR_WEAKER:
            continue
        if near and phrase.start - near[-1].end < PAUSE * SAMPLE_RATE:
            first = near.pop()
            whole = Recording(samples).whole[first.first : phrase.first + len(phrase.samples)]
            phrase = Phrase(whole, first.start, phrase.end, phrase.heard, first.first)
        near.append(phrase)
    return near


PAUSE = 0.6  # seconds: shorter ones belong to a phrase that is recorded
FAR_WEAKER = 20.0  # dB
