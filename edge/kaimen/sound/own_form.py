"""Sound of any rate and of any channels, brought into the form that the program works in.

Nothing is held but what is returned and a minute of all channels. Of several channels the best is
known only at the end: what lasts longer than that minute is decoded a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby

import numpy as np
import soxr

from kaimen.errors import BrokenSamples, RecordingTooLong, UnreadableRecording
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.channels import ChannelLevels
from kaimen.sound.high_pass import HighPass
from kaimen.sound.libsndfile import Blocks, Undecodable

HELD = 60 * SAMPLE_RATE  # samples of all channels that are held
MORE = SAMPLE_RATE  # samples by which resampling may lengthen a recording


def in_own_form(decode: Callable[[], Blocks], longest: float, advice: str) -> Samples:
    """Return the clearest channel at 16 kHz, shape (samples,), of up to ``longest`` seconds.

    ``decode`` begins to decode the sound, each time that it is called. Raises RecordingTooLong,
    with advice what to do; BrokenSamples and UnreadableRecording.
    """
    sound = _GrowingSound(longest, advice)
    best: list[int] = []  # channel of each run
    held_all = True
    with closing(decode()) as blocks:
        for rate, channels, run in _runs(_checked(blocks, longest, advice)):
            heard = ChannelLevels(channels)
            held: list[Samples] = []
            length = 0
            for piece in _resampled(rate, range(channels), run):
                if channels == 1:
                    sound.add(piece[:, 0])
                    continue
                heard.push(piece)
                length += len(piece)
                if length <= HELD:
                    held.append(piece)
                else:
                    held.clear()
            best.append(heard.best)
            held_all = held_all and length <= HELD
            for piece in held:
                sound.add(piece[:, best[-1]])
    if not held_all:
        sound = _GrowingSound(longest, advice)
        with closing(decode()) as blocks:
            runs = _runs(_checked(blocks, longest, advice))
            for (rate, _, run), channel in zip(runs, best, strict=True):
                for piece in _resampled(rate, [channel], run):
                    sound.add(piece[:, 0])
    if not sound.length:
        raise UnreadableRecording("the file holds no sound; record it again")
    return sound.whole()


class _GrowingSound:
    """A sound to which pieces are added, in one stretch of memory that is filled as it grows."""

    def __init__(self, longest: float, advice: str) -> None:
        self._samples = np.empty(round(longest * SAMPLE_RATE) + MORE, np.float32)
        self._advice = advice
        self.length = 0

    def add(self, piece: Samples) -> None:
        """Append a piece, shape (n,). Raises RecordingTooLong."""
        end = self.length + len(piece)
        if end > len(self._samples):
            raise RecordingTooLong(self._advice)
        np.clip(piece, -1, 1, out=self._samples[self.length : end])
        self.length = end

    def whole(self) -> Samples:
        """Return all of it; nothing can be added any more."""
        self._samples.resize(self.length, refcheck=False)
        return self._samples


def _runs(blocks: Blocks) -> Iterator[tuple[int, int, Iterator[Samples]]]:
    """Yield rate in Hz, channels and blocks of each stretch of the same form."""
    for (rate, channels), run in groupby(blocks, key=lambda each: (each[0], each[1].shape[1])):
        yield rate, channels, (block for _, block in run)


def _checked(blocks: Blocks, longest: float, advice: str) -> Blocks:
    seconds = 0.0
    # A stream that declares nothing may still decode to much: count while reading.
    try:
        for rate, block in blocks:
            seconds += len(block) / rate
            if seconds > longest:
                raise RecordingTooLong(advice)
            if not np.isfinite(block).all():
                raise BrokenSamples("some samples are not numbers; export the file again")
            yield rate, block
    except Undecodable:
        if seconds:
            raise UnreadableRecording(
                f"damaged after {seconds:.1f} s; copy it again, or record it again"
            ) from None
        raise UnreadableRecording(
            "not a sound file that can be read; give WAV, FLAC, MP3, Ogg or Opus"
        ) from None


def _resampled(rate: int, channels: Sequence[int], blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Yield what some channels hear, at 16 kHz, shape (samples, channels)."""
    # At its own rate: a resampler would make a click of an offset that begins with the file.
    filters = [HighPass(rate) for _ in channels]
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, len(channels), dtype="float32")
    for block in blocks:
        filtered = [
            passed(block[:, channel]) for channel, passed in zip(channels, filters, strict=True)
        ]
        heard = np.stack(filtered, axis=1)
        yield heard if rate == SAMPLE_RATE else resampler.resample_chunk(heard)
    if rate != SAMPLE_RATE:
        yield resampler.resample_chunk(np.empty((0, len(channels)), np.float32), last=True)
