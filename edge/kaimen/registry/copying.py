"""One student from one registry into another: everything that the gate knows them by.

Each registry has its own key and its own numbers, so a copy is unsealed, and sealed anew where it
is put. So are consents and the PIN. What was refused of a student's files, and what the door heard
of them, stays at home.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

import numpy as np

from kaimen.errors import GalleryError
from kaimen.registry.consents import Consent, Consents
from kaimen.registry.database import Database
from kaimen.registry.erased import strike_erasure
from kaimen.registry.pins import Pins
from kaimen.registry.points import write_point
from kaimen.registry.recordings import Recordings, context_of
from kaimen.registry.student_rows import StudentRows

CLOSE = 1e-5  # what turning a voiceprint there and back may change of a number


@dataclass(frozen=True, slots=True, eq=False)
class PointCopy:
    """What another model than the student's made of a recording."""

    model: str
    of_words: bool  # whether it is a phrase encoder's
    content: bytes

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PointCopy):
            return NotImplemented
        if (self.model, self.of_words) != (other.model, other.of_words):
            return False
        same = self.content == other.content
        return same or (not self.of_words and _same(self.content, other.content))

    def __hash__(self) -> int:
        return hash((self.model, self.of_words))


@dataclass(frozen=True, slots=True, eq=False)
class RecordingCopy:
    """A recording of a student; what is missing was not kept of it."""

    word: str
    source: str
    said_by: str
    highest: float | None
    voiceprint: bytes | None  # float32, little-endian; None: only other models know it
    said: bytes | None
    fingerprint: bytes | None
    points: tuple[PointCopy, ...]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RecordingCopy):
            return NotImplemented
        return self._bare == other._bare and _same(self.voiceprint, other.voiceprint)

    def __hash__(self) -> int:
        return hash(self._bare)

    @property
    def _bare(self) -> tuple[object, ...]:
        fields = (self.word, self.source, self.said_by, self.highest, self.said, self.fingerprint)
        return (*fields, self.points)


@dataclass(frozen=True, slots=True)
class StudentCopy:
    """A student, whole, with nothing of the registry that they were copied from."""

    name: str
    group: str
    consent: str | None  # the last day, ISO 8601
    enrolled: str
    encoder: str  # empty of whom no voice is known
    recordings: tuple[RecordingCopy, ...]
    consents: tuple[Consent, ...] = ()  # the ledger's, the oldest first, without numbers
    pin: bytes | None = None  # salt and hash


