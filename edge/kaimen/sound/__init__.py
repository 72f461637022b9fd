"""Sound: where it comes from, and where a phrase begins and ends in it.

Everywhere in the program sound is float32 in [-1, 1], 16 kHz, mono, without a constant offset:
files and microphones pass through ``kaimen.sound.high_pass`` where they are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz, of every sound inside the program
BLOCK = 320  # samples a source yields at a time: 20 ms
FULL_SCALE = 0.98  # of the largest sample there is, from which one counts as clipped

Samples = NDArray[np.float32]


class Source(Protocol):
    """Where sound comes from: a microphone or a recording."""

    @property
    def floor(self) -> float | None:
        """Level of the background in dB where it is known beforehand, else None."""

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks of shape (BLOCK,) until there is no more."""
