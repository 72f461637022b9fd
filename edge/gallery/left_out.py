"""Leave one out: what a school's own recordings say of strangers and of students.

Each recording, with its own student left out, is a stranger to all the others; each recording,
with only itself left out, is its student at the gate; and against another student one by one,
it is somebody who claims to be them. Scores are exact, computed in blocks on all cores.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.decision import BEST

BLOCK = 128  # recordings scored at a time
CLAIMS = 16  # other students that each recording claims to be
SEED = 0

Scores = NDArray[np.float32]
Step = TypeVar("Step")


class Track(Protocol):
    """Passes on the steps of a long work while showing how far it is."""

    def __call__(self, steps: Iterable[Step], what: str, count: int, /) -> Iterable[Step]: ...


@dataclass(frozen=True)
class LeftOut:
    """Scores of the recordings of a school, each left out in turn."""

    strangers: Scores  # one a recording: the best student but its own; -inf if there is no other
    own: Scores  # one a recording: its own student without it; NaN if it is the only one
    claims: Scores  # (recordings, up to CLAIMS): of others, drawn at random
    # One a recording: what its owner's next recording scores against the student that this one
    # is nearest to; NaN after the last. So a stranger does who tries twice.
    again: Scores


def leave_one_out(
    points: NDArray[np.float32], counts: NDArray[np.int64], track: Track | None = None
) -> LeftOut:
    """Scores of points (recordings, dimension), each student's ``counts`` of them together."""
    school = _School.of(points, counts)
    blocks = range(0, len(points), BLOCK)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found: Iterable[LeftOut] = pool.map(school.block, blocks)
        done = list(found if track is None else track(found, "leaving one out", len(blocks)))
    return LeftOut(
        np.concatenate([each.strangers for each in done]),
        np.concatenate([each.own for each in done]),
        np.concatenate([each.claims for each in done]),
        np.concatenate([each.again for each in done]),
    )


@dataclass(frozen=True)
class _School:
    points: NDArray[np.float32]
    starts: NDArray[np.int64]  # of each student's recordings
    owners: NDArray[np.int64]  # of each recording
    places: NDArray[np.int64]  # (students, most recordings); one past the end: none

    @classmethod
    def of(cls, points: NDArray[np.float32], counts: NDArray[np.int64]) -> _School:
        starts = np.cumsum(counts) - counts
        column = np.arange(counts.max(initial=0))
        places = np.where(column < counts[:, None], starts[:, None] + column, len(points))
        return cls(points, starts, np.repeat(np.arange(len(counts)), counts), places)

    def block(self, start: int) -> LeftOut:
        """The scores of one block of recordings."""
        rows = np.arange(start, min(start + BLOCK, len(self.points)))
        here = np.arange(len(rows))
        owners = self.owners[rows]
        # One column more, for the recordings that students do not have.
        cosines = np.full((len(rows), len(self.points) + 1), -np.inf, np.float32)
        np.matmul(self.points[rows], self.points.T, out=cosines[:, :-1])
        cosines[here, rows] = -np.inf  # a recording is no evidence for itself
        own = best_mean(cosines[here[:, None], self.places[owners]])
        own[np.isneginf(own)] = np.nan
        cosines[here[:, None], self.places[owners]] = -np.inf
        random = np.random.default_rng((SEED, start))
        others = min(CLAIMS, len(self.starts) - 1)
        # So many places further round the circle of students: never back at one's own.
        steps = random.choice(len(self.starts) - 1, others, replace=False) + 1
        claimed = (owners[:, None] + steps) % len(self.starts)
        claims = best_mean(cosines[here[:, None, None], self.places[claimed]])
        best, nearest = self._best(cosines)
        following = np.minimum(here + 1, len(here) - 1)
        again = best_mean(cosines[following[:, None], self.places[nearest]])
        again[(owners != owners[following]) | (following == here)] = np.nan
        return LeftOut(best, own, claims, again)

    def _best(self, cosines: Scores) -> tuple[Scores, NDArray[np.int64]]:
        """The best student's score of each row, exactly, and who it is.

        Nobody's score is above their best cosine, so only those whose best cosine is above one
        student's score need to be scored.
        """
        highest = np.maximum.reduceat(cosines[:, :-1], self.starts, axis=1)
        here = np.arange(len(cosines))
        first = highest.argmax(axis=1)
        least = best_mean(cosines[here[:, None], self.places[first]])
        row, student = np.nonzero(highest >= least[:, None])
        scores = best_mean(cosines[row[:, None], self.places[student]])
        # Of each row the highest comes last.
        order = np.lexsort((scores, row))
        last = order[np.searchsorted(row, here, side="right") - 1]
        return scores[last], student[last]


def best_mean(cosines: Scores) -> Scores:
    """Students' scores, over the last axis: the mean of the BEST highest, -inf left out.

    -inf where there is none.
    """
    best = np.partition(cosines, -min(BEST, cosines.shape[-1]), axis=-1)[..., -BEST:]
    there = np.isfinite(best)
    total = np.where(there, best, 0).sum(axis=-1)
    count = there.sum(axis=-1)
    mean: Scores = np.where(count > 0, total / np.maximum(count, 1), -np.inf).astype(np.float32)
    return mean
