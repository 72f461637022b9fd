"""Who may be recognised, at one moment: which recordings are whose."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kaimen.registry.student_rows import Student
from kaimen.voice.score import Points

Numbers = NDArray[np.int64]
Places = NDArray[np.int64]  # of students in ``Members.students``

_NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)


@dataclass(frozen=True, eq=False)
class Members:
    """Students and their recordings; once a gallery has it, nothing in it changes."""

    students: list[Student]
    places: dict[str, int]  # by name
    recordings: Numbers  # each student's together
    starts: NDArray[np.int64]  # where a student's begin, and the end of all
    ascending: Numbers  # the recordings in the order of their numbers
    owners: Places  # of those
    centroids: Points  # of each student's points, (students, dimension)

    @cached_property
    def hash(self) -> str:
        """Of whose recordings are which; recordings' numbers are never used twice."""
        owners = np.array([student.number for student in self.students], np.int64)[self.owners]
        return hashlib.sha256(self.ascending.tobytes() + owners.tobytes()).hexdigest()

    @cached_property
    def newest(self) -> datetime.datetime:
        """When the latest of them was enrolled, in UTC; what is no time is never the latest."""
        found = [_time(student.enrolled) for student in self.students]
        return max(found, default=_NEVER)

    @classmethod
    def of(
        cls, students: Sequence[Student], recordings: Numbers, owners: Numbers, dimension: int
    ) -> Members:
        """From ascending recordings and their owners' numbers; who has none is left out.

        Centroids of this dimension are still to be filled in.
        """
        numbers, places = np.unique(owners, return_inverse=True)
        by_number = {student.number: student for student in students}
        found = [by_number[number] for number in numbers.tolist()]
        counts = np.bincount(places, minlength=len(found))
        return cls(
            students=found,
            places={student.name: place for place, student in enumerate(found)},
            recordings=recordings[np.argsort(places, kind="stable")],
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            ascending=recordings,
            owners=places,
            centroids=np.full((len(found), dimension), np.nan, np.float32),
        )

    def as_before(self, before: Members) -> Places:
        """Return where students stood before whose recordings are those they had; -1 of others."""
        if not self.students or not before.students:
            return np.full(len(self.students), -1)
        starts = self.starts[:-1]
        was = before.owners_of(self.recordings)
        stood = np.maximum.reduceat(was, starts)
        same = stood == np.minimum.reduceat(was, starts)
        same &= np.diff(self.starts) == np.diff(before.starts)[stood]
        return np.where(same, stood, -1)

    def of_student(self, place: int) -> Numbers:
        """A student's recordings."""
        return self.recordings[self.starts[place] : self.starts[place + 1]]

    def of_students(self, places: Places) -> tuple[Numbers, NDArray[np.int64]]:
        """Students' recordings, each one's together, and where each one's start."""
        counts = self.starts[places + 1] - self.starts[places]
        starts = np.cumsum(counts) - counts
        return self.recordings[
            np.arange(counts.sum()) + np.repeat(self.starts[places] - starts, counts)
        ], starts

    def owners_of(self, recordings: Numbers) -> Places:
        """Whose recordings these are; -1 for those of nobody."""
        at = np.searchsorted(self.ascending, recordings)
        at = np.minimum(at, len(self.ascending) - 1)
        return np.where(self.ascending[at] == recordings, self.owners[at], -1)

    def allowed(self, groups: Collection[str] | None, day: datetime.date) -> NDArray[np.bool_]:
        """Which students consent on a day and belong to one of the groups (to any: None)."""
        return np.array(
            [
                student.consents(day) and (groups is None or student.group in groups)
                for student in self.students
            ],
            bool,
        )


def _time(written: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(written).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return _NEVER
