"""The registry's file: an SQLite database that any process may open, and that survives a plug.

It is in WAL mode, so that the gate reads while an operator writes. A transaction is written as a
whole or not at all, and is on the disk when it ends. On a disk that cannot be written the file is
read all the same, and written again as soon as the disk can be.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kaimen.errors import GalleryError
from kaimen.registry.kept_names import keep_names
from kaimen.registry.migrations import MIGRATIONS, NAMES_KEPT, SEALED
from kaimen.registry.opening import OpenDatabase, open_file, transaction
from kaimen.registry.seals import (
    SEALED_FIELDS,
    RegistryState,
    Seals,
    is_whole,
    number_of,
)
from kaimen.registry.sqlite_errors import Failure, as_error, error_of
from kaimen.registry.vault import Vault

PATIENCE = 10.0  # seconds to wait for another process's transaction
PAUSE = 0.1  # seconds between looks whether nobody reads any more
RETRY = 5.0  # seconds between looks whether a disk can be written again
MEMORY = ":memory:"
LOG = 4 << 20  # bytes of SQLite's log that may stay on the disk while a gate holds the file open
SETTINGS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # an enrolled student survives a pulled plug
    "secure_delete = ON",
    "foreign_keys = ON",
    f"journal_size_limit = {LOG}",
)


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script, triggers whole."""
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def among(column: str, numbers: Sequence[int] | None) -> tuple[str, tuple[int, ...]]:
    """Return the condition that a column has one of some numbers, and its values; of any: None."""
    if numbers is None:
        return "TRUE", ()
    return f"{column} IN ({', '.join('?' * len(numbers))})", tuple(numbers)


