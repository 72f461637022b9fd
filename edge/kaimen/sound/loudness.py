"""How loud a stretch of sound is, and how quiet: what a person sets a microphone by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kaimen.sound import BLOCK, SAMPLE_RATE, Samples, Source
from kaimen.sound.meter import MOST_CLIPPED, MUTE
from kaimen.sound.quality import LEAST_SIGNAL_TO_NOISE, clipped_share

LOUD = 95  # percentile of the blocks' levels that is the level: somebody speaks half of the time
QUIET = 10  # percentile that is the noise floor: whoever speaks also pauses
SILENCE = -120.0  # dB, of nothing at all


def decibels(sound: Samples) -> float:
    """Root mean square of a sound, shape (n,), in dB of full scale."""
    power = float(np.mean(np.square(sound, dtype=np.float64))) if len(sound) else 0.0
    return _decibels(power**0.5)


def _decibels(height: float) -> float:
    return 20 * math.log10(max(height, 10 ** (SILENCE / 20)))


@dataclass(frozen=True, slots=True)
class Loudness:
    """Levels in dB of full scale."""

    seconds: float
    level: float  # of its loud moments
    floor: float  # of its quiet ones: the noise floor
    peak: float
    clipped: float  # share of the samples

    @classmethod
    def of(cls, sound: Samples) -> Loudness:
        """Return the loudness of a sound, shape (n,); of less than a block, that of silence."""
        blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
        if not len(blocks):
            return cls(0.0, SILENCE, SILENCE, SILENCE, 0.0)
        loud = [decibels(block) for block in blocks]
        return cls(
            seconds=len(sound) / SAMPLE_RATE,
            level=float(np.percentile(loud, LOUD)),
            floor=float(np.percentile(loud, QUIET)),
            peak=_decibels(float(np.abs(sound).max())),
            clipped=clipped_share(sound),
        )

    @property
    def mute(self) -> bool:
        """Return whether nothing comes from the microphone at all."""
        return self.peak < _decibels(MUTE)

    @property
    def too_loud(self) -> bool:
        """Return whether too much of it is cut off."""
        return self.clipped > MOST_CLIPPED

    @property
    def stands_out(self) -> bool:
        """Return whether somebody spoke, far enough above the room to be known by it."""
        return self.level - self.floor >= LEAST_SIGNAL_TO_NOISE


def listened(
    source: Source, seconds: float, show: Callable[[Samples], object] | None = None
) -> Samples:
    """Return what is heard in so many seconds, or until the source ends; ``show`` gets every block.

    Raises MicrophoneLost.
    """
    heard: list[Samples] = []
    for block in source.blocks():
        heard.append(block)
        if show is not None:
            show(block)
        if len(heard) * BLOCK >= seconds * SAMPLE_RATE:
            break
    return np.concatenate(heard) if heard else np.zeros(0, np.float32)
