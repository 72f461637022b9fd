"""Which of several channels is heard: one of them, since a mean may cancel the voice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaimen.sound import Samples
from kaimen.sound.endpoint import FRAME, QUIETEST, levels

QUIET = 10  # percentile of the levels that is a channel's own noise
AS_CLEAR = 3.0  # dB: of channels as clear as that the loudest is taken
NOTHING = -120.0  # dB, where nothing rises above the noise


class ChannelLevels:
    """Hears several channels, piece by piece, and tells in which a voice is heard best."""

    def __init__(self, channels: int) -> None:
        self._rest = np.zeros((0, channels), np.float32)  # less than a frame
        self._before = np.zeros(channels, np.float32)  # the sample before the rest
        self._heard: list[Samples] = []  # levels, (frames, channels)

    def push(self, piece: Samples) -> None:
        """Hear a piece, shape (samples, channels), at 16 kHz."""
        sound = np.concatenate((self._rest, piece))
        whole = len(sound) // FRAME * FRAME
        self._rest = sound[whole:].copy()
        if whole:
            framed = np.ascontiguousarray(sound[:whole].T)
            each = zip(framed, self._before.tolist(), strict=True)
            self._heard.append(np.stack([levels(*one) for one in each], axis=1))
            self._before = sound[whole - 1].copy()

    @property
    def best(self) -> int:
        """Return the index of the channel that is heard.

        The clearest channel is taken: the one whose sound rises furthest above its own noise,
        where noise below QUIETEST counts as that. So a dead channel, hum or hiss is not taken for a
        voice. Of channels within AS_CLEAR of the clearest the loudest is taken, and the first of
        equal ones.
        """
        channels = len(self._before)
        heard = np.concatenate([np.zeros((0, channels), np.float32), *self._heard]).T
        clear = [clearness(each) for each in heard]
        least = max(clear) - AS_CLEAR
        loudness = [
            _voice_and_noise(each)[0] if how_clear >= least else -np.inf
            for each, how_clear in zip(heard, clear, strict=True)
        ]
        return int(np.argmax(loudness))


def clearness(heard: Samples) -> float:
    """Return how far in dB a channel's sound rises above its own noise, given its levels."""
    voice, noise = _voice_and_noise(heard)
    return voice - max(noise, QUIETEST)


def _voice_and_noise(heard: Samples) -> tuple[float, float]:
    """Return the levels in dB of what rises above a channel's noise, and of the noise."""
    if not len(heard):
        return NOTHING, NOTHING
    power: NDArray[np.float64] = 10 ** (heard.astype(np.float64) / 10)
    noise = float(np.percentile(power, QUIET))
    above = max(float(power.mean()) - noise, 10 ** (NOTHING / 10))
    return float(10 * np.log10(above)), float(10 * np.log10(max(noise, 10 ** (NOTHING / 10))))
