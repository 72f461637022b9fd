"""The registry: who is enrolled, with which voiceprints. It is the truth.

A student is written in one transaction: all of them or nothing, and on the disk before ``enroll``
returns.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import GalleryError
from kaimen.registry.database import Database
from kaimen.registry.erased import erasure
from kaimen.registry.recordings import Known, Recordings, context_of
from kaimen.registry.space_map import SpaceMap
from kaimen.registry.vault import Vault
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.evidence import Evidence


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
class Refused:
    """A file that enrolled nobody, and why: it need not be judged again."""

    source: str  # SHA-256
    rules: str  # by which it was refused
    kind: str  # of error
    reason: str  # one sentence


class Registry:
    """Who is enrolled. One thread at a time; other processes and threads open their own."""

    def __init__(self, path: Path | str, vault: Vault) -> None:
        """Open the file at ``path``, or make it. Raises GalleryError and StorageError."""
        self.path = path
        self.vault = vault
        self.database = Database(path, vault)
        self.recordings = Recordings(self.database)

    def close(self) -> None:
        """Close the file; nothing is lost."""
        self.database.close()

    def __len__(self) -> int:
        """How many students are enrolled, by whichever encoder."""
        return int(str(self.database.read("SELECT count(*) FROM students")[0][0]))

    def students(self) -> list[Student]:
        """Everybody, in the order of their names."""
        rows = self.database.read(
            "SELECT number, name, class, consent, enrolled, encoder, "
            "(SELECT count(*) FROM recordings WHERE student = students.number AND word = '') "
            "FROM students ORDER BY name"
        )
        return [_student(row) for row in rows]

    def student(self, name: str) -> Student:
        """One of them. Raises GalleryError."""
        rows = self.database.read(
            "SELECT number, name, class, consent, enrolled, encoder, "
            "(SELECT count(*) FROM recordings WHERE student = students.number AND word = '') "
            "FROM students WHERE name = ?",
            name,
        )
        if not rows:
            raise GalleryError(f"{name} is not enrolled; see 'kaimen students'")
        return _student(rows[0])

    def enroll(
        self,
        name: str,
        voiceprints: Sequence[Voiceprint] | NDArray[np.float32],
        encoder: str,
        *,
        sources: Sequence[str] = (),
        group: str | None = None,
        consent: datetime.date | None = None,
        refused: Sequence[Refused] = (),
        evidence: Sequence[Evidence] = (),
        word: str = "",
    ) -> None:
        """Enroll a student in place of what was known of their voice, for good.

        Files of theirs that were ``refused`` are remembered in place of earlier ones. A group and
        a consent that are not given stay what they were. ``evidence`` is each recording's. With a
        ``word``, recordings are of that word of a challenge, beside those of the passphrase.
        Raises GalleryError and StorageError; nothing was changed then.
        """
        if not name or "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise GalleryError(f"{name!a}: not a name that can be stored; rename the student")
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        origins = list(sources) or [""] * len(voiceprints)
        kept = list(evidence) or [Evidence()] * len(voiceprints)
        with self.database.writing() as database:
            before = database.execute(
                "SELECT number, encoder FROM students WHERE name = ?", (name,)
            ).fetchone()
            if word and (before is None or not self.recordings.knows(before[0], encoder)):
                raise GalleryError(f"{name} is not enrolled; enroll the passphrase before words")
            if before is not None and before[1] != encoder and not word:
                # Words of another latent space, too.
                database.execute("DELETE FROM recordings WHERE student = ?", before[:1])
            database.execute("UPDATE vault SET encoder = ? WHERE encoder = ''", (encoder,))
            # Words come into the space they were said in, beside a passphrase of two spaces.
            home = before[1] if word else encoder
            (number,) = database.execute(
                "INSERT INTO students (name, class, consent, enrolled, encoder) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "enrolled = excluded.enrolled, encoder = excluded.encoder, "
                "class = CASE WHEN ? THEN excluded.class ELSE class END, "
                "consent = coalesce(excluded.consent, consent) RETURNING number",
                (
                    name,
                    group or "",
                    consent and consent.isoformat(),
                    now,
                    home,
                    group is not None,
                ),
            ).fetchone()
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
                    voiceprint, context_of(number, recording, encoder)
                )
                if home != encoder:
                    _add_point(database, recording, encoder, point)
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
                _remember(database, name, refused)
            database.execute("DELETE FROM erased WHERE student = ?", (self._erasure(name),))

    def add_points(
        self, points: Iterable[tuple[Known, Voiceprint, Evidence]], encoder: str
    ) -> None:
        """Write what other models than their students' make of recordings, all of it or nothing.

        Of a model that knows a recording already nothing is written, nor of recordings that are
        gone. Raises GalleryError and StorageError; nothing was changed then.
        """
        with self.database.writing() as database:
            for known, voiceprint, more in points:
                owner = database.execute(
                    "SELECT student FROM recordings WHERE number = ?", (known.number,)
                ).fetchone()
                if owner is None:
                    continue
                if not known.placed:
                    context = context_of(owner[0], known.number, encoder)
                    _add_point(
                        database,
                        known.number,
                        encoder,
                        self.recordings.sealed_point(voiceprint, context),
                    )
                if not known.said and more.said is not None:
                    context = context_of(owner[0], known.number, more.said_by)
                    _add_point(
                        database,
                        known.number,
                        more.said_by,
                        self.recordings.sealed_said(more.said, context),
                    )

    def forget_points(self, models: Collection[str]) -> None:
        """Forget what all other models made of recordings; what enrolled a student stays.

        Raises StorageError; nothing was changed then.
        """
        marks = ", ".join("?" * len(models))
        with self.database.writing() as database:
            database.execute(f"DELETE FROM points WHERE model NOT IN ({marks})", tuple(models))

    def refuse(self, name: str, refused: Sequence[Refused]) -> None:
        """Remember why files of a student enrolled nobody; who was enrolled stays so."""
        with self.database.writing() as database:
            _remember(database, name, refused)

    def refused(self, rules: str) -> dict[str, list[Refused]]:
        """What was refused by these rules, by the names of students."""
        found: dict[str, list[Refused]] = {}
        for name, source, kind, reason in self.database.read(
            "SELECT student, source, kind, reason FROM refused WHERE rules = ?", rules
        ):
            refused = Refused(str(source), rules, str(kind), str(reason))
            found.setdefault(str(name), []).append(refused)
        return found

    def describe(
        self, name: str, *, group: str | None = None, consent: datetime.date | None = None
    ) -> None:
        """Change a student's group or consent; what is not given stays what it was."""
        with self.database.writing() as database:
            database.execute(
                "UPDATE students SET class = coalesce(?, class), consent = coalesce(?, consent) "
                "WHERE name = ?",
                (group, consent and consent.isoformat(), name),
            )

    def require(self, name: str) -> None:
        """Raises GalleryError where nothing is known of a student."""
        if not self.database.read("SELECT 1 FROM refused WHERE student = ? LIMIT 1", name):
            self.student(name)

    def remove(self, name: str) -> None:
        """Forget a student: no more than a keyed hash stays in the file. Raises GalleryError."""
        self.require(name)
        with self.database.writing() as database:
            database.execute("DELETE FROM students WHERE name = ?", (name,))
            database.execute("DELETE FROM refused WHERE student = ?", (name,))
            _list_erased(database, [self._erasure(name)])
        # What the log of changes still holds goes as soon as no reader needs it.
        self.database.read("PRAGMA wal_checkpoint(TRUNCATE)")

    def names(self) -> set[str]:
        """Everybody of whom something is known, enrolled or refused."""
        rows = self.database.read("SELECT name FROM students UNION SELECT student FROM refused")
        return {str(name) for (name,) in rows}

    def erased(self) -> set[str]:
        """Keyed hashes of who was removed and is not enrolled again."""
        return {str(hashed) for (hashed,) in self.database.read("SELECT student FROM erased")}

    def list_erased(self, hashes: Collection[str]) -> None:
        """Take over hashes under the same key; whoever is meant by them is not removed by it."""
        with self.database.writing() as database:
            _list_erased(database, hashes)

    def _erasure(self, name: str) -> str:
        return erasure(self.vault, name)

    def carry(self, space_map: SpaceMap) -> int:
        """Carry all voiceprints of one encoder into another space, all or none; how many students.

        They are known in both then. Raises GalleryError and StorageError.
        """
        there = {each.number for each in self.recordings.known(space_map.old) if each.placed}
        missing = [
            each
            for each in self.recordings.known(space_map.new)
            if not each.placed and each.number in there
        ]
        if not missing:
            return 0
        points = self.recordings.voiceprints([each.number for each in missing], space_map.old)
        if points.shape[1] != len(space_map.way):
            raise GalleryError(f"a map of {len(space_map.way)} dimensions, not {points.shape[1]}")
        moved = space_map(points)
        rows = zip(missing, moved, [Evidence()] * len(missing), strict=True)
        self.add_points(rows, space_map.new)
        return len({each.student for each in missing})


def _remember(database: sqlite3.Connection, name: str, refused: Sequence[Refused]) -> None:
    database.execute("DELETE FROM refused WHERE student = ?", (name,))
    database.executemany(
        "INSERT INTO refused VALUES (?, ?, ?, ?, ?)",
        [(name, each.source, each.rules, each.kind, each.reason) for each in refused],
    )


def _list_erased(database: sqlite3.Connection, hashes: Collection[str]) -> None:
    database.executemany("INSERT OR IGNORE INTO erased VALUES (?)", [(each,) for each in hashes])


def _add_point(database: sqlite3.Connection, recording: int, model: str, sealed: bytes) -> None:
    database.execute(
        "INSERT OR IGNORE INTO points (recording, model, sealed) VALUES (?, ?, ?)",
        (recording, model, sealed),
    )


def _student(row: tuple[object, ...]) -> Student:
    number, name, group, consent, enrolled, encoder, recordings = row
    return Student(
        number=int(str(number)),
        name=str(name),
        group=str(group),
        consent=None if consent is None else datetime.date.fromisoformat(str(consent)),
        enrolled=str(enrolled),
        encoder=str(encoder),
        recordings=int(str(recordings)),
    )
