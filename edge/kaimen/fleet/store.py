"""What a machine of a fleet remembers: a small SQLite file beside the registry.

Nothing in it is secret, and whoever loses it loses nothing but time: it is filled again from the
broker.
"""

from __future__ import annotations

import datetime
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaimen.errors import FleetError
from kaimen.fleet.ledger import FleetEntry
from kaimen.parsing import read_json
from kaimen.registry.opening import transaction
from kaimen.registry.sqlite_errors import as_error
from kaimen.storage import make_folder

PATIENCE = 10.0  # seconds to wait for another process
SLACK = datetime.timedelta(days=1)  # by which a gate's clock may have been set back
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    topic TEXT PRIMARY KEY, version INTEGER NOT NULL, desk TEXT NOT NULL,
    removed INTEGER NOT NULL, content TEXT NOT NULL, mark TEXT NOT NULL,
    published INTEGER NOT NULL, at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gates (name TEXT PRIMARY KEY, status TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    gate TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (gate, id)
) WITHOUT ROWID;
"""


@dataclass(slots=True)
class KeptEntry:
    """An entry, and how it lies in this machine's registry."""

    entry: FleetEntry
    content: str = ""  # keyed hash of the student's record; empty of one who was removed
    mark: str = ""  # of the student in this registry, see ``registry.copying.marks``
    published: bool = True  # whether the broker is known to have it
    at: str = ""  # when it was written here, UTC


class Store:
    """The file. One thread at a time; other processes may read it."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises FleetError and StorageError."""
        self.path = path
        try:
            make_folder(path.parent)
            if not path.exists():
                path.touch(mode=0o600)
            self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            try:
                for setting in ("journal_mode = WAL", "synchronous = FULL"):
                    self._database.execute(f"PRAGMA {setting}")
                for statement in SCHEMA.split(";"):
                    self._database.execute(statement)
            except BaseException:
                self._database.close()
                raise
        except sqlite3.DatabaseError as error:
            raise self._error(error) from None
        except OSError as error:
            raise as_error(error, path) from None

    def _error(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return FleetError(f"{self.path}: damaged; remove it, and it is filled again")
        return as_error(error, self.path)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction; one inside another is part of it. Raises FleetError and StorageError."""
        if self._database.in_transaction:
            yield
            return
        try:
            with transaction(self._database):
                yield
        except sqlite3.Error as error:
            raise self._error(error) from None

    def _read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from None

    def _write(self, statement: str, *values: object) -> None:
        with self.writing():
            self._database.execute(statement, values)

    def kept(self) -> dict[str, KeptEntry]:
        """Return all entries by topic."""
        return {
            topic: KeptEntry(
                FleetEntry(version, desk, bool(removed)), content, mark, bool(published), at
            )
            for topic, version, desk, removed, content, mark, published, at in self._read(
                "SELECT topic, version, desk, removed, content, mark, published, at FROM entries"
            )
        }

    def put(self, entries: Iterable[tuple[str, KeptEntry]]) -> None:
        """Write entries in place of those of before, all or none."""
        with self.writing():
            self._database.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (topic, *each.entry, each.content, each.mark, each.published, each.at)
                    for topic, each in entries
                ],
            )

    def drop(self, topics: Iterable[str]) -> None:
        """Forget entries."""
        with self.writing():
            self._database.executemany(
                "DELETE FROM entries WHERE topic = ?", [(t,) for t in topics]
            )

    def fact(self, name: str, default: Any = None) -> Any:
        """Return something that was noted."""
        rows = self._read("SELECT value FROM facts WHERE name = ?", name)
        return read_json(rows[0][0]) if rows else default

    def note(self, name: str, value: Any) -> None:
        """Note something."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, json.dumps(value))

    def gates(self) -> dict[str, dict[str, Any]]:
        """Return what is known of gates, by name."""
        return {name: read_json(status) for name, status in self._read("SELECT * FROM gates")}

    def put_gate(self, name: str, status: dict[str, Any]) -> None:
        """Keep what is known of a gate."""
        self._write("INSERT OR REPLACE INTO gates VALUES (?, ?)", name, json.dumps(status))

    def forget_gate(self, name: str) -> None:
        """Forget a gate; its events stay."""
        self._write("DELETE FROM gates WHERE name = ?", name)

    def put_events(self, gate: str, records: Iterable[dict[str, Any]]) -> int:
        """Keep events of a gate, each once; return how many were new."""
        with self.writing():
            before = self._database.total_changes
            self._database.executemany(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)",
                [
                    (gate, int(each["number"]), str(each["id"]), json.dumps(each))
                    for each in records
                ],
            )
            return self._database.total_changes - before

    def openings(self, gate: str, since: datetime.datetime) -> int:
        """Return how often a gate opened since a time, UTC. Raises FleetError and StorageError.

        It looks a day further back: a gate's clock may have been set back for a moment.
        """
        first, end = (each.isoformat(timespec="seconds") for each in (since, since - SLACK))
        latest_first = "SELECT record FROM events WHERE gate = ? ORDER BY number DESC"
        counted = 0
        try:
            for (record,) in self._database.execute(latest_first, (gate,)):
                found = read_json(record)
                at = str(found.get("at", ""))
                if at < end:
                    break
                counted += at >= first and found.get("verdict") == "open"
        except sqlite3.Error as error:
            raise self._error(error) from None
        return counted

    def events(self, gate: str | None = None, after: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the events of a gate after a number, or of all gates."""
        for name, record in self._read(
            "SELECT gate, record FROM events WHERE (? IS NULL OR gate = ?) AND number > ? "
            "ORDER BY gate, number",
            gate, gate, after,
        ):  # fmt: skip
            yield {"gate": name, **read_json(record)}
