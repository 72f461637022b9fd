"""Which of several channels is heard: one of them, since a mean may cancel the voice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaimen.sound import Samples
from kaimen.sound.endpoint import FRAME, QUIETEST, levels

QUIET = 10  # percentile of the levels that is a channel's own noise
AS_CLEAR = 3.0  # dB: of channels as clear as that the loudest is taken
TOGETHER = 6000 * FRAME  # samples looked at in one step: a minute
NO_LEVELS = np.zeros(0, np.float32)
NOTHING = -120.0  # dB, where nothing rises above the noise


def best_channel(sound: Samples) -> tuple[Samples, int]:
    """Return the channel in which a voice is heard best, shape (samples,), and its index.

    ``sound`` has the shape (samples, channels), at 16 kHz. The clearest channel is taken: the one
    whose sound rises furthest above its own noise, where noise below QUIETEST counts as that. So a
    dead channel, hum or hiss is not taken for a voice. Of channels within AS_CLEAR of the clearest
    the loudest is taken, and the first of equal ones.
    """
    if sound.shape[1] == 1:
        return sound[:, 0], 0
    heard = [_levels(each) for each in sound.T]
    clear = [clearness(each) for each in heard]
    least = max(clear) - AS_CLEAR
    loudness = [
        _voice_and_noise(each)[0] if how_clear >= least else -np.inf
        for each, how_clear in zip(heard, clear, strict=True)
    ]
    best = int(np.argmax(loudness))
    return np.ascontiguousarray(sound[:, best]), best


def _levels(channel: Samples) -> Samples:
    """The levels of a channel, taken piece by piece: a long one would fill the memory."""
    pieces = [channel[at : at + TOGETHER] for at in range(0, len(channel), TOGETHER)]
    return np.concatenate([levels(np.ascontiguousarray(piece)) for piece in pieces] or [NO_LEVELS])


def clearness(heard: Samples) -> float:
    """Return how far in dB a channel's sound rises above its own noise, given its levels."""
    voice, noise = _voice_and_noise(heard)
    return voice - max(noise, QUIETEST)


def _voice_and_noise(heard: Samples) -> tuple[float, float]:
    """The levels in dB of what rises above a channel's noise, and of the noise."""
    if not len(heard):
        return NOTHING, NOTHING
    power: NDArray[np.float64] = 10 ** (heard.astype(np.float64) / 10)
    noise = float(np.percentile(power, QUIET))
    above = max(float(power.mean()) - noise, 10 ** (NOTHING / 10))
    return float(10 * np.log10(above)), float(10 * np.log10(max(noise, 10 ** (NOTHING / 10))))
