"""Who may be recognised, at one moment: which recordings are whose."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kaimen.registry.student_rows import Student
from kaimen.voice.score import Points

Numbers = NDArray[np.int64]
Places = NDArray[np.int64]  # of students in ``Members.students``

_NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)
_EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_UNKNOWN = np.iinfo(np.int64).min
_NO_END = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Members:
    """Students and their recordings; once a gallery has it, nothing in it changes."""

    students: list[Student]  # in the order of their numbers
    places: dict[str, int]  # by name
    recordings: Numbers  # each student's together
    starts: NDArray[np.int64]  # where a student's begin, and the end of all
    ascending: Numbers  # the recordings in the order of their numbers
    owners: Places  # of those
    centroids: Points  # of each student's points, (students, dimension)
    columns: NDArray[np.int64]  # of each student, (students, 4): see ``_column_of``
    groups: dict[str, int]  # the numbers of groups; more are added later

    @cached_property
    def hash(self) -> str:
        """Return whose recordings are which, hashed; recordings' numbers are never used twice."""
        owners = self.columns[:, 0][self.owners]
        return hashlib.sha256(self.ascending.tobytes() + owners.tobytes()).hexdigest()

    @cached_property
    def by_group(self) -> dict[str, int]:
        """Return how many students each group has; groups of nobody are left out."""
        counts = np.bincount(self.columns[:, 1], minlength=len(self.groups)).tolist()
        return {name: counts[number] for name, number in self.groups.items() if counts[number]}

    @property
    def newest(self) -> datetime.datetime:
        """When the latest of them was enrolled, in UTC; what is no time is never the latest."""
        latest = int(self.columns[:, 3].max(initial=_UNKNOWN))
        return _NEVER if latest == _UNKNOWN else _EPOCH + latest * _MICROSECOND

    @classmethod
    def of(cls, recognised: Iterable[tuple[Student, Numbers]], dimension: int) -> Members:
        """Make it of students and their recordings, ascending.

        Centroids of this dimension are still to be filled in.
        """
        found = sorted(recognised, key=lambda each: each[0].number)
        groups: dict[str, int] = {}
        return _members(
            [student for student, _ in found],
            np.concatenate([np.zeros(0, np.int64), *(own for _, own in found)]),
            np.array([len(own) for _, own in found], np.int64),
            np.full((len(found), dimension), np.nan, np.float32),
            _columns_of([student for student, _ in found], groups),
            groups,
        )

    def after(
        self, changed: Mapping[int, tuple[Student, Numbers] | None]
    ) -> tuple[Members, Places]:
        """Return them after a change of students by number, and who has no centroid yet.

        None for who is not recognised any more.
        """
        numbers = self.columns[:, 0]
        stays = np.ones(len(numbers), bool)
        students, columns = list(self.students), self.columns.copy()
        come = []
        for number, now in changed.items():
            place = int(np.searchsorted(numbers, number))
            there = place < len(numbers) and numbers[place] == number
            if there and now is not None and self._is_as_before(place, *now):
                students[place] = now[0]
                columns[place] = _column_of(now[0], self.groups)
                continue
            stays[place : place + there] = False
            if now is not None:
                come.append(now)
        if not come and stays.all():
            return replace(self, students=students, columns=columns), np.zeros(0, np.int64)
        come.sort(key=lambda each: each[0].number)
        kept = np.flatnonzero(stays)
        # The order of numbers: who comes again stands where they stood.
        order = np.argsort(
            np.concatenate([numbers[kept], [each.number for each, _ in come]]), kind="stable"
        ).astype(np.int64)
        students = [*(students[place] for place in kept.tolist()), *(each for each, _ in come)]
        own, _ = self.of_students(kept)
        recordings = np.concatenate([own, *(each for _, each in come)])
        counts = np.concatenate([np.diff(self.starts)[kept], [len(each) for _, each in come]])
        recordings, _ = _gathered(recordings, _starts(counts.astype(np.int64)), order)
        nothing = np.full((len(come), self.centroids.shape[1]), np.nan, np.float32)
        added = _columns_of([each for each, _ in come], self.groups)
        members = _members(
            [students[place] for place in order.tolist()],
            recordings,
            counts[order].astype(np.int64),
            np.concatenate([self.centroids[kept], nothing])[order],
            np.concatenate([columns[kept], added])[order],
            self.groups,
        )
        return members, np.flatnonzero(order >= len(kept))

    def take_centroids(self, before: Members) -> Places:
        """Take over the centroids of whose recordings are those they had; return the others."""
        if not self.students or not before.students:
            return np.arange(len(self.students))
        starts = self.starts[:-1]
        was = before.owners_of(self.recordings)
        stood = np.maximum.reduceat(was, starts)
        same = stood == np.minimum.reduceat(was, starts)
        same &= np.diff(self.starts) == np.diff(before.starts)[stood]
        same &= stood >= 0
        self.centroids[same] = before.centroids[stood[same]]
        return np.flatnonzero(~same)

    def _is_as_before(self, place: int, student: Student, recordings: Numbers) -> bool:
        same = self.students[place].name == student.name
        return same and np.array_equal(self.of_student(place), recordings)

    def of_student(self, place: int) -> Numbers:
        """Return a student's recordings."""
        return self.recordings[self.starts[place] : self.starts[place + 1]]

    def of_students(self, places: Places) -> tuple[Numbers, NDArray[np.int64]]:
        """Students' recordings, each one's together, and where each one's start."""
        return _gathered(self.recordings, self.starts, places)

    def owners_of(self, recordings: Numbers) -> Places:
        """Return whose recordings these are; -1 for those of nobody."""
        at = np.searchsorted(self.ascending, recordings)
        at = np.minimum(at, len(self.ascending) - 1)
        return np.where(self.ascending[at] == recordings, self.owners[at], -1)

    def allowed(self, groups: Collection[str] | None, day: datetime.date) -> NDArray[np.bool_]:
        """Return which students consent on a day and belong to one of the groups (to any: None)."""
        allowed: NDArray[np.bool_] = self.columns[:, 2] >= day.toordinal()
        if groups is not None:
            known = [self.groups[each] for each in groups if each in self.groups]
            allowed &= np.isin(self.columns[:, 1], known)
        return allowed


