"""Exact scores of many probes against a whole school, in blocks: what a search is held against.

Every student has as many recordings here as any other, as in a synthetic school.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaimen.progress import Track
from kaimen.voice.score import Points, centroids_of, combined

BLOCK = 128  # probes scored at a time


@dataclass(frozen=True)
class Best:
    """The best student of each probe."""

    places: NDArray[np.int64]  # (probes,)
    scores: NDArray[np.float32]  # (probes,)


def best(school: Points, probes: Points, track: Track | None = None) -> Best:
    """Who scores highest, of a school (students, recordings, dimension), for probes (probes, d)."""
    # All first recordings, then all second ones: a student's highest is then found in one sweep.
    flat = np.ascontiguousarray(school.transpose(1, 0, 2)).reshape(-1, school.shape[2])
    centroids = _centroids(school)
    places = np.zeros(len(probes), np.int64)
    found = np.zeros(len(probes), np.float32)
    blocks: Iterable[int] = range(0, len(probes), BLOCK)
    if track is not None:
        blocks = track(blocks, "scoring exactly", -(-len(probes) // BLOCK))
    for start in blocks:
        here = slice(start, start + BLOCK)
        cosines = (probes[here] @ flat.T).reshape(-1, school.shape[1], len(school))
        every = combined(cosines.max(axis=1), probes[here] @ centroids.T)
        places[here], found[here] = every.argmax(axis=1), every.max(axis=1)
    return Best(places, found)


def own(school: Points, probes: Points) -> Points:
    """Students' own scores, (students, takes), of probes (students, takes, dimension)."""
    highest = (probes @ school.transpose(0, 2, 1)).max(axis=2)
    return combined(highest, np.einsum("std,sd->st", probes, _centroids(school)))


def _centroids(school: Points) -> Points:
    students, recordings, dimension = school.shape
    return centroids_of(school.reshape(-1, dimension), np.arange(students) * recordings)
