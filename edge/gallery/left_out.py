"""Leave one out: what a school's own recordings say of strangers and of students.

Each recording, with its own student left out, is a stranger to all the others; each recording,
with only itself left out, is its student at the gate; and against another student one by one,
it is somebody who claims to be them. Two recordings, one after the other, are two tries of
either. Scores are exact, computed in blocks on all cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.decision import BEST, one_voice, pooled_point

BLOCK = 128  # recordings scored at a time
CLAIMS = 16  # other students that each recording claims to be
PAIRS = 20_000  # of recordings that are two tries, at most
SEED = 0

Scores = NDArray[np.float32]
Step = TypeVar("Step")
Work = TypeVar("Work")


class Track(Protocol):
    """Passes on the steps of a long work while showing how far it is."""

    def __call__(self, steps: Iterable[Step], what: str, count: int, /) -> Iterable[Step]: ...


@dataclass(frozen=True)
class LeftOut:
    """Scores of the recordings of a school, each left out in turn."""

    strangers: Scores  # one a recording: the best student but its own; -inf if there is no other
    own: Scores  # one a recording: its own student without it; NaN if it is the only one
    claims: Scores  # (recordings, up to CLAIMS): of others, drawn at random


@dataclass(frozen=True)
class Pairs:
    """Scores of two recordings of one student taken for two tries, and looked for as one."""

    first: NDArray[np.int64]  # the first recording of each pair; the second is the next one
    one_voice: NDArray[np.bool_]  # whether a gate would take them for one person's
    strangers: Scores  # of both together: the best student but their own
    own: Scores  # their own student without both; NaN if there are no others


def leave_one_out(
    points: NDArray[np.float32], counts: NDArray[np.int64], track: Track | None = None
) -> LeftOut:
    """Scores of points (recordings, dimension), each student's ``counts`` of them together."""
    school = _School.of(points, counts)
    done = _in_blocks(school.block, np.arange(len(points)), "leaving one out", track)
    return LeftOut(*(np.concatenate(each) for each in zip(*done, strict=True)))


def leave_two_out(
    points: NDArray[np.float32], counts: NDArray[np.int64], track: Track | None = None
) -> Pairs:
    """Scores of points as of ``leave_one_out``, in pairs; of many, PAIRS evenly chosen."""
    school = _School.of(points, counts)
    first = np.flatnonzero(school.owners[1:] == school.owners[:-1])
    if len(first) > PAIRS:
        first = first[np.linspace(0, len(first) - 1, PAIRS).astype(np.int64)]
    done = _in_blocks(school.pairs, first, "leaving two out", track)
    strangers, own = (np.concatenate([each[at] for each in done]) for at in (0, 1))
    return Pairs(first, one_voice(points[first], points[first + 1]), strangers, own)


def _in_blocks(
    work: Callable[[NDArray[np.int64]], Work],
    rows: NDArray[np.int64],
    what: str,
    track: Track | None,
) -> list[Work]:
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)] or [rows]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found: Iterable[Work] = pool.map(work, blocks)
        return list(found if track is None else track(found, what, len(blocks)))


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

    def block(self, rows: NDArray[np.int64]) -> tuple[Scores, Scores, Scores]:
        """What LeftOut has of some recordings that follow each other."""
        owners = self.owners[rows]
        cosines, own = self._apart(self.points[rows], owners, rows[:, None])
        random = np.random.default_rng((SEED, int(rows[0]) if len(rows) else 0))
        others = min(CLAIMS, len(self.starts) - 1)
        # So many places further round the circle of students: never back at one's own.
        steps = random.choice(len(self.starts) - 1, others, replace=False) + 1
        claimed = (owners[:, None] + steps) % len(self.starts)
        here = np.arange(len(rows))
        claims = best_mean(cosines[here[:, None, None], self.places[claimed]])
        return self._best(cosines), own, claims

    def pairs(self, rows: NDArray[np.int64]) -> tuple[Scores, Scores]:
        """Strangers' and students' scores of some recordings, each together with the next."""
        both = pooled_point(self.points[rows], self.points[rows + 1])
        cosines, own = self._apart(both, self.owners[rows], rows[:, None] + (0, 1))
        return self._best(cosines), own

    def _apart(
        self, probes: Scores, owners: NDArray[np.int64], without: NDArray[np.int64]
    ) -> tuple[Scores, Scores]:
        """Cosines of probes and all recordings of others, and each probe's own student's score.

        Recordings ``without``, (probes, some), are left out: a probe is no evidence for itself.
        """
        here = np.arange(len(probes))[:, None]
        # One column more, for the recordings that students do not have.
        cosines = np.full((len(probes), len(self.points) + 1), -np.inf, np.float32)
        np.matmul(probes, self.points.T, out=cosines[:, :-1])
        cosines[here, without] = -np.inf
        own = best_mean(cosines[here, self.places[owners]])
        own[np.isneginf(own)] = np.nan
        cosines[here, self.places[owners]] = -np.inf
        return cosines, own

    def _best(self, cosines: Scores) -> Scores:
        """The best student's score of each row, exactly.

        Nobody's score is above their best cosine, so only those whose best cosine is above one
        student's score need to be scored.
        """
        highest = np.maximum.reduceat(cosines[:, :-1], self.starts, axis=1)
        here = np.arange(len(cosines))
        first = highest.argmax(axis=1)
        least = best_mean(cosines[here[:, None], self.places[first]])
        row, student = np.nonzero(highest >= least[:, None])
        scores = best_mean(cosines[row[:, None], self.places[student]])
        best = np.full(len(cosines), -np.inf, np.float32)
        np.maximum.at(best, row, scores)
        return best


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