class Copies:
    """Copies students out of one registry, and into it from another."""

    def __init__(
        self,
        database: Database,
        rows: StudentRows,
        recordings: Recordings,
        consents: Consents,
        pins: Pins,
    ) -> None:
        """Take the parts of one registry."""
        self._database = database
        self._rows = rows
        self._recordings = recordings
        self._consents = consents
        self._pins = pins

    def of(self, name: str) -> StudentCopy:
        """Return all that a student is known by, unsealed. Raises GalleryError."""
        with self._database.reading():
            student = self._rows.one(name)
            return StudentCopy(
                student.name,
                student.group,
                None if student.consent is None else student.consent.isoformat(),
                student.enrolled,
                student.encoder,
                self._recordings_of(student.number, student.encoder),
                tuple(replace(each, number=0) for each in self._consents.of(student.number)),
                self._pins.kept(student.number),
            )

    def put(self, copy: StudentCopy) -> None:
        """Write a student of another registry in place of what was known under the name.

        Recordings that are there already keep their numbers. Raises StorageError; nothing was
        changed then.
        """
        with self._database.writing() as database:
            before, seal = self._rows.as_written(copy.name)
            here = None if before is None else self.of(copy.name)
            fields = (copy.name, copy.group, copy.consent, copy.enrolled, copy.encoder)
            (number,) = database.execute(
                "INSERT INTO students (name, class, consent, enrolled, encoder) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET class = excluded.class, "
                "consent = excluded.consent, enrolled = excluded.enrolled, "
                "encoder = excluded.encoder RETURNING number",
                fields,
            ).fetchone()
            self._rows.seal(number, seal)
            if here is None or not set(here.recordings) <= set(copy.recordings):
                # What was taken in was like those that enrolled before.
                database.execute("DELETE FROM grown WHERE student = ?", (number,))
            same = here is not None and here.encoder == copy.encoder
            if not same or here is None or here.recordings != copy.recordings:
                database.execute("DELETE FROM recordings WHERE student = ?", (number,))
                self._put_recordings(database, number, copy)
            if here is None or here.consents != copy.consents:
                self._consents.write_all(number, copy.consents)
            if here is None or here.pin != copy.pin:
                self._pins.put(number, copy.pin)
            database.execute("UPDATE vault SET encoder = ? WHERE encoder = ''", (copy.encoder,))
            strike_erasure(database, self._database.vault, copy.name)

    def _recordings_of(self, student: int, encoder: str) -> tuple[RecordingCopy, ...]:
        """Return the recordings of a student, unsealed, voiceprints as their encoder made them.

        Raises GalleryError.
        """
        rows = self._database.read(
            "SELECT number, word, source, said_by, highest, voiceprint, said, fingerprint "
            "FROM recordings WHERE student = ? ORDER BY number",
            student,
        )
        unseal, found = self._database.vault.unseal, []
        for number, word, source, said_by, highest, voiceprint, said, heard in rows:
            context = context_of(student, number, encoder)
            found.append(
                RecordingCopy(
                    str(word),
                    str(source),
                    str(said_by),
                    None if highest is None else float(highest),
                    self._opened_point(voiceprint, encoder, context) if voiceprint else None,
                    unseal(said, f"said, {context}") if said else None,
                    unseal(heard, f"fingerprint, {context}") if heard else None,
                    self._points_of(student, number),
                )
            )
        return tuple(found)

    def _points_of(self, student: int, recording: int) -> tuple[PointCopy, ...]:
        found = []
        for model, sealed in self._database.read(
            "SELECT model, sealed FROM points WHERE recording = ? ORDER BY model", recording
        ):
            context = context_of(student, recording, model)
            try:
                content, of_words = self._opened_point(sealed, model, context), False
            except GalleryError:  # it may be a phrase encoder's
                content, of_words = self._database.vault.unseal(sealed, f"said, {context}"), True
            found.append(PointCopy(model, of_words, content))
        return tuple(found)

    def _opened_point(self, sealed: bytes, encoder: str, context: str) -> bytes:
        return self._recordings.opened_point(sealed, encoder, context).astype("<f4").tobytes()

    def _sealed_point(self, content: bytes, encoder: str, context: str) -> bytes:
        return self._recordings.sealed_point(np.frombuffer(content, "<f4"), encoder, context)

    def _put_recordings(
        self, database: sqlite3.Connection, student: int, copy: StudentCopy
    ) -> None:
        """Write recordings of a student, sealed anew, in a transaction."""
        seal = self._database.vault.seal
        for each in copy.recordings:
            (number,) = database.execute(
                "INSERT INTO recordings (student, source, voiceprint, word, said_by, highest) "
                "VALUES (?, ?, x'', ?, ?, ?) RETURNING number",
                (student, each.source, each.word, each.said_by, each.highest),
            ).fetchone()
            context = context_of(student, number, copy.encoder)
            said, heard = each.said, each.fingerprint
            database.execute(
                "UPDATE recordings SET voiceprint = ?, said = ?, fingerprint = ? WHERE number = ?",
                (
                    b""
                    if each.voiceprint is None
                    else self._sealed_point(each.voiceprint, copy.encoder, context),
                    None if said is None else seal(said, f"said, {context}"),
                    None if heard is None else seal(heard, f"fingerprint, {context}"),
                    number,
                ),
            )
            for point in each.points:
                context = context_of(student, number, point.model)
                if point.of_words:
                    sealed = seal(point.content, f"said, {context}")
                else:
                    sealed = self._sealed_point(point.content, point.model, context)
                write_point(database, number, point.model, sealed)


def marks(database: Database, student: str | None = None) -> dict[str, str]:
    """Return, by name, what changes whenever anything of a student does: of all, or of one."""
    which = "" if student is None else "WHERE name = ? "  # by the index of names
    rows = database.read(
        "SELECT name, "
        "(SELECT group_concat(number || ':' || substr(hex(sealed), -16)) FROM consents "
        "WHERE student = students.number), "
        "(SELECT substr(hex(sealed), -16) FROM pins WHERE student = students.number), "
        "hex(seal), count(DISTINCT recordings.number), sum(recordings.number), "
        "count(model), group_concat(DISTINCT model) FROM students "
        "LEFT JOIN recordings ON recordings.student = students.number "
        "LEFT JOIN points ON points.recording = recordings.number "
        f"{which}GROUP BY students.number",
        *(() if student is None else (student,)),
    )
    return {
        str(name): " ".join([*map(str, voice), *(str(each) for each in (consents, pin) if each)])
        for name, consents, pin, *voice in rows
    }


def _same(one: bytes | None, other: bytes | None) -> bool:
    """Return whether two voiceprints are the same; each may have been turned there and back."""
    if one is None or other is None or len(one) != len(other):
        return one is other
    apart = np.abs(np.frombuffer(one, "<f4") - np.frombuffer(other, "<f4"))
    return bool(apart.max(initial=0) <= CLOSE)  # false of what is no number
