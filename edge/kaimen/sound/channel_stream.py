"""Which channel of a microphone is heard: one, kept unless it hears far worse than another."""

from __future__ import annotations

import numpy as np

from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.channels import clearness
from kaimen.sound.endpoint import levels

CHANNELS = 2  # that are listened to: further ones of an array are raw, or what is played
REMEMBERED = 3.0  # seconds of levels that channels are judged by
CLEARER = 10.0  # dB by which another channel must be, so that none changes within a phrase

_BLOCKS = round(REMEMBERED * SAMPLE_RATE / BLOCK)


class ChannelStream:
    """Takes one channel of blocks; begins with the first, which arrays have processed."""

    def __init__(self) -> None:
        self.channel = 0
        self._heard: list[Samples] = []  # levels of the latest blocks, (channels, levels)

    def __call__(self, block: Samples) -> Samples:
        """Return the channel that is heard, (n,), of a block (n, channels) at 16 kHz."""
        if block.shape[1] > 1 and len(block):
            several = block[:, :CHANNELS].T
            self._heard.append(np.stack([levels(np.ascontiguousarray(each)) for each in several]))
            del self._heard[:-_BLOCKS]
            found = [clearness(each) for each in np.concatenate(self._heard, axis=1)]
            best = int(np.argmax(found))
            if found[best] > found[self.channel] + CLEARER:
                self.channel = best
        return np.ascontiguousarray(block[:, self.channel])
