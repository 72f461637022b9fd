"""Recordings of one phrase each, cut out of a stream as somebody says it again and again."""

from __future__ import annotations

import numpy as np

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.endpoint import HANGOVER, Endpointer
from kaimen.sound.recording import PAUSE

BEFORE = 1.0  # seconds of the room that are kept in front of what is said
ENDED = PAUSE - HANGOVER  # seconds after the end of a phrase was certain, that no more comes
LONGEST = 8.0  # seconds after which a recording is cut, though somebody still speaks


class TakeListener:
    """Hears a stream of blocks; a function of what it has heard."""

    def __init__(self, floor: float | None = None) -> None:
        """``floor`` is the room's level in dB where it is known."""
        self._endpointer = Endpointer(floor=floor)
        self._sound = np.zeros(0, np.float32)  # since a little before the phrase
        self._said = False  # whether a phrase has ended in it
        self._quiet = 0  # samples since a phrase ended

    @property
    def speaking(self) -> bool:
        """Return whether somebody is in the middle of a phrase."""
        return self._endpointer.speaking

    def push(self, block: Samples) -> Samples | None:
        """Hear a block, shape (n,); return the recording, shape (samples,), if one ended in it.

        A pause that parts nothing at an enrollment from files parts nothing here.
        """
        ended = self._endpointer.push(block)
        self._sound = np.concatenate((self._sound, block))
        self._said = self._said or bool(ended)
        self._quiet = 0 if self.speaking else self._quiet + len(block)
        if not self._said:
            if not self.speaking:
                self._sound = self._sound[-round(BEFORE * SAMPLE_RATE) :]
            return None
        too_long = len(self._sound) > LONGEST * SAMPLE_RATE
        if not too_long and (self.speaking or self._quiet < ENDED * SAMPLE_RATE):
            return None
        recording, self._sound, self._said = self._sound, self._sound[:0], False
        return recording
