"""Tell whether a microphone is usable: cut off, mute, or dropping sound.

A gate that hears badly only says "unknown" more often; the operator is told why.
"""

from __future__ import annotations

import numpy as np

from kaimen.language import text
from kaimen.sound import FULL_SCALE, SAMPLE_RATE, Samples

WINDOW = 10 * SAMPLE_RATE  # samples over which a microphone is judged
MOST_CLIPPED = 0.02  # share of the samples of a window
MUTE = 1e-4  # peak of a window below which no microphone is that quiet: -80 dB


class Meter:
    """Judges a stream, window by window; says what changed."""

    def __init__(self) -> None:
        self._heard = 0
        self._clipped = 0
        self._peak = 0.0
        self._overruns = 0
        self._said = ""

    def hear(self, block: Samples, overruns: int) -> str | None:
        """Hear a block, shape (n,), and how often sound was dropped so far.

        One sentence where the judgement changed, else None.
        """
        loud = np.abs(block)
        self._heard += len(block)
        self._clipped += int(np.count_nonzero(loud >= FULL_SCALE))
        self._peak = max(self._peak, float(loud.max(initial=0.0)))
        if self._heard < WINDOW:
            return None
        judged = self._judge(overruns)
        self._heard = self._clipped = 0
        self._peak = 0.0
        self._overruns = overruns
        changed, self._said = judged != self._said, judged
        return (judged or text("the microphone is well again")) if changed else None

    def _judge(self, overruns: int) -> str:
        if self._peak < MUTE:
            return text("the microphone is mute; turn it on, or up with 'alsamixer'")
        if self._clipped > MOST_CLIPPED * self._heard:
            share = self._clipped / self._heard
            return text(
                "too loud: {share} of the sound is cut off; turn the microphone down",
                share=f"{share:.0%}",
            )
        if overruns > self._overruns:
            return text(
                "sound was dropped {times} times; is the machine too busy?",
                times=overruns - self._overruns,
            )
        return ""
