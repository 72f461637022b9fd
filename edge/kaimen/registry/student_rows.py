"""Students as the registry writes them down: a row each, sealed, so that a change is noticed."""

from __future__ import annotations

import datetime
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any

from kaimen.errors import GalleryError
from kaimen.names import as_kept
from kaimen.registry.database import Database, among
from kaimen.registry.seals import SEALED_FIELDS, number_of

ROW = f"{SEALED_FIELDS}, seal"
COUNTED = "(SELECT count(*) FROM recordings WHERE student = students.number AND word = '')"


@dataclass(frozen=True, slots=True)
class Student:
    """Somebody who is enrolled."""

    number: int
    name: str
    group: str
    consent: datetime.date | None  # the last day; None: until it is withdrawn
    enrolled: str  # UTC, ISO 8601
    encoder: str
    recordings: int

    def consents(self, day: datetime.date) -> bool:
        """Return whether the student may be recognised on this day."""
        return self.consent is None or day <= self.consent


@dataclass(frozen=True, slots=True)
class StudentRow:
    """A row of somebody who is enrolled."""

    number: int
    name: str
    student: Student | None  # None: changed by something else than Kaimen
    seal: int


@dataclass(frozen=True, slots=True)
class Roll:
    """Everybody at one moment, and what was changed by something else than Kaimen."""

    students: list[Student]
    changed: list[str]  # names in rows whose seal does not fit: nobody is known by them
    complete: bool  # whether no whole row was put in or taken out


class StudentRows:
    """The rows of students. Whatever writes runs in a transaction of the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def roll(self) -> Roll:
        """Return everybody, in the order of their names, and what is not as it was written."""
        with self._database.reading():
            state = self._database.state()
            rows = sorted(self.each(), key=lambda row: row.name)
        return Roll(
            [row.student for row in rows if row.student is not None],
            [row.name for row in rows if row.student is None],
            state.is_sum_of(row.seal for row in rows),
        )

    def each(self, students: Sequence[int] | None = None) -> Iterator[StudentRow]:
        """Yield everybody's row, or some students' by number, as they are asked for.

        Whoever asks is inside ``reading``.
        """
        registry = self._database.state().registry
        which, values = among("number", students)
        for *row, seal, recordings in self._database.each(
            f"SELECT {ROW}, {COUNTED} FROM students WHERE {which}", *values
        ):
            is_sealed = self._is_sealed(row, seal, registry)
            yield StudentRow(
                row[0],
                str(row[1]),
                _student(row, recordings) if is_sealed else None,
                number_of(_bytes(seal)),
            )

    def numbers(self) -> set[int]:
        """Return the numbers of everybody."""
        return {number for (number,) in self._database.read("SELECT number FROM students")}

    def one(self, name: str) -> Student:
        """Return one of them. Raises GalleryError."""
        rows = self._database.read(
            f"SELECT {ROW}, {COUNTED} FROM students WHERE name = ?", as_kept(name)
        )
        if not rows:
            raise GalleryError(f"{name} is not enrolled; see 'kaimen students'")
        *row, seal, recordings = rows[0]
        if not self._is_sealed(row, seal, self._database.state().registry):
            raise GalleryError(
                f"{name}: something else than Kaimen changed this student's name, group or "
                "consent; remove and enroll them again"
            )
        return _student(row, recordings)

    def _is_sealed(self, row: Sequence[object], seal: object, registry: str) -> bool:
        return hmac.compare_digest(_bytes(seal), self._database.seals.row(registry, row))

    def seal(self, number: int, before: bytes) -> None:
        """Seal a student's row as it is now, in a transaction; ``before``: its seal until now."""
        ((*row,),) = self._database.read(
            f"SELECT {SEALED_FIELDS} FROM students WHERE number = ?", number
        )
        seal = self._database.seals.row(self._database.state().registry, row)
        self._database.read("UPDATE students SET seal = ? WHERE number = ?", seal, number)
        self._database.exchange(before, seal)

    def change(self, number: int, columns: str, *values: object) -> None:
        """Set columns of a student's row, as SQL says them, in a transaction."""
        ((before,),) = self._database.read(
            f"UPDATE students SET {columns} WHERE number = ? RETURNING seal", *values, number
        )
        self.seal(number, before)

    def drop(self, name: str) -> None:
        """Delete a student's row and all recordings, in a transaction."""
        for (seal,) in self._database.read(
            "DELETE FROM students WHERE name = ? RETURNING seal", name
        ):
            self._database.exchange(_bytes(seal), b"")

    def as_written(self, name: str) -> tuple[Student | None, bytes]:
        """Return a student and the seal of the row, or nobody; in a transaction.

        A row that something else than Kaimen changed is dropped: nobody knows whose it was.
        """
        rows = self._database.read(f"SELECT {ROW}, {COUNTED} FROM students WHERE name = ?", name)
        if not rows:
            return None, b""
        *row, seal, recordings = rows[0]
        if self._is_sealed(row, seal, self._database.state().registry):
            return _student(row, recordings), _bytes(seal)
        self.drop(name)
        return None, b""


def _bytes(seal: object) -> bytes:
    return seal if isinstance(seal, bytes) else b""


def _student(row: Sequence[Any], recordings: int) -> Student:
    """Return a student from a row that is as it was written."""
    number, name, group, consent, enrolled, encoder = row
    return Student(
        number=number,
        name=str(name),
        group=intern(str(group)),  # a school has few
        consent=None if consent is None else datetime.date.fromisoformat(str(consent)),
        enrolled=str(enrolled),
        encoder=intern(str(encoder)),
        recordings=recordings,
    )