class Database:
    """An open database. One thread at a time; other processes and threads open their own."""

    def __init__(self, path: Path | str, vault: Vault) -> None:
        """Open the file at ``path``, or make it. Raises GalleryError and StorageError."""
        self.path = path
        self.vault = vault
        self.seals = Seals(vault)
        self._delta = 0  # by which a transaction changes the total of all seals
        self._opened_before = 0  # times
        self._use(self._open())
        self._migrate()

    @property
    def read_only(self) -> str:
        """Return why nothing can be written; empty where it can."""
        why = self._opened.read_only
        return "" if why is None else str(error_of(why, self.path))

    def close(self) -> None:
        """Close the database; in a file, nothing is lost."""
        self._closing()

    def _open(self) -> OpenDatabase:
        try:
            if self.path != MEMORY:
                return open_file(Path(self.path), SETTINGS, PATIENCE)
            connection = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA foreign_keys = ON")
            return OpenDatabase(connection, MEMORY)
        except (OSError, sqlite3.Error) as error:
            raise as_error(error, self.path) from None

    def _use(self, opened: OpenDatabase) -> None:
        self._opened = opened
        self._database = opened.connection
        self._rotated: bool | None = None
        self._look_again = time.monotonic() + RETRY
        # A connection refers to itself: nobody would close it until some time later.
        self._closing = weakref.finalize(self, opened.connection.close)

    def _keep_up(self, *, at_once: bool = False) -> None:
        """Open the file anew where another is in its place, or its disk can be written again."""
        if self._database.in_transaction:
            return
        due = at_once or time.monotonic() >= self._look_again
        if not self._opened.is_stale and not (due and self._opened.read_only is not None):
            return
        before, close = self._opened, self._closing
        self._use(self._open())
        try:
            self._migrate()
        except BaseException:
            self._closing()
            self._use(before)
            raise
        self._opened_before += 1
        close()

    def _migrate(self) -> None:
        if self._schema() < len(MIGRATIONS):
            if self._opened.read_only is not None:
                raise error_of(self._opened.read_only, self.path)
            with self._transaction() as database:
                before = self._schema()
                for script in MIGRATIONS[before:]:
                    for statement in statements(script):
                        database.execute(statement)
                if not database.execute("SELECT identity FROM vault").fetchall():
                    database.execute(
                        "INSERT INTO vault (identity, rotated) VALUES (?, ?)",
                        # One that is kept nowhere is stolen from nowhere.
                        (self.vault.identity, self.path != MEMORY),
                    )
                self._require_key()  # under another one, nothing is written
                if before < NAMES_KEPT:
                    keep_names(database)
                if before < SEALED:
                    self._seal_all(database)  # with the names that are kept
                database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        if self._schema() > len(MIGRATIONS):
            raise GalleryError(f"{self.path}: made by a newer Kaimen; update this one")
        self._require_key()

    def _require_key(self) -> None:
        if self._rows("SELECT identity FROM vault") != [(self.vault.identity,)]:
            raise GalleryError(
                f"{self.path}: sealed under another key; set [gallery] key to that one's file"
            )

    def _seal_all(self, database: sqlite3.Connection) -> None:
        """Seal what an earlier Kaimen wrote unsealed."""
        registry = secrets.token_hex(8)
        rows = database.execute(f"SELECT {SEALED_FIELDS} FROM students").fetchall()
        sealed = [(self.seals.row(registry, row), row[0]) for row in rows if is_whole(row)]
        database.executemany("UPDATE students SET seal = ? WHERE number = ?", sealed)
        total = sum(number_of(seal) for seal, _ in sealed)
        self._write_state(database, RegistryState(registry, 0, 0).after(total))

    def _write_state(self, database: sqlite3.Connection, state: RegistryState) -> None:
        database.execute(
            "UPDATE vault SET registry = ?, changes = ?, total = ?, seal = ?",
            (state.registry, state.changes, state.packed, self.seals.state(state)),
        )

    def state(self) -> RegistryState:
        """Return which registry it is, and how often it was written."""
        ((registry, changes, total, seal),) = self.read(
            "SELECT registry, changes, total, seal FROM vault"
        )
        return self.seals.read_state(registry, changes, total, seal)

    @property
    def rotated(self) -> bool:
        """Return whether voiceprints are kept in a space of their own: see ``Rotation``."""
        if self._rotated is None:
            self._rotated = bool(self.read("SELECT rotated FROM vault")[0][0])
        return self._rotated

    def exchange(self, before: bytes, after: bytes) -> None:
        """Say, in a transaction, that a student's seal gives way to another, or to none."""
        self._delta += number_of(after) - number_of(before)

    def _schema(self) -> int:
        return int(self._rows("PRAGMA user_version")[0][0])

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing, and on the disk at the end.

        One inside another is part of it. Raises StorageError where it cannot be written: nothing
        was changed then.
        """
        if self._database.in_transaction:
            yield self._database
            return
        self._keep_up(at_once=self._opened.read_only is not None)
        if self._opened.read_only is not None:
            raise error_of(self._opened.read_only, self.path)
        self._delta = 0
        with self._transaction() as database:
            yield database
            state = self.state()
            if state.whole:  # what somebody else changed stays known as changed
                self._write_state(database, state.after(self._delta))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._database):
                yield self._database
        except sqlite3.Error as error:
            raise as_error(error, self.path) from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything read in here is of one moment, whatever others write meanwhile."""
        try:
            inside = self._database.in_transaction
        except sqlite3.Error as error:  # it was closed
            raise as_error(error, self.path) from None
        if inside:
            yield
            return
        self.read("BEGIN")
        try:
            yield
        finally:
            if self._database.in_transaction:
                self.read("COMMIT")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Wait for nobody meanwhile: what another process holds raises StorageError at once."""
        self.read("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            self.read(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")

    def read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Raises GalleryError and StorageError."""
        try:
            self._keep_up()
        except sqlite3.Error as error:  # it was closed
            raise as_error(error, self.path) from None
        return self._rows(query, *values)

    def each(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query one by one, which takes no memory for all of them.

        Whoever asks is inside ``reading``. Raises GalleryError and StorageError.
        """
        try:
            yield from self._database.execute(query, values)
        except sqlite3.Error as error:
            raise as_error(error, self.path) from None

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise as_error(error, self.path) from None

    def compact(self) -> None:
        """Leave nothing in the file, or in its log, of what was deleted from it.

        Raises GalleryError and StorageError, also while somebody reads what was there before.
        """
        self.read("VACUUM")
        self.truncate_log()

    def truncate_log(self) -> None:
        """Cut the file's log of changes to nothing; what is in it is in the file.

        Raises GalleryError and StorageError, also while somebody reads what was there before.
        """
        until = time.monotonic() + PATIENCE
        while not self.try_to_truncate_log():
            if time.monotonic() > until:
                raise error_of(Failure.BUSY, self.path)
            time.sleep(PAUSE)

    def try_to_truncate_log(self) -> bool:
        """Do the same as far as no reader needs the log; return whether nothing is left of it."""
        return not self.read("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]

    def file(self) -> tuple[int, int]:
        """Return what changes where another file is in its place, or its tables are others."""
        return self._opened_before, self.read("PRAGMA schema_version")[0][0]

    def version(self) -> int:
        """Changes whenever another process or connection changed something."""
        changed: int = self.read("PRAGMA data_version")[0][0]
        return (self._opened_before << 32) + changed
