"""Exact scores of many probes against a whole school, in blocks: what a search is held against.

Every student has as many recordings here as any other, as in a synthetic school.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.gallery.left_out import Track, best_mean

BLOCK = 128  # probes scored at a time

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Best:
    """The best student of each probe."""

    places: NDArray[np.int64]  # (probes,)
    scores: NDArray[np.float32]  # (probes,)


def best(school: Points, probes: Points, track: Track | None = None) -> Best:
    """Who scores highest, of a school (students, recordings, dimension), for probes (probes, d)."""
    # All first recordings, then all second ones: a student's highest is then found in one sweep.
    flat = np.ascontiguousarray(school.transpose(1, 0, 2)).reshape(-1, school.shape[2])
    places = np.zeros(len(probes), np.int64)
    scores = np.zeros(len(probes), np.float32)
    blocks: Iterable[int] = range(0, len(probes), BLOCK)
    if track is not None:
        blocks = track(blocks, "scoring exactly", -(-len(probes) // BLOCK))
    for start in blocks:
        here = slice(start, start + BLOCK)
        cosines = (probes[here] @ flat.T).reshape(-1, school.shape[1], len(school))
        places[here], scores[here] = _best(cosines)
    return Best(places, scores)


def _best(cosines: Points) -> tuple[NDArray[np.int64], Points]:
    """From (probes, recordings, students).

    Nobody's score is above their highest cosine, so only who reaches the score of the student
    with the highest of all need be scored.
    """
    highest = cosines.max(axis=1)
    first = highest.argmax(axis=1)
    least = best_mean(cosines[np.arange(len(first)), :, first])
    row, student = np.nonzero(highest >= least[:, None])
    scores = np.full(highest.shape, -np.inf, np.float32)
    scores[row, student] = best_mean(cosines[row, :, student])
    places = scores.argmax(axis=1)
    return places, scores[np.arange(len(places)), places]


def own(school: Points, probes: Points) -> Points:
    """Students' own scores, (students, takes), of probes (students, takes, dimension)."""
    return best_mean(probes @ school.transpose(0, 2, 1))
