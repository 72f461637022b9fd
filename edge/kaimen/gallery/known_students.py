"""What a gallery knows of a registry's students, kept up by those who changed since the last look.

Who was removed is missing in the count. Everybody is read where that cannot be trusted: another
file is in the registry's place, it went back, or the seals of all whom the gallery knows are not
the registry's sum.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaimen.gallery.growth import Growth, Own
from kaimen.gallery.members import Numbers
from kaimen.registry.registry import Registry
from kaimen.registry.seals import RegistryState
from kaimen.registry.student_rows import Roll, Student, StudentRow

AT_ONCE = 20  # students who are read before others have a turn
MANY = 0.5  # share of students, from which on everybody is read


@dataclass(frozen=True, slots=True)
class KnownStudent:
    """All of a student that a gallery goes by, but for the voiceprints."""

    row: StudentRow
    # Of 20,000 students arrays and floats of their own would be 6 MB more.
    packed_recordings: bytes
    packed_highest: bytes
    grown: Own | None

    @property
    def recordings(self) -> Numbers:
        """Return the recordings' numbers, ascending."""
        return np.frombuffer(self.packed_recordings, np.int64)

    @property
    def highest(self) -> tuple[float, ...]:
        """Return how high the speech of recordings reaches, in Hz, where that was measured."""
        return tuple(np.frombuffer(self.packed_highest, np.float64).tolist())

    @property
    def recognised(self) -> tuple[Student, Numbers] | None:
        """Return the student and the recordings; None of whom nothing is recognised by."""
        student, recordings = self.row.student, self.recordings
        return (student, recordings) if student is not None and len(recordings) else None


@dataclass(slots=True)
class KnownStudents:
    """Everybody in a registry as they were when last looked at, by number."""

    registry: Registry
    encoder: str
    by_number: dict[int, KnownStudent] = field(default_factory=dict)
    state: RegistryState | None = None  # of the registry then; None: not looked at yet
    _entry: int = 0  # the latest of the journal
    _file: tuple[int, int] = (-1, -1)
    _total: int = 0  # of all seals

    def look(self, pause: Callable[[], None]) -> dict[int, KnownStudent | None] | None:
        """Read who changed; return them, as they were before; None where everybody was read.

        None, too, of whom was not known before. ``pause``: called while much is read. In a
        transaction of the caller's, who calls ``forget`` where it does not come to its end.
        """
        state = self.registry.database.state()
        file = self.registry.database.file()
        found = None
        if (
            self.state is not None
            and self._file == file
            and self.state.registry == state.registry
            and self.state.changes <= state.changes
        ):
            found = self._changed(state, pause)
        if found is None:
            self._entry = self.registry.journal.latest()
            self.by_number = self._read(None, pause)
            self._total = sum(each.row.seal for each in self.by_number.values())
        self.state, self._file = state, file
        return found

    def forget(self) -> None:
        """Read everybody at the next look."""
        self.state = None

    def roll(self) -> Roll:
        """Return everybody, and what is not as it was written."""
        rows = sorted((each.row for each in self.by_number.values()), key=lambda row: row.name)
        return Roll(
            [row.student for row in rows if row.student is not None],
            [row.name for row in rows if row.student is None],
            self.state is not None and self.state.is_sum_of([self._total]),
        )

    def _changed(
        self, state: RegistryState, pause: Callable[[], None]
    ) -> dict[int, KnownStudent | None] | None:
        changed, entry = self.registry.journal.since(self._entry)
        if len(changed) > max(AT_ONCE, MANY * len(self.by_number)):
            return None
        now = self._read(changed, pause)
        before = {number: self.by_number.get(number) for number in changed}
        total = self._total + _sum(now.values()) - _sum(before.values())
        new = now.keys() - self.by_number.keys()
        if len(self.by_number) + len(new) != len(self.registry):  # somebody was removed, too
            gone = self.by_number.keys() - self.registry.rows.numbers() - before.keys()
            before |= {number: self.by_number[number] for number in gone}
            total -= _sum(self.by_number[number] for number in gone)
        if not state.is_sum_of([total]):
            return None
        for number in before:
            self.by_number.pop(number, None)
        self.by_number |= now
        self._total, self._entry = total, entry
        return before

    def _read(
        self, students: Sequence[int] | None, pause: Callable[[], None]
    ) -> dict[int, KnownStudent]:
        """Read some students by number, or everybody."""
        if students is None:
            return self._read_some(None)
        found: dict[int, KnownStudent] = {}
        for start in range(0, len(students), AT_ONCE):
            found |= self._read_some(students[start : start + AT_ONCE])
            pause()
        return found

    def _read_some(self, students: Sequence[int] | None) -> dict[int, KnownStudent]:
        rows = list(self.registry.rows.each(students))
        kept = StudentRecordings.of(self.registry.recordings.of_students(self.encoder, students))
        of_whom = {row.number for row in rows}
        grown = Growth.of(of_whom, *self.registry.grown.points(self.encoder, students))
        return {
            row.number: KnownStudent(
                row,
                *kept.packed(row.number),
                None if row.student is None else grown.by_student.get(row.number),
            )
            for row in rows
        }


@dataclass(frozen=True, slots=True)
class StudentRecordings:
    """Recordings of many students, each one's together, in the order of students' numbers."""

    owners: NDArray[np.int64]
    numbers: Numbers
    highest: NDArray[np.float64]  # Hz; NaN where it was not measured

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, float | None]]) -> StudentRecordings:
        """Sort recordings' owners, numbers and heights, given in the order of their numbers."""
        owners, numbers, highest = array("q"), array("q"), array("d")
        for owner, number, hz in rows:
            owners.append(owner)
            numbers.append(number)
            highest.append(np.nan if hz is None else hz)
        order = np.argsort(np.array(owners, np.int64), kind="stable")
        return cls(
            np.array(owners, np.int64)[order],
            np.array(numbers, np.int64)[order],
            np.array(highest, np.float64)[order],
        )

    def packed(self, student: int) -> tuple[bytes, bytes]:
        """Return a student's numbers and heights as bytes."""
        first, end = np.searchsorted(self.owners, [student, student + 1])
        highest = self.highest[first:end]
        return self.numbers[first:end].tobytes(), highest[~np.isnan(highest)].tobytes()


def _sum(known: Iterable[KnownStudent | None]) -> int:
    return sum(each.row.seal for each in known if each is not None)


def highest_speech(known: Iterable[KnownStudent]) -> Iterator[tuple[float, ...]]:
    """Yield how high the recordings of a student reach; of whom that was measured."""
    return (each.highest for each in known if each.packed_highest)
