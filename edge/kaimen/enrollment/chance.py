"""The chance that the gate turns a student away at one try, predicted from the takes that enroll.

Each take, scored against the others, is a probe that is known to be the student's. How far these
scores are from the threshold says most of it; what the takes' quality adds was fitted by logistic
regression, by ``kaimen-train coach``, on speakers of four corpora. How well it comes true, and that
it holds for days like the day of the takes and not for another day, is in
``docs/figures/coach.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, pstdev

import numpy as np

from kaimen.enrollment.take_quality import TakeQuality
from kaimen.voice.score import Points, among_themselves
from kaimen.voice.spread import HIGHEST

PLENTY = 25.0  # dB above the room, more of which is worth nothing
LONG = 1.5  # seconds of voice, more of which are worth nothing

# Of the log odds; scores are after Fisher's transformation, qualities are means over the takes.
WEIGHTS = {
    "constant": -1.38,
    "margin": 8.1,  # of the threshold above the takes' mean score
    "spread": 0.41,  # deviation of the takes' scores
    "noise": -0.59,  # each 10 dB that a voice stands out of the room less than by PLENTY
    "short": 1.44,  # each second of voice less than LONG
    "clipped": -0.59,  # each tenth of the samples that is cut off
}

# Of tries days after takes of one call, by 19 callers: measured, for no student foreseen. Takes of
# one day predict a sixth of it.
ANOTHER_DAY = 0.57

Terms = tuple[float, ...]  # in the order of WEIGHTS


def terms_of(points: Points, qualities: Sequence[TakeQuality], threshold: float) -> Terms:
    """Return what the chance depends on.

    ``points`` (recordings, dimension) are two at least, ``qualities`` those of all that were
    measured, one at least; ``threshold`` is the score that the gate asks for.
    """
    limited = np.clip(among_themselves(points).astype(np.float64), -HIGHEST, HIGHEST)
    own = np.arctanh(limited).tolist()
    asked = math.atanh(min(max(threshold, -HIGHEST), HIGHEST))
    return (
        1.0,
        asked - fmean(own),
        pstdev(own),
        fmean(max(0.0, PLENTY - each.signal_to_noise) for each in qualities) / 10,
        fmean(max(0.0, LONG - each.voiced) for each in qualities),
        fmean(each.clipped for each in qualities) * 10,
    )


def chance_by(terms: Terms) -> float:
    """Return the chance, from 0 to 1; terms that are no number are certain to be turned away."""
    odds = sum(weight * term for weight, term in zip(WEIGHTS.values(), terms, strict=True))
    return 1.0 if math.isnan(odds) else (1 + math.tanh(odds / 2)) / 2


def chance_of_rejection(
    points: Points, qualities: Sequence[TakeQuality], threshold: float
) -> float:
    """Return the chance that this student is turned away, see ``terms_of``.

    One take alone says nothing of its student: the chance is 1 then.
    """
    return chance_by(terms_of(points, qualities, threshold)) if len(points) > 1 else 1.0
