"""The registry's file: an SQLite database that any process may open, and that survives a plug.

It is in WAL mode, so that the gate reads while an operator writes. A transaction is written as a
whole or not at all, and is on the disk when it ends.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kaimen.errors import GalleryError, StorageError
from kaimen.registry.vault import Vault
from kaimen.storage import make_folder

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
    """
    CREATE TABLE erased (student TEXT PRIMARY KEY) WITHOUT ROWID;  -- keyed hashes of names
    """,
    """
    CREATE TABLE points (  -- what other models than its student's made of a recording
        recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
        model TEXT NOT NULL,  -- identity of an encoder, or of a phrase encoder
        sealed BLOB NOT NULL,
        PRIMARY KEY (recording, model)
    );
    ALTER TABLE vault ADD COLUMN encoder TEXT NOT NULL DEFAULT '';  -- by which the first enrolled
    UPDATE vault SET encoder =
        coalesce((SELECT encoder FROM students ORDER BY number LIMIT 1), '');
    """,
    """
    ALTER TABLE recordings ADD COLUMN highest REAL;  -- Hz of its speech, or NULL: not measured
    """,
)


class Database:
    """An open database. One thread at a time; other processes and threads open their own."""

    def __init__(self, path: Path | str, vault: Vault) -> None:
        """Open the file at ``path``, or make it. Raises GalleryError."""
        self.path = path
        self.vault = vault
        if path != MEMORY:
            try:
                # SQLite gives its files the mode of the first one.
                make_folder(Path(path).parent)
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
        # A connection refers to itself: nobody would close it until some time later.
        weakref.finalize(self, self._database.close)
        self._migrate()

    def close(self) -> None:
        """Close the database; in a file, nothing is lost."""
        self._database.close()

    def _unusable(self, error: sqlite3.Error) -> GalleryError:
        return GalleryError(f"{self.path}: not a registry that can be used ({error})")

    def _migrate(self) -> None:
        if self._schema() < len(MIGRATIONS):
            with self.writing() as database:
                for script in MIGRATIONS[self._schema() :]:
                    for statement in script.split(";"):
                        database.execute(statement)
                database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
                if not self.read("SELECT identity FROM vault"):
                    database.execute(
                        "INSERT INTO vault (identity) VALUES (?)", (self.vault.identity,)
                    )
        if self._schema() > len(MIGRATIONS):
            raise GalleryError(f"{self.path}: made by a newer Kaimen; update this one")
        if self.read("SELECT identity FROM vault") != [(self.vault.identity,)]:
            raise GalleryError(
                f"{self.path}: sealed under another key; set [gallery] key to that one's file"
            )

    def _schema(self) -> int:
        return int(str(self.read("PRAGMA user_version")[0][0]))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
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
        self.read("BEGIN")
        try:
            yield
        finally:
            self.read("COMMIT")

    def read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return the rows of a query. Raises GalleryError."""
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def version(self) -> int:
        """Changes whenever another process or connection changed something."""
        return int(str(self.read("PRAGMA data_version")[0][0]))
