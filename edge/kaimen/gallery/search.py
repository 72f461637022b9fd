"""Which students a probe is nearest to: a shortlist by the index, exact scores for those on it."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaimen.gallery.growth import Growth
from kaimen.gallery.index import Index
from kaimen.gallery.match import Match
from kaimen.gallery.members import Members, Places
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.score import LIFT, Scores, combined, lifted, scores

SHORTLIST = 50  # recordings whose students are scored exactly
AT_LEAST = 8  # students on the shortlist: one with many recordings alike crowds nobody out
GLANCE = 8  # times as narrow as it may have to be, a search begins
FEW = 100  # recordings that are all scored rather than searched
FEW_OF_MANY = 2_000  # the same, where others may not enter


@dataclass(frozen=True, slots=True)
class Search:
    """A search among members, whose recordings are in an index. Probes are rotated as it is."""

    index: Index
    members: Members
    growth: Growth

    def nearest(
        self,
        probe: Voiceprint,
        count: int,
        allowed: NDArray[np.bool_],
        *,
        sure: float = math.inf,
        grown: int = 0,
    ) -> list[Match]:
        """Return the nearest of the allowed students, best first.

        A glance is enough where it finds a score of at least ``sure``. Grown voiceprints count
        up to the number ``grown``.
        """
        if sure < math.inf:
            found = self._by_shortlist(probe, count, allowed, GLANCE, grown)
            if found and found[0].score >= sure:
                return found
        return self._by_shortlist(probe, count, allowed, 1, grown)

    def _by_shortlist(
        self, probe: Voiceprint, count: int, allowed: NDArray[np.bool_], part: int, grown: int
    ) -> list[Match]:
        """Return the nearest of the allowed students by a part of the breadth of search."""
        asked_for = SHORTLIST
        while True:
            recordings, cosines = self.index.search(probe, asked_for, part=part)
            owners = self.members.owners_of(recordings)
            may = (owners >= 0) & allowed[owners]
            places, first = np.unique(owners[may], return_index=True)
            if len(places) >= AT_LEAST or asked_for >= len(self.index):
                # A student's highest cosine is the first of theirs on the list. Where the graph
                # missed a still nearer recording, the score is too low, and never too high.
                middle = self.members.centroids[places] @ probe
                found = combined(cosines[may][first], middle)
                return self._best(probe, places, found, count, grown)
            asked_for *= 4

    def exactly(
        self, probe: Voiceprint, places: Places, count: int, *, grown: int = 0
    ) -> list[Match]:
        """Return the best ``count`` of the students at these places, by all of their recordings."""
        if not len(places):
            return []
        recordings, starts = self.members.of_students(places)
        cosines = self.index.points(recordings) @ probe
        middle = self.members.centroids[places] @ probe
        return self._best(probe, places, scores(cosines, starts, middle), count, grown)

    def _best(
        self, probe: Voiceprint, places: Places, scored: Scores, count: int, grown: int
    ) -> list[Match]:
        """Return the best ``count`` of students, as grown voiceprints raise their scores."""
        if grown and len(self.growth):
            scored = self._lifted(probe, places, scored, count, grown)
        best = np.argsort(-scored, kind="stable")[:count].tolist()
        students = self.members.students
        return [Match(students[places[at]].name, float(scored[at])) for at in best]

    def _lifted(
        self, probe: Voiceprint, places: Places, scored: Scores, count: int, grown: int
    ) -> Scores:
        """Return scores as grown voiceprints raise them, of those who may come among the best."""
        raised = scored.copy()
        least = np.partition(scored, -min(count, len(scored)))[-min(count, len(scored))]
        for at in np.flatnonzero(scored + LIFT >= least).tolist():
            student = self.members.students[places[at]].number
            more = self.growth.of_student(student, grown)
            if len(more):
                raised[at] = lifted(scored[at], (more @ probe).max())
        return raised


def allowed_among(
    members: Members, groups: frozenset[str] | None, day: datetime.date
) -> tuple[NDArray[np.bool_], bool]:
    """Return which students may be recognised, and whether to score them all, not search."""
    allowed = members.allowed(groups, day)
    recordings = int(np.diff(members.starts)[allowed].sum())
    # A search among all for a few that may enter would have to be long.
    return allowed, recordings <= (FEW if allowed.all() else FEW_OF_MANY)
