"""What the log is still to be told of: kept in the same transaction as what happened.

One process at a time writes the log, mostly the gate. A command that changes the registry leaves
an event here, and whoever writes the log takes it over.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

from kaimen.parsing import read_json
from kaimen.registry.database import Database
from kaimen.registry.pseudonyms import pseudonym

Event = dict[str, Any]


class Events:
    """The events of a registry that wait for its log."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.written = 0  # the last one that this process brought into the log

    def at_once(self) -> AbstractContextManager[None]:
        """Wait for no other process meanwhile."""
        return self._database.at_once()

    def note(self, kind: str, student: str = "", **fields: object) -> None:
        """Leave an event, in a transaction of the caller's or one of its own.

        A student is called by a keyed hash. Raises StorageError; nothing was changed then.
        """
        vault = self._database.vault
        named = {"student": pseudonym(vault.log_key, student)} if student else {}
        content = json.dumps({"kind": kind, **named, **fields})
        with self._database.writing() as database:
            (number,) = database.execute(
                "INSERT INTO events (sealed) VALUES (x'') RETURNING number"
            ).fetchone()
            sealed = vault.seal(content.encode(), f"event {number}")
            database.execute("UPDATE events SET sealed = ? WHERE number = ?", (sealed, number))

    def waiting(self, most: int) -> list[tuple[int, Event]]:
        """Return what waits longest, in order, by its number. Raises GalleryError, StorageError."""
        found = []
        for number, sealed in self._database.read(
            "SELECT number, sealed FROM events ORDER BY number LIMIT ?", most
        ):
            content = self._database.vault.unseal(sealed, f"event {number}")
            found.append((number, read_json(content)))
        return found

    def done(self, last: int) -> None:
        """Forget the events up to a number, which the log has. Raises StorageError."""
        with self._database.writing() as database:
            database.execute("DELETE FROM events WHERE number <= ?", (last,))
