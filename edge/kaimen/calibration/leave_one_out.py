"""Leave one out: what a school's own recordings say of strangers and of students.

Each recording, with its own student left out, is a stranger to all the others; each recording,
with only itself left out, is its student at the gate; and against another student one by one,
it is somebody who claims to be them. Two recordings, one after the other, are two tries of
either. Scores are exact, computed in blocks on all cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kaimen.access.decision import one_voice, pooled_point
from kaimen.gallery.growth import GrownPoints
from kaimen.progress import Track
from kaimen.voice.score import Scores, centroids_of, scores

BLOCK = 128  # recordings scored at a time
CLAIMS = 16  # other students that each recording claims to be
PAIRS = 20_000  # of recordings that are two tries, at most
SEED = 0

Work = TypeVar("Work")


@dataclass(frozen=True)
class LeftOut:
    """Scores of the recordings of a school, each left out in turn."""

    strangers: Scores  # one a recording: the best student but its own; -inf if there is no other
    own: Scores  # one a recording: its own student without it; NaN if it is the only one
    claims: Scores  # (recordings, up to CLAIMS): of others, drawn at random
    at_once: Scores  # (recordings, sets): as ``strangers``, of the students of each set alone

    def of_set(self, number: int) -> LeftOut:
        """Return the same with strangers' scores of the students of one set alone."""
        return replace(self, strangers=self.at_once[:, number])


@dataclass(frozen=True)
class Pairs:
    """Scores of two recordings of one student taken for two tries, and looked for as one."""

    first: NDArray[np.int64]  # the first recording of each pair; the second is the next one
    one_voice: NDArray[np.bool_]  # whether a gate would take them for one person's
    strangers: Scores  # of both together: the best student but their own
    own: Scores  # their own student without both; NaN if there are no others
    at_once: Scores  # (pairs, sets): as ``strangers``, of the students of each set alone

    def only(self, which: NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs."""
        return Pairs(**{name: values[which] for name, values in vars(self).items()})

    def of_set(self, number: int) -> Pairs:
        """Return the pairs with strangers' scores of the students of one set alone."""
        return replace(self, strangers=self.at_once[:, number])


def leave_one_out(
    points: NDArray[np.float32],
    counts: NDArray[np.int64],
    track: Track | None = None,
    grown: GrownPoints | None = None,
    at_once: Sequence[NDArray[np.bool_]] = (),
) -> LeftOut:
    """Return scores of points (recordings, dimension), each student's ``counts`` of them together.

    Those at other students are raised by their ``grown`` voiceprints. ``at_once`` are sets of
    students, each of shape (students,), that strangers are compared with beside all of them.
    """
    school = _School.of(points, counts, grown, at_once)
    done = _in_blocks(school.block, np.arange(len(points)), "leaving one out", track)
    return LeftOut(*(np.concatenate(each) for each in zip(*done, strict=True)))


def leave_two_out(
    points: NDArray[np.float32],
    counts: NDArray[np.int64],
    track: Track | None = None,
    grown: GrownPoints | None = None,
    at_once: Sequence[NDArray[np.bool_]] = (),
) -> Pairs:
    """Return scores of points as of ``leave_one_out``, in pairs; of many, PAIRS evenly chosen."""
    school = _School.of(points, counts, grown, at_once)
    first = np.flatnonzero(school.owners[1:] == school.owners[:-1])
    if len(first) > PAIRS:
        first = first[np.linspace(0, len(first) - 1, PAIRS).astype(np.int64)]
    done = _in_blocks(school.pairs, first, "leaving two out", track)
    strangers, own, of_sets = (np.concatenate([each[at] for each in done]) for at in (0, 1, 2))
    return Pairs(first, one_voice(points[first], points[first + 1]), strangers, own, of_sets)


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
    centroids: NDArray[np.float32]  # of each student's points
    at_once: Sequence[NDArray[np.bool_]]  # sets of students, (students,) each
    grown: GrownPoints | None

    @classmethod
    def of(
        cls,
        points: NDArray[np.float32],
        counts: NDArray[np.int64],
        grown: GrownPoints | None,
        at_once: Sequence[NDArray[np.bool_]],
    ) -> _School:
        starts = np.cumsum(counts) - counts
        column = np.arange(counts.max(initial=0))
        places = np.where(column < counts[:, None], starts[:, None] + column, len(points))
        owners = np.repeat(np.arange(len(counts)), counts)
        return cls(points, starts, owners, places, centroids_of(points, starts), at_once, grown)

    def block(self, rows: NDArray[np.int64]) -> tuple[Scores, Scores, Scores, Scores]:
        """Return what LeftOut has of some recordings that follow each other."""
        every, own = self._apart(self.points[rows], rows, rows[:, None])
        random = np.random.default_rng((SEED, int(rows[0]) if len(rows) else 0))
        others = min(CLAIMS, len(self.starts) - 1)
        # So many places further round the circle of students: never back at one's own.
        steps = random.choice(len(self.starts) - 1, others, replace=False) + 1
        claimed = (self.owners[rows, None] + steps) % len(self.starts)
        claims = np.take_along_axis(every, claimed, axis=1)
        return every.max(axis=1), own, claims, self._of_sets(every)

    def pairs(self, rows: NDArray[np.int64]) -> tuple[Scores, Scores, Scores]:
        """Strangers' and students' scores of some recordings, each together with the next."""
        both = pooled_point(self.points[rows], self.points[rows + 1])
        every, own = self._apart(both, rows, rows[:, None] + (0, 1))
        return every.max(axis=1), own, self._of_sets(every)

    def _of_sets(self, every: Scores) -> Scores:
        """Return the best of the students of each set, (probes, sets); -inf where there is none."""
        best = [every[:, who].max(axis=1, initial=-np.inf) for who in self.at_once]
        return np.array(best, np.float32).reshape(len(self.at_once), len(every)).T

    def _apart(
        self, probes: Scores, rows: NDArray[np.int64], without: NDArray[np.int64]
    ) -> tuple[Scores, Scores]:
        """Return scores of probes at all students but their own, which is -inf, and at their own.

        Probe n is of the student of recording ``rows[n]``, whose recordings ``without[n]`` are
        left out: a probe is no evidence for itself. NaN where none is left.
        """
        cosines = probes @ self.points.T
        every = scores(cosines, self.starts, probes @ self.centroids.T)
        if self.grown is not None:
            self.grown.lift(every, probes)
        owners = self.owners[rows]
        every[np.arange(len(rows)), owners] = -np.inf
        places = self.places[owners]
        left = (places < len(self.points)) & (places[..., None] != without[:, None]).all(axis=-1)
        counts = left.sum(axis=1)
        several, row = counts > 0, np.repeat(np.arange(len(rows)), counts)
        kept, starts = places[left], (np.cumsum(counts) - counts)[several]
        own = np.full(len(rows), np.nan, np.float32)
        centroids = centroids_of(self.points[kept], starts)
        middle = np.einsum("nd,nd->n", probes[several], centroids)
        own[several] = scores(cosines[row, kept], starts, middle)
        return every, own
