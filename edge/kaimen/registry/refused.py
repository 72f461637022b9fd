"""Files that enrolled nobody, and why: they need not be judged again."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from kaimen.names import as_kept
from kaimen.registry.database import Database


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that enrolled nobody, and why: it need not be judged again."""

    source: str  # SHA-256
    rules: str  # by which it was refused
    kind: str  # of error
    reason: str  # one sentence


class RefusedFiles:
    """Those that a registry remembers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(self, name: str, refused: Sequence[Refused]) -> None:
        """Remember why files of a student enrolled nobody; who was enrolled stays so."""
        with self._database.writing() as database:
            replace_refused(database, as_kept(name), refused)

    def by_rules(self, rules: str) -> dict[str, list[Refused]]:
        """Return what was refused by these rules, by the names of students."""
        found: dict[str, list[Refused]] = {}
        for name, source, kind, reason in self._database.read(
            "SELECT student, source, kind, reason FROM refused WHERE rules = ?", rules
        ):
            file = Refused(str(source), rules, str(kind), str(reason))
            found.setdefault(str(name), []).append(file)
        return found


def replace_refused(database: sqlite3.Connection, name: str, refused: Sequence[Refused]) -> None:
    """Remember these files of a student in place of earlier ones, in a transaction."""
    database.execute("DELETE FROM refused WHERE student = ?", (name,))
    database.executemany(
        "INSERT INTO refused VALUES (?, ?, ?, ?, ?)",
        [(name, each.source, each.rules, each.kind, each.reason) for each in refused],
    )
