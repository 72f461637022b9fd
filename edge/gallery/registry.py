"""The registry: who is enrolled, with which voiceprints. It is the truth.

An SQLite database in WAL mode, so that the gate reads while an operator writes. A student is
written in one transaction: all of them or nothing, and on the disk before ``enroll`` returns.
Voiceprints are sealed; each opens only as the one recording it is.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import GalleryError, StorageError
from edge.gallery.carrying import Carrying
from edge.gallery.evidence import Evidence, pack, unpack_fingerprint, unpack_said
from edge.gallery.vault import Vault
from edge.voice.encoder import Voiceprint

PATIENCE = 10.0  # seconds to wait for another process's transaction
MEMORY = ":memory:"

# Each brings the schema from one version to the next; what was released is never edited.
MIGRATIONS = (
    """
    CREATE TABLE vault (identity TEXT NOT NULL);
    CREATE TABLE students (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given to another
        name TEXT NOT NULL UNIQUE,
        class TEXT NOT NULL DEFAULT '',  -- the group: a word that SQL keeps for itself
        consent TEXT,  -- the day it ends, ISO 8601, or NULL: until it is withdrawn
        enrolled TEXT NOT NULL,  -- when, UTC
        encoder TEXT NOT NULL  -- by which encoder's identity
    );
    CREATE TABLE recordings (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        student INTEGER NOT NULL REFERENCES students ON DELETE CASCADE,
        source TEXT NOT NULL,  -- SHA-256 of the file it was made from, empty if unknown
        voiceprint BLOB NOT NULL  -- sealed
    );
    CREATE INDEX recordings_of ON recordings (student);
    CREATE TABLE refused (
        student TEXT NOT NULL,  -- a name: they may not be enrolled
        source TEXT NOT NULL,  -- SHA-256 of the file
        rules TEXT NOT NULL,  -- by which it was refused
        kind TEXT NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE INDEX refused_of ON refused (student);
    """,
    """
    ALTER TABLE recordings ADD COLUMN word TEXT NOT NULL DEFAULT '';  -- empty: the passphrase
    ALTER TABLE recordings ADD COLUMN said BLOB;  -- sealed, or NULL: enrolled without
    ALTER TABLE recordings ADD COLUMN said_by TEXT NOT NULL DEFAULT '';  -- a phrase encoder
    ALTER TABLE recordings ADD COLUMN fingerprint BLOB;  -- sealed, or NULL
    """,
)


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
        """Whether the student may be recognised on this day."""
        return self.consent is None or day <= self.consent


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that enrolled nobody, and why: it need not be judged again."""

    source: str  # SHA-256
    rules: str  # by which it was refused
    kind: str  # of error
    reason: str  # one sentence


class Registry:
    """An open registry. One thread at a time; other processes and threads open their own."""

    def __init__(self, path: Path | str, vault: Vault) -> None:
        """Open the registry at ``path``, or make it. Raises GalleryError."""
        self.path = path
        self.vault = vault
        if path != MEMORY:
            try:
                # SQLite gives its files the mode of the first one.
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).touch(mode=0o600)
            except OSError as error:
                raise StorageError(f"{path}: cannot be made ({error.strerror})") from None
        try:
            self._database = sqlite3.connect(
                path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            for setting in (
                "journal_mode = WAL",
                "synchronous = FULL",  # an enrolled student survives a pulled plug
                "secure_delete = ON",
                "foreign_keys = ON",
            ):
                self._database.execute(f"PRAGMA {setting}")
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        self._migrate()

    def close(self) -> None:
        """Close the database; in a file, nothing is lost."""
        self._database.close()

    def _unusable(self, error: sqlite3.Error) -> GalleryError:
        return GalleryError(f"{self.path}: not a registry that can be used ({error})")

    def _migrate(self) -> None:
        if self._schema() < len(MIGRATIONS):
            with self._writing() as database:
                for script in MIGRATIONS[self._schema() :]:
                    for statement in script.split(";"):
                        database.execute(statement)
                database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
                if not self._read("SELECT identity FROM vault"):
                    database.execute("INSERT INTO vault VALUES (?)", (self.vault.identity,))
        if self._schema() > len(MIGRATIONS):
            raise GalleryError(f"{self.path}: made by a newer Kaimen; update this one")
        if self._read("SELECT identity FROM vault") != [(self.vault.identity,)]:
            raise GalleryError(
                f"{self.path}: sealed under another key; set [gallery] key to that one's file"
            )

    def _schema(self) -> int:
        return int(str(self._read("PRAGMA user_version")[0][0]))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing, and on the disk at the end."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{self.path}: cannot be written ({error}); what was there is untouched"
            ) from None
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything read in here is of one moment, whatever others write meanwhile."""
        self._read("BEGIN")
        try:
            yield
        finally:
            self._read("COMMIT")

    def _read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def version(self) -> int:
        """Changes whenever another process or connection changed something."""
        return int(str(self._read("PRAGMA data_version")[0][0]))

    def __len__(self) -> int:
        """How many students are enrolled, by whichever encoder."""
        return int(str(self._read("SELECT count(*) FROM students")[0][0]))

    def students(self) -> list[Student]:
        """Everybody, in the order of their names."""
        rows = self._read(
            "SELECT number, name, class, consent, enrolled, encoder, "
            "(SELECT count(*) FROM recordings WHERE student = students.number AND word = '') "
            "FROM students ORDER BY name"
        )
        return [_student(row) for row in rows]

    def student(self, name: str) -> Student:
        """One of them. Raises GalleryError."""
        rows = self._read(
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
        with self._writing() as database:
            before = database.execute(
                "SELECT number, encoder FROM students WHERE name = ?", (name,)
            ).fetchone()
            if word and (before is None or before[1] != encoder):
                raise GalleryError(f"{name} is not enrolled; enroll the passphrase before words")
            if before is not None and before[1] != encoder:  # words of another latent space, too
                database.execute("DELETE FROM recordings WHERE student = ?", before[:1])
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
                    encoder,
                    group is not None,
                ),
            ).fetchone()
            database.execute(
                "DELETE FROM recordings WHERE student = ? AND word = ?", (number, word)
            )
            for voiceprint, source, more in zip(voiceprints, origins, kept, strict=True):
                (recording,) = database.execute(
                    "INSERT INTO recordings (student, source, voiceprint, word, said_by) "
                    "VALUES (?, ?, x'', ?, ?) RETURNING number",
                    (number, source, word, more.said_by),
                ).fetchone()
                seals = self._sealed(_context(number, recording, encoder), voiceprint, more)
                database.execute(
                    "UPDATE recordings SET voiceprint = ?, said = ?, fingerprint = ? "
                    "WHERE number = ?",
                    (*seals, recording),
                )
            if not word:
                _remember(database, name, refused)

    def _sealed(
        self, context: str, voiceprint: Voiceprint, more: Evidence
    ) -> tuple[bytes, bytes | None, bytes | None]:
        seal = self.vault.seal
        return (
            seal(np.asarray(voiceprint, "<f4").tobytes(), context),
            None if more.said is None else seal(pack(more.said.astype("<f2")), f"said, {context}"),
            None
            if more.fingerprint is None
            else seal(pack(more.fingerprint), f"fingerprint, {context}"),
        )

    def refuse(self, name: str, refused: Sequence[Refused]) -> None:
        """Remember why files of a student enrolled nobody; who was enrolled stays so."""
        with self._writing() as database:
            _remember(database, name, refused)

    def refused(self, rules: str) -> dict[str, list[Refused]]:
        """What was refused by these rules, by the names of students."""
        found: dict[str, list[Refused]] = {}
        for name, source, kind, reason in self._read(
            "SELECT student, source, kind, reason FROM refused WHERE rules = ?", rules
        ):
            refused = Refused(str(source), rules, str(kind), str(reason))
            found.setdefault(str(name), []).append(refused)
        return found

    def describe(
        self, name: str, *, group: str | None = None, consent: datetime.date | None = None
    ) -> None:
        """Change a student's group or consent; what is not given stays what it was."""
        with self._writing() as database:
            database.execute(
                "UPDATE students SET class = coalesce(?, class), consent = coalesce(?, consent) "
                "WHERE name = ?",
                (group, consent and consent.isoformat(), name),
            )

    def remove(self, name: str) -> None:
        """Forget a student: nothing of them stays in the file. Raises GalleryError."""
        if not self._read("SELECT 1 FROM refused WHERE student = ? LIMIT 1", name):
            self.student(name)
        with self._writing() as database:
            database.execute("DELETE FROM students WHERE name = ?", (name,))
            database.execute("DELETE FROM refused WHERE student = ?", (name,))
        # What the log of changes still holds goes as soon as no reader needs it.
        self._read("PRAGMA wal_checkpoint(TRUNCATE)")

    def carry(self, carrying: Carrying) -> int:
        """Move all voiceprints of one encoder into another's space, all or none; how many students.

        What else is kept of the recordings stays. Raises GalleryError and StorageError.
        """
        old, new = carrying.old, carrying.new
        with self._writing() as database:
            numbers = database.execute(
                "SELECT recordings.number, student FROM recordings "
                "JOIN students ON student = students.number WHERE encoder = ?",
                (old,),
            ).fetchall()
            for number, student in numbers:
                was, now = (_context(student, number, encoder) for encoder in (old, new))
                sealed = database.execute(
                    "SELECT voiceprint, said, fingerprint FROM recordings WHERE number = ?",
                    (number,),
                ).fetchone()
                kinds = ("", "said, ", "fingerprint, ")
                contents = [
                    None if each is None else self.vault.unseal(each, kind + was)
                    for kind, each in zip(kinds, sealed, strict=True)
                ]
                assert contents[0] is not None
                point = np.frombuffer(contents[0], "<f4")
                if len(point) != len(carrying.way):
                    raise GalleryError(f"a map of {len(carrying.way)} dimensions, not {len(point)}")
                contents[0] = carrying(point[np.newaxis]).astype("<f4").tobytes()
                seals = [
                    None if each is None else self.vault.seal(each, kind + now)
                    for kind, each in zip(kinds, contents, strict=True)
                ]
                database.execute(
                    "UPDATE recordings SET voiceprint = ?, said = ?, fingerprint = ? "
                    "WHERE number = ?",
                    (*seals, number),
                )
            return database.execute(
                "UPDATE students SET encoder = ? WHERE encoder = ?", (new, old)
            ).rowcount

    def sources(self) -> dict[str, set[str]]:
        """SHA-256 of the files that each student was enrolled from."""
        found: dict[str, set[str]] = {}
        for name, source in self._read(
            "SELECT name, source FROM recordings JOIN students ON student = students.number "
            "WHERE word = ''"
        ):
            found.setdefault(str(name), set()).add(str(source))
        return found

    def recordings(self, encoder: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of an encoder's recordings, ascending, and of the students they belong to."""
        rows = self._read(
            "SELECT recordings.number, student FROM recordings "
            "JOIN students ON student = students.number WHERE encoder = ? AND word = '' "
            "ORDER BY recordings.number",
            encoder,
        )
        both = np.array(rows, np.int64).reshape(-1, 2)
        return both[:, 0].copy(), both[:, 1].copy()

    def voiceprints(self, numbers: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """The voiceprints of recordings, (recordings, dimension). Raises GalleryError."""
        points = []
        for number in numbers:
            rows = self._read(
                "SELECT student, encoder, voiceprint FROM recordings "
                "JOIN students ON student = students.number WHERE recordings.number = ?",
                int(number),
            )
            if not rows:
                raise GalleryError(f"{self.path}: recording {number} is gone; ask again")
            student, encoder, sealed = rows[0]
            assert isinstance(sealed, bytes)
            context = _context(int(str(student)), int(number), str(encoder))
            points.append(np.frombuffer(self.vault.unseal(sealed, context), "<f4"))
        return np.array(points, np.float32)

    def words(self, name: str) -> list[str]:
        """The words of a challenge that a student is enrolled with, in order."""
        rows = self._read(
            "SELECT DISTINCT word FROM recordings JOIN students ON student = students.number "
            "WHERE name = ? AND word != '' ORDER BY word",
            name,
        )
        return [str(word) for (word,) in rows]

    def of_word(self, name: str, word: str, encoder: str) -> NDArray[np.float32]:
        """Voiceprints of a word of a student, (recordings, dimension). Raises GalleryError."""
        rows = self._read(
            "SELECT recordings.number FROM recordings JOIN students ON student = students.number "
            "WHERE name = ? AND word = ? AND encoder = ? ORDER BY recordings.number",
            name, word, encoder,
        )  # fmt: skip
        return self.voiceprints([int(str(number)) for (number,) in rows])

    def evidence(self, name: str, said_by: str, word: str = "") -> list[Evidence]:
        """What is kept of a student's recordings; what another phrase encoder made is left out.

        Raises GalleryError.
        """
        found = []
        for row in self._read(
            "SELECT student, recordings.number, encoder, said, said_by, fingerprint "
            "FROM recordings JOIN students ON student = students.number "
            "WHERE name = ? AND word = ? ORDER BY recordings.number",
            name, word,
        ):  # fmt: skip
            student, number, encoder, said, by, fingerprint = row
            context = _context(int(str(student)), int(str(number)), str(encoder))
            point = print_ = None
            if isinstance(said, bytes) and by == said_by:
                point = unpack_said(self.vault.unseal(said, f"said, {context}"))
            if isinstance(fingerprint, bytes):
                opened = self.vault.unseal(fingerprint, f"fingerprint, {context}")
                print_ = unpack_fingerprint(opened)
            found.append(Evidence(point, said_by if point is not None else "", print_))
        return found

    def without_words(self, said_by: str) -> set[str]:
        """Students with no recording that a phrase encoder could compare a phrase with."""
        rows = self._read(
            "SELECT name FROM students WHERE NOT EXISTS (SELECT 1 FROM recordings "
            "WHERE student = students.number AND word = '' AND said_by = ? AND said IS NOT NULL)",
            said_by,
        )
        return {str(name) for (name,) in rows}


def _remember(database: sqlite3.Connection, name: str, refused: Sequence[Refused]) -> None:
    database.execute("DELETE FROM refused WHERE student = ?", (name,))
    database.executemany(
        "INSERT INTO refused VALUES (?, ?, ?, ?, ?)",
        [(name, each.source, each.rules, each.kind, each.reason) for each in refused],
    )


def _context(student: int, recording: int, encoder: str) -> str:
    return f"recording {recording} of student {student} by encoder {encoder[:12]}"


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
