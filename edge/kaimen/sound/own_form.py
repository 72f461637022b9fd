"""Sound of any rate and of any channels, brought into the form that the program works in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import soxr

from kaimen.errors import BrokenSamples, RecordingTooLong, UnreadableRecording
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.channels import best_channel
from kaimen.sound.high_pass import HighPass
from kaimen.sound.libsndfile import Blocks, Undecodable

ENOUGH = 2  # channels that may be of full length: of more, less is kept


def in_own_form(blocks: Blocks, longest: float, advice: str) -> Samples:
    """Return the clearest channel at 16 kHz, shape (samples,), of up to ``longest`` seconds.

    Raises RecordingTooLong, with advice what to do; BrokenSamples and UnreadableRecording.
    """
    checked = _checked(blocks, longest, advice)
    runs = groupby(checked, key=lambda each: (each[0], each[1].shape[1]))
    heard = [
        _channel_of(rate, channels, (block for _, block in run)) for (rate, channels), run in runs
    ]
    if not any(map(len, heard)):
        raise UnreadableRecording("the file holds no sound; record it again")
    return heard[0] if len(heard) == 1 else np.concatenate(heard)


def _checked(blocks: Blocks, longest: float, advice: str) -> Blocks:
    seconds = 0.0
    # A stream that declares nothing may still decode to much: count while reading.
    try:
        for rate, block in blocks:
            seconds += len(block) / rate
            if seconds > longest * min(1.0, ENOUGH / block.shape[1]):
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


def _channel_of(rate: int, channels: int, blocks: Iterable[Samples]) -> Samples:
    pieces = [np.clip(piece, -1, 1) for piece in _resampled(rate, channels, blocks)]
    sound = np.concatenate(pieces)
    pieces.clear()  # half an hour is much
    return best_channel(sound)[0]


def _resampled(rate: int, channels: int, blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Yield what is heard, at 16 kHz, shape (samples, channels)."""
    # At its own rate: a resampler would make a click of an offset that begins with the file.
    filters = [HighPass(rate) for _ in range(channels)]
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, channels, dtype="float32")
    for block in blocks:
        filtered = [passed(block[:, at]) for at, passed in enumerate(filters)]
        heard = np.stack(filtered, axis=1)
        yield heard if rate == SAMPLE_RATE else resampler.resample_chunk(heard)
    if rate != SAMPLE_RATE:
        yield resampler.resample_chunk(np.empty((0, channels), np.float32), last=True)
