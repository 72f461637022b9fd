"""The grown voiceprints of a gallery, at one moment: of whom, and numbered up to which."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaimen.gallery.members import Numbers
from kaimen.registry.student_rows import Student
from kaimen.voice.score import Points, Scores, Starts, lifted

Own = tuple[Numbers, Points]


@dataclass(frozen=True, eq=False)
class GrownPoints:
    """Grown voiceprints beside all points of a gallery."""

    points: Points  # (grown, dimension), each student's together
    starts: Starts  # where those of each student who has any begin
    places: NDArray[np.int64]  # of these students, ascending
    latest: int  # the highest number of one; 0 of none

    def lift(self, scores: Scores, probes: Points) -> None:
        """Raise scores (probes, students) in place."""
        if len(self.places):
            nearest = np.maximum.reduceat(probes @ self.points.T, self.starts, axis=-1)
            scores[:, self.places] = lifted(scores[:, self.places], nearest)


@dataclass(frozen=True, eq=False)
class Growth:
    """Grown voiceprints by the number of their student; nothing in it changes."""

    by_student: dict[int, Own] = field(default_factory=dict)  # numbers ascending

    @classmethod
    def of(
        cls, students: Container[int], numbers: Numbers, owners: Numbers, points: Points
    ) -> Growth:
        """Return those of some students, of (grown, dimension) points, each owner's together."""
        every, starts = np.unique(owners, return_index=True)
        pieces = zip(np.split(numbers, starts[1:]), np.split(points, starts[1:]), strict=True)
        of_each = zip(every.tolist(), pieces, strict=bool(len(every)))
        return cls({owner: own for owner, own in of_each if owner in students})

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(len(numbers) for numbers, _ in self.by_student.values())

    @property
    def latest(self) -> int:
        """Return the highest number; 0 of none."""
        return max((int(numbers[-1]) for numbers, _ in self.by_student.values()), default=0)

    def beside(self, students: Sequence[Student], dimension: int) -> GrownPoints:
        """Return all of them beside the points of these students, in their order."""
        own = {
            place: self.by_student[student.number][1]
            for place, student in enumerate(students)
            if student.number in self.by_student
        }
        counts = np.array([len(each) for each in own.values()], np.int64)
        return GrownPoints(
            np.concatenate([np.empty((0, dimension), np.float32), *own.values()]),
            np.cumsum(counts) - counts,
            np.array(list(own), np.int64),
            self.latest,
        )

    def of_student(self, student: int, up_to: int) -> Points | tuple[()]:
        """Return a student's, numbered ``up_to`` this, (grown, dimension); nothing of others."""
        own = self.by_student.get(student)
        return () if own is None else own[1][own[0] <= up_to]