def _members(
    students: list[Student],
    recordings: Numbers,
    counts: NDArray[np.int64],
    centroids: Points,
    columns: NDArray[np.int64],
    groups: dict[str, int],
) -> Members:
    order = np.argsort(recordings, kind="stable")
    return Members(
        students=students,
        places={student.name: place for place, student in enumerate(students)},
        recordings=recordings,
        starts=_starts(counts),
        ascending=recordings[order],
        owners=np.repeat(np.arange(len(students)), counts)[order],
        centroids=centroids,
        columns=columns,
        groups=groups,
    )


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _gathered(
    recordings: Numbers, starts: NDArray[np.int64], places: Places
) -> tuple[Numbers, NDArray[np.int64]]:
    """Return the recordings of students at places, each one's together, and where each starts."""
    counts = starts[places + 1] - starts[places]
    begins = np.cumsum(counts) - counts
    shifts = np.repeat(starts[places] - begins, counts)
    return recordings[np.arange(counts.sum()) + shifts], begins


def _columns_of(students: Sequence[Student], groups: dict[str, int]) -> NDArray[np.int64]:
    return np.array([_column_of(each, groups) for each in students], np.int64).reshape(-1, 4)


def _column_of(student: Student, groups: dict[str, int]) -> tuple[int, int, int, int]:
    """Return a student's number, group, last day of consent, and microseconds of enrollment."""
    return (
        student.number,
        groups.setdefault(student.group, len(groups)),
        _NO_END if student.consent is None else student.consent.toordinal(),
        _time(student.enrolled),
    )


def _time(written: str) -> int:
    try:
        found = datetime.datetime.fromisoformat(written).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return _UNKNOWN
    return (found - _EPOCH) // _MICROSECOND
