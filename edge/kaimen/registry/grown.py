"""Grown voiceprints: of phrases at the gate that were taken in beside those that enrolled.

They lie in a table of their own, sealed like the others, and opened only as what they are: none
can pass for one that enrolled somebody. The number of one is never used twice.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import GalleryError
from kaimen.names import as_kept
from kaimen.registry.database import Database, among
from kaimen.registry.recordings import SHORT, Recordings
from kaimen.voice.encoder import Voiceprint

A_DAY, A_MONTH, MOST = 1, 2, 4  # of a student: in a day, in MONTH, and at any time
MONTH = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Grown:
    """A voiceprint that was taken in at the gate."""

    number: int
    student: str
    at: str  # when, UTC, ISO 8601
    encoder: str


class GrownVoiceprints:
    """All that were taken in."""

    def __init__(self, database: Database, recordings: Recordings) -> None:
        self._database = database
        self._recordings = recordings

    def listed(self, students: Collection[str] | None = None) -> list[Grown]:
        """Return those of some students, or of all, in the order in which they were taken in."""
        rows = self._database.read(
            "SELECT grown.number, name, at, grown.encoder FROM grown "
            "JOIN students ON student = students.number ORDER BY grown.number"
        )
        names = None if students is None else set(map(as_kept, students))
        found = [Grown(number, str(name), str(at), str(by)) for number, name, at, by in rows]
        return [each for each in found if names is None or each.student in names]

    def points(
        self, encoder: str, students: Sequence[int] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return an encoder's: their numbers, their students' numbers, (grown, dimension).

        Of some students, given by number, or of all.
        The points are as they are kept: see ``Recordings.rotation``.
        What was changed by something else than Kaimen is left out: it lifts nobody's score.
        """
        numbers, owners, points = [], [], []
        which, values = among("student", students)
        for number, owner, at, sealed in self._database.read(
            f"SELECT number, student, at, voiceprint FROM grown WHERE encoder = ? AND {which} "
            "ORDER BY student, number",
            encoder,
            *values,
        ):
            place = context_of_grown(number, owner, encoder, at)
            try:
                point = np.frombuffer(self._database.vault.unseal(sealed, place), "<f4")
            except GalleryError:
                continue
            points.append(point)
            numbers.append(number)
            owners.append(owner)
        shape = (len(points), -1) if points else (0, 0)
        found = np.array(points, np.float32).reshape(shape)
        return np.array(numbers, np.int64), np.array(owners, np.int64), found

    def of_student(self, name: str) -> list[tuple[Grown, Voiceprint]]:
        """Return a student's, of whichever encoder, in their order. Raises GalleryError."""
        found = []
        for number, owner, at, encoder, sealed in self._database.read(
            "SELECT grown.number, student, at, grown.encoder, voiceprint FROM grown "
            "JOIN students ON student = students.number WHERE name = ? ORDER BY grown.number",
            as_kept(name),
        ):
            place = context_of_grown(number, owner, encoder, at)
            made = self._recordings.opened_point(sealed, encoder, place)
            found.append((Grown(number, as_kept(name), at, encoder), made))
        return found

    def take_in(
        self, name: str, voiceprint: Voiceprint, encoder: str, at: datetime.datetime
    ) -> bool:
        """Take in a voiceprint of an enrolled student; return whether there was room for it.

        At most A_DAY, A_MONTH and MOST, and never more than the recordings that enrolled; the
        oldest gives way. ``at`` in UTC. Raises GalleryError and StorageError.
        """
        with self._database.writing() as database:
            row = database.execute(
                "SELECT number, (SELECT count(*) FROM recordings WHERE student = students.number "
                "AND word = '') FROM students WHERE name = ?",
                (as_kept(name),),
            ).fetchone()
            if row is None:
                return False
            student, enrolled = row
            there = database.execute(
                "SELECT number, at, encoder FROM grown WHERE student = ? ORDER BY number",
                (student,),
            ).fetchall()
            if not _has_room([str(each[1]) for each in there], at) or not enrolled:
                return False
            # Another encoder's are of no use beside this one's.
            own = [number for number, _, by in there if by == encoder]
            stay = own[max(0, len(own) + 1 - min(MOST, enrolled)) :]
            database.executemany(
                "DELETE FROM grown WHERE number = ?",
                [(number,) for number, _, _ in there if number not in stay],
            )
            written = at.isoformat(timespec="seconds")
            (number,) = database.execute(
                "INSERT INTO grown (student, encoder, at, voiceprint) VALUES (?, ?, ?, x'') "
                "RETURNING number",
                (student, encoder, written),
            ).fetchone()
            context = context_of_grown(number, student, encoder, written)
            sealed = self._recordings.sealed_point(voiceprint, encoder, context)
            database.execute("UPDATE grown SET voiceprint = ? WHERE number = ?", (sealed, number))
        return True

    def forget(self, students: Sequence[str]) -> int:
        """Forget those of some students, all or none; return how many there were."""
        with self._database.writing() as database:
            forgotten = 0
            for name in students:
                forgotten += database.execute(
                    "DELETE FROM grown WHERE student = "
                    "(SELECT number FROM students WHERE name = ?)",
                    (as_kept(name),),
                ).rowcount
        self._database.try_to_truncate_log()
        return forgotten

    def examine(self) -> None:
        """Require that all of them open. Raises GalleryError."""
        for number, student, encoder, at, sealed in self._database.read(
            "SELECT number, student, encoder, at, voiceprint FROM grown"
        ):
            self._database.vault.unseal(sealed, context_of_grown(number, student, encoder, at))


def _has_room(taken: Sequence[str], at: datetime.datetime) -> bool:
    """Return whether one more may be taken in, given when the others were."""
    try:
        times = [datetime.datetime.fromisoformat(each) for each in taken]
        if any(each > at for each in times):  # the clock went back
            return False
    except (ValueError, TypeError):  # something else than Kaimen wrote it
        return False
    a_day = sum(each.date() == at.date() for each in times)
    a_month = sum(at - each < MONTH for each in times)
    return a_day < A_DAY and a_month < A_MONTH


def context_of_grown(number: int, student: int, encoder: str, at: str) -> str:
    """Return what something sealed is of: it opens as nothing else."""
    return f"grown voiceprint {number} of student {student} by encoder {encoder[:SHORT]} at {at}"
