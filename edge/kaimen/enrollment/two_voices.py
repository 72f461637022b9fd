"""Two people in one recording: less like the student's others, and its halves unlike each other.

Either alone is common: halves of a second of speech are short, and a cold makes a recording
different as a whole. How often both are is in ``docs/figures/sound.md``.
"""

from __future__ import annotations

import numpy as np

from kaimen.sound import Samples
from kaimen.voice.encoder import Encoder
from kaimen.voice.score import Points, among_themselves

FALL = 0.12  # of a recording's score below the median of the student's others
UNLIKE = 0.3  # cosine of a recording's halves
FEWEST = 3  # recordings, of which one can be less like the others
SAID = "two people may speak in it; listen to it, and record it again"


def unlike_the_others(points: Points) -> list[int]:
    """Return which of a student's points (recordings, dimension) score far less than the others."""
    if len(points) < FEWEST:
        return []
    scores = among_themselves(points)
    others = [float(np.median(np.delete(scores, at))) for at in range(len(scores))]
    return [at for at, other in enumerate(others) if other - scores[at] > FALL]


def halves_unlike(phrase: Samples, encoder: Encoder) -> bool:
    """Return whether the halves of a phrase are of two voices. Raises NoSpeech."""
    middle = len(phrase) // 2
    return float(encoder.embed(phrase[:middle]) @ encoder.embed(phrase[middle:])) < UNLIKE
