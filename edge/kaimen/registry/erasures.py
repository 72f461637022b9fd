"""Who is being erased: written before anything is deleted, so that an interrupted erasure goes on.

Also which backups were taken: those hold whoever was enrolled then, until they are sealed anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from kaimen.parsing import read_json
from kaimen.registry.database import Database


@dataclass(frozen=True, slots=True)
class Erasure:
    """One student's, and what is to be said of it afterwards."""

    identity: str  # drawn when it began; names its certificate
    student: str
    began: str  # UTC
    erased: dict[str, int]  # how many of what
    digests: list[str]  # SHA-256 of the sealed pieces, as they lie in files and backups


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was taken."""

    identity: str
    at: str  # UTC
    place: str  # where it was written


class Erasures:
    """The erasures of a registry that are under way, and its backups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, erasure: Erasure) -> None:
        """Write down that somebody is being erased. Raises StorageError."""
        content = json.dumps(asdict(erasure)).encode()
        sealed = self._database.vault.seal(content, f"erasure {erasure.identity}")
        with self._database.writing() as database:
            database.execute("INSERT INTO erasing VALUES (?, ?)", (erasure.identity, sealed))

    def under_way(self) -> list[Erasure]:
        """Return those that were begun, and did not end. Raises GalleryError."""
        found = []
        for identity, sealed in self._database.read("SELECT identity, sealed FROM erasing"):
            fields = read_json(self._database.vault.unseal(sealed, f"erasure {identity}"))
            fields.pop("enrolled", None)  # of one that an earlier version began
            found.append(Erasure(**fields))
        return sorted(found, key=lambda erasure: erasure.began)

    def end(self, identity: str) -> None:
        """Forget that somebody was being erased, in a transaction. Raises StorageError."""
        with self._database.writing() as database:
            database.execute("DELETE FROM erasing WHERE identity = ?", (identity,))

    def backups(self) -> list[Backup]:
        """Return the backups that were taken and not given up, the oldest first."""
        rows = self._database.read("SELECT identity, at, place FROM backups ORDER BY at, place")
        return [Backup(*map(str, row)) for row in rows]

    def add_backup(self, backup: Backup) -> None:
        """Write down that a backup was taken; one at the same place is gone. StorageError."""
        with self._database.writing() as database:
            database.execute("DELETE FROM backups WHERE place = ?", (backup.place,))
            database.execute(
                "INSERT OR REPLACE INTO backups VALUES (?, ?, ?)",
                (backup.identity, backup.at, backup.place),
            )

    def give_up_backup(self, identity: str) -> bool:
        """Write down that a backup is no more; whether it was known. Raises StorageError."""
        with self._database.writing() as database:
            cursor = database.execute("DELETE FROM backups WHERE identity = ?", (identity,))
            return bool(cursor.rowcount)
