"""The registry: who is enrolled, with which voiceprints. It is the truth.

A student is written in one transaction: all of them or nothing, and on the disk before ``enroll``
returns.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.clock import today
from kaimen.errors import GalleryError
from kaimen.local_time import now_as_kept
from kaimen.names import as_kept, name_of
from kaimen.registry.consents import GUARDIAN, OPENING, Consent, Consents
from kaimen.registry.copying import Copies
from kaimen.registry.database import Database
from kaimen.registry.erased import erasure, strike_erasure
from kaimen.registry.erasures import Erasures
from kaimen.registry.events import Events
from kaimen.registry.grown import GrownVoiceprints
from kaimen.registry.journal import StudentJournal
from kaimen.registry.pins import Pins
from kaimen.registry.points import Points, write_point
from kaimen.registry.recordings import Recordings, context_of
from kaimen.registry.refused import Refused, RefusedFiles, replace_refused
from kaimen.registry.student_rows import Roll, Student, StudentRows
from kaimen.registry.vault import Vault
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.evidence import Evidence


class Registry:
    """Who is enrolled. One thread at a time; other processes and threads open their own."""

    def __init__(self, path: Path | str, vault: Vault) -> None:
        """Open the file at ``path``, or make it. Raises GalleryError and StorageError."""
        self.path = path
        self.vault = vault
        self.database = Database(path, vault)
        self.rows = StudentRows(self.database)
        self.recordings = Recordings(self.database)
        self.consents = Consents(self.database)
        self.erasures = Erasures(self.database)
        self.events = Events(self.database)
        self.journal = StudentJournal(self.database)
        self.pins = Pins(self.database)
        self.points = Points(self.database, self.recordings)
        self.refused_files = RefusedFiles(self.database)
        self.grown = GrownVoiceprints(self.database, self.recordings)
        self.copies = Copies(self.database, self.rows, self.recordings, self.consents, self.pins)

    def close(self) -> None:
        """Close the file; nothing is lost."""
        self.database.close()

    def __len__(self) -> int:
        """Return how many students are enrolled, by whichever encoder."""
        return int(self.database.read("SELECT count(*) FROM students")[0][0])

    @property
    def with_voice(self) -> int:
        """Return how many of them have recordings; the others enter by card and PIN alone."""
        return int(self.database.read("SELECT count(*) FROM students WHERE encoder != ''")[0][0])

    def roll(self) -> Roll:
        """Return everybody, in the order of their names, and what is not as it was written."""
        return self.rows.roll()

    def students(self) -> list[Student]:
        """Return everybody whose row is as it was written, in the order of their names."""
        return self.roll().students

    def student(self, name: str) -> Student:
        """Return one of them. Raises GalleryError."""
        return self.rows.one(name)

    def recognised(self, encoder: str) -> tuple[Roll, NDArray[np.int64], NDArray[np.int64]]:
        """Return everybody, an encoder's recordings of them, ascending, and whose those are.

        Recordings and owners are numbers. Whose row was changed is recognised by nothing.
        """
        with self.database.reading():
            roll = self.roll()
            recordings, owners = self.recordings.numbers(encoder)
        known = np.isin(owners, [student.number for student in roll.students])
        return roll, recordings[known], owners[known]

    def enroll(
        self,
        name: str,
        voiceprints: Sequence[Voiceprint] | NDArray[np.float32],
        encoder: str,
        *,
        sources: Sequence[str] = (),
        group: str | None = None,
        consent: datetime.date | None = None,
        guardian: str = "",
        refused: Sequence[Refused] = (),
        evidence: Sequence[Evidence] = (),
        word: str = "",
        add: bool = False,
    ) -> None:
        """Enroll a student in place of what was known of their voice, for good.

        With ``add``, beside what was known of it. Files of theirs that were ``refused`` are
        remembered in place of earlier ones. A group and a consent that are not given stay what they
        were. ``evidence`` is each recording's.
        With a ``word``, recordings are of that word of a challenge, beside those of the passphrase.
        Raises UnfitName, GalleryError and StorageError; nothing was changed then.
        """
        name = name_of(name, str(self.path))
        group = name_of(group, str(self.path)) if group else group
        word = name_of(word, str(self.path)) if word else word
        origins = list(sources) or [""] * len(voiceprints)
        kept = list(evidence) or [Evidence()] * len(voiceprints)
        until = consent and consent.isoformat()
        with self.database.writing() as database:
            before, seal = self.rows.as_written(name)
            if word and (before is None or not self.recordings.knows(before.number, encoder)):
                raise GalleryError(f"{name} is not enrolled; enroll the passphrase before words")
            if before is not None and before.encoder not in (encoder, "") and not word:
                if add:
                    raise GalleryError(
                        f"{name} is enrolled by another encoder; replace all of their recordings"
                    )
                # Words of another latent space, too.
                database.execute("DELETE FROM recordings WHERE student = ?", (before.number,))
            if before is not None and not add and not word:
                # What was taken in was like those that enrolled before.
                database.execute("DELETE FROM grown WHERE student = ?", (before.number,))
            database.execute("UPDATE vault SET encoder = ? WHERE encoder = ''", (encoder,))
            # Words come into the space they were said in, beside a passphrase of two spaces.
            home = before.encoder if word and before is not None else encoder
            (number,) = database.execute(
                "INSERT INTO students (name, class, consent, enrolled, encoder) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "enrolled = excluded.enrolled, encoder = excluded.encoder, "
                "class = CASE WHEN ? THEN excluded.class ELSE class END, "
                "consent = coalesce(excluded.consent, consent) RETURNING number",
                (name, group or "", until, now_as_kept(), home, group is not None),
            ).fetchone()
            self.rows.seal(number, seal)
            # A whole school's are no news for the log, which has a line for each of its own.
            if consent is not None and not self.consents.is_by(number, guardian, consent):
                self.consents.add(number, _consent(guardian, consent))
            if not add:
                database.execute(
                    "DELETE FROM recordings WHERE student = ? AND word = ?", (number, word)
                )
            for voiceprint, source, more in zip(voiceprints, origins, kept, strict=True):
                (recording,) = database.execute(
                    "INSERT INTO recordings (student, source, voiceprint, word, said_by, highest) "
                    "VALUES (?, ?, x'', ?, ?, ?) RETURNING number",
                    (number, source, word, more.said_by, more.highest),
                ).fetchone()
                point = self.recordings.sealed_point(
                    voiceprint, encoder, context_of(number, recording, encoder)
                )
                if home != encoder:
                    write_point(database, recording, encoder, point)
                database.execute(
                    "UPDATE recordings SET voiceprint = ?, said = ?, fingerprint = ? "
                    "WHERE number = ?",
                    (
                        point if home == encoder else b"",
                        *self.recordings.sealed_evidence(context_of(number, recording, home), more),
                        recording,
                    ),
                )
            if not word:
                replace_refused(database, name, refused)
            strike_erasure(database, self.vault, name)

    def describe(
        self,
        name: str,
        *,
        group: str | None = None,
        consent: datetime.date | None = None,
        guardian: str = "",
        until_withdrawn: bool = False,
    ) -> None:
        """Change a student's group or consent; what is not given stays what it was.

        ``guardian`` gave the consent. ``until_withdrawn``: the consent has no last day any more.
        Raises UnfitName, GalleryError and StorageError; nothing was changed then.
        """
        group = name_of(group, str(self.path)) if group else group
        with self.database.writing():
            number = self.student(name).number
            self.rows.change(
                number,
                "class = coalesce(?, class), "
                "consent = CASE WHEN ? THEN NULL ELSE coalesce(?, consent) END",
                group,
                until_withdrawn,
                consent and consent.isoformat(),
            )
            if consent is not None or until_withdrawn:
                given = _consent(guardian, None if until_withdrawn else consent)
                self.write_consent(number, as_kept(name), given)

    def write_consent(self, number: int, name: str, consent: Consent) -> None:
        """Write a consent into the ledger, and tell the log, in a transaction of the caller's."""
        self.consents.add(number, consent)
        self.events.note(
            "consent given",
            name,
            by=consent.by,
            purposes=list(consent.purposes),
            given=consent.given,
            until=consent.until,
        )

    def remove_voice(self, name: str) -> None:
        """Forget all recordings of a student; group, consents and PIN stay.

        Raises GalleryError and StorageError; nothing was changed then.
        """
        with self.database.writing() as database:
            student = self.student(name)
            database.execute("DELETE FROM recordings WHERE student = ?", (student.number,))
            database.execute("DELETE FROM grown WHERE student = ?", (student.number,))
            replace_refused(database, student.name, ())
            self.rows.change(student.number, "encoder = ''")
            self.events.note("voice erased", student.name)
        self.database.try_to_truncate_log()

    def remove_recordings(self, name: str, numbers: Collection[int]) -> None:
        """Forget recordings of a student, all of them or none.

        One of the passphrase has to stay. Raises GalleryError and StorageError.
        """
        with self.database.writing() as database:
            student = self.student(name)
            listed = self.recordings.listed(name)
            unknown = set(numbers) - {each.number for each in listed}
            if unknown:
                raise GalleryError(
                    f"{name} has no recording {min(unknown)}; see 'kaimen students {name} "
                    "--recordings'"
                )
            if all(each.number in numbers for each in listed if not each.word):
                raise GalleryError(
                    f"{name} would be left with no recording; add another first, or remove the "
                    "student"
                )
            database.executemany(
                "DELETE FROM recordings WHERE number = ? AND student = ?",
                [(number, student.number) for number in set(numbers)],
            )
        self.database.try_to_truncate_log()

    def knows(self, name: str) -> bool:
        """Return whether a student is enrolled, with a voice or without."""
        return bool(self.database.read("SELECT 1 FROM students WHERE name = ?", as_kept(name)))

    def require(self, name: str) -> None:
        """Require that something is known of a student. Raises GalleryError."""
        if as_kept(name) not in self.names():
            raise GalleryError(f"{name} is not enrolled; see 'kaimen students'")

    def remove(self, name: str) -> None:
        """Forget a student: no more than a keyed hash stays in the file. Raises GalleryError."""
        self.require(name)
        name = as_kept(name)
        with self.database.writing() as database:
            self.rows.drop(name)
            replace_refused(database, name, ())
            _list_erased(database, [erasure(self.vault, name)])
        self.database.try_to_truncate_log()

    def names(self) -> set[str]:
        """Return everybody of whom something is known, enrolled or refused."""
        rows = self.database.read("SELECT name FROM students UNION SELECT student FROM refused")
        return {str(name) for (name,) in rows}

    def namesakes(self) -> dict[str, str]:
        """Return students who had another's name in other characters, and whose that still is."""
        rows = self.database.read(
            "SELECT students.name, other.name FROM renamed "
            "JOIN students ON students.number = student JOIN students other "
            "ON other.name = renamed.name ORDER BY students.name"
        )
        return {str(name): str(other) for name, other in rows}

    def erased(self) -> set[str]:
        """Return keyed hashes of who was removed and is not enrolled again."""
        return {str(hashed) for (hashed,) in self.database.read("SELECT student FROM erased")}

    def list_erased(self, hashes: Collection[str]) -> None:
        """Take over hashes under the same key; whoever is meant by them is not removed by it."""
        with self.database.writing() as database:
            _list_erased(database, hashes)


def _list_erased(database: sqlite3.Connection, hashes: Collection[str]) -> None:
    database.executemany("INSERT OR IGNORE INTO erased VALUES (?)", [(each,) for each in hashes])


def _consent(guardian: str, until: datetime.date | None) -> Consent:
    """Return a consent of today, to what a door needs."""
    by = GUARDIAN if guardian else ""
    last = None if until is None else until.isoformat()
    return Consent(by, guardian, (OPENING,), today().isoformat(), last)
