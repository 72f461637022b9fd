"""Simulated campaigns against a gate that grows with its students.

A school is drawn from the speakers, and of all others the one whose best take is nearest to one of
its students comes every day, before that student does. On another gate the same stranger comes
with a voice that drifts: each day a point a little nearer to the student's, on the arc between the
two, until it is as near as the guard asks for, and there it stays. The points of days are
**simulated**: a take of the speaker, disturbed by noise. What the gate does with them is the
product's: the score, the guard, and how much is taken in. Checks and lockout are left out: the
stranger passes them all. What the guard asks for besides is the student's card.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.access.growing import APART, FAR
from kaimen.registry.grown import A_MONTH, MONTH, MOST
from kaimen.voice.score import lifted, score_of
from kaimen_train.points import Points, unit

SCHOOL = 100  # students
ENROLLED = 5  # takes
FPIR = 0.01
DAYS = 365
DISTURBED = 0.5  # length of the noise of a day beside a take's point of length one
STRANGERS = 200  # by which a school is calibrated


@dataclass
class CampaignOutcome:
    """What became of campaigns."""

    campaigns: int = 0
    could_at_first: int = 0  # walk in with a take of their own, before anything was taken in
    taken_in: int = 0  # had something of theirs taken in
    walked_in: int = 0  # could not at first, and can at the end
    imitated: int = 0  # of those who could not: were let in as an imitation, by the drift alone


class GrowingSchool:
    """A gate's students, their threshold, and what they take in."""

    def __init__(self, takes: Points, students: NDArray[np.int64], outside: Points) -> None:
        """``takes`` (speakers, takes, dimension); ``outside`` (strangers, dimension)."""
        self.enrolled = takes[students][:, :ENROLLED]
        self.outside = outside
        self._of_outside = self.scores(outside)
        self.threshold = self.calibrated(0, [])

    def scores(self, probes: Points) -> Points:
        """Return scores by what enrolled, (probes, students)."""
        return np.stack([score_of(own, probes) for own in self.enrolled], axis=1)

    def calibrated(self, student: int, grown: list[Points]) -> float:
        """Return the threshold that FPIR of the strangers reach, with a student's grown points."""
        found = raised(self._of_outside, self.outside, student, grown)
        return float(np.quantile(found.max(axis=1), 1 - FPIR))

    def may_take_in(self, probes: Points, student: int) -> NDArray[np.bool_]:
        """Return which probes pass the guard for a student, (probes,)."""
        every = self.scores(probes)
        own = every[:, student].copy()
        every[:, student] = -np.inf
        return np.asarray((own >= self.threshold + FAR) & (own - every.max(1) >= APART), np.bool_)


def raised(scores: Points, probes: Points, student: int, grown: list[Points]) -> Points:
    """Return scores (probes, students) as a student's grown points raise them."""
    found = scores.copy()
    if grown:
        nearest = (probes @ np.stack(grown).T).max(axis=1)
        found[:, student] = lifted(found[:, student], nearest)
    return found


def months(passed: NDArray[np.bool_]) -> list[int]:
    """Return the days whose probe is taken in: A_MONTH in MONTH, the latest MOST of them."""
    found: list[int] = []
    for day in np.flatnonzero(passed).tolist():
        if len([each for each in found if day - each < MONTH.days]) < A_MONTH:
            found.append(day)
    return found[-MOST:]


def campaigns(
    takes: Points, count: int, *, drifts: bool, card: bool = False, seed: int = 0
) -> dict[str, Any]:
    """Return what became of ``count`` campaigns; ``takes`` (speakers, takes, dimension).

    With a ``card`` the stranger has that of the student.
    """
    random = np.random.default_rng(seed)
    found = CampaignOutcome()
    while found.campaigns < count:
        order = random.permutation(len(takes))
        students, others = order[:SCHOOL], order[SCHOOL:]
        calm, left = others[:STRANGERS], others[STRANGERS:]
        school = GrowingSchool(takes, students, takes[calm].reshape(-1, takes.shape[2]))
        for student in range(min(SCHOOL, count - found.campaigns)):
            student_takes = takes[students[student]]
            attacker = _nearest(school, takes[left], student)
            found.campaigns += 1
            _campaign(
                school, student, student_takes, attacker, found, random, drifts=drifts, card=card
            )
    return asdict(found)


def _nearest(school: GrowingSchool, others: Points, student: int) -> Points:
    """Return the takes of the stranger whose best one is nearest to a student."""
    flat = others.reshape(-1, others.shape[2])
    nearest = score_of(school.enrolled[student], flat).reshape(len(others), -1).max(axis=1)
    return np.asarray(others[int(np.argmax(nearest))], np.float32)


def _campaign(
    school: GrowingSchool,
    student: int,
    takes: Points,
    attacker: Points,
    found: CampaignOutcome,
    random: np.random.Generator,
    *,
    drifts: bool,
    card: bool,
) -> None:
    scores = school.scores(attacker)
    at_first = bool((scores.max(axis=1) >= school.threshold).any())
    found.could_at_first += at_first
    own = _days(takes[ENROLLED:], random)
    comes = _days(attacker, random)
    if drifts:
        share = np.linspace(0, 1, DAYS, dtype=np.float32)[:, np.newaxis]
        centre = school.enrolled[student].sum(axis=0)
        steady = comes
        comes = unit((1 - share) * steady + share * centre / np.linalg.norm(centre))
        first = np.flatnonzero(school.may_take_in(comes, student))
        if len(first):  # as little as it takes, for the rest of the year
            share = np.minimum(share, share[first[0]])
            comes = unit((1 - share) * steady + share * centre / np.linalg.norm(centre))
        let_in = school.scores(comes)[:, student] >= school.threshold
        found.imitated += bool(let_in.any()) and not at_first
    theirs = school.may_take_in(comes, student) & card
    # They come first, every day; the student's own phrase is taken in where theirs is not.
    passed = theirs | school.may_take_in(own, student)
    chosen = months(passed)
    grown = [comes[day] if theirs[day] else own[day] for day in chosen]
    found.taken_in += bool(theirs[chosen].any())
    if not at_first:
        least = max(school.threshold, school.calibrated(student, grown))
        at_last = raised(scores, attacker, student, grown).max(axis=1) >= least
        found.walked_in += bool(at_last.any())


def _days(takes: Points, random: np.random.Generator) -> Points:
    """Return DAYS simulated points of a speaker with these takes."""
    chosen = takes[random.integers(0, len(takes), DAYS)]
    noise = unit(random.standard_normal(chosen.shape).astype(np.float32))
    return unit(chosen + np.float32(DISTURBED) * noise)
