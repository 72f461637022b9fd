"""What opened the door before: fingerprints of the latest phrases that each student said there.

In a database of its own, beside the registry: it changes with every opening, and the registry's
changes are what a gate watches. Should it be lost, the recordings that enrolled are still known.
"""

from __future__ import annotations

import hmac
import sqlite3
from contextlib import closing
from pathlib import Path

from kaimen.errors import GalleryError, StorageError
from kaimen.names import as_kept, forms_of
from kaimen.registry.database import MEMORY
from kaimen.registry.evidence import pack, unpack_fingerprint
from kaimen.registry.vault import Vault
from kaimen.voice.fingerprint import Fingerprint

KEPT = 10  # of each student's phrases, and of each of their words
PATIENCE = 1.0  # seconds to wait for another process's transaction

SCHEMA = """
CREATE TABLE IF NOT EXISTS heard (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    student TEXT NOT NULL,  -- a keyed hash of the name
    phrase TEXT NOT NULL,  -- a keyed hash of the name and the word of a challenge
    fingerprint BLOB NOT NULL  -- sealed
);
CREATE INDEX IF NOT EXISTS heard_of ON heard (student, phrase);
"""


def replay_memory_of(registry: Path) -> Path:
    """Where the memory of a registry's gate is kept."""
    return registry.with_suffix(".heard.sqlite")


class ReplayMemory:
    """An open memory; one thread at a time."""

    def __init__(self, path: Path | str, vault: Vault) -> None:
        """Open the memory at ``path``, or make it; one that cannot be read is begun anew.

        Raises StorageError.
        """
        self._path = path
        self._vault = vault
        self._key = vault.derive("heard")
        try:
            self._database = self._opened()
        except sqlite3.DatabaseError:
            try:
                for each in (path, f"{path}-wal", f"{path}-shm"):
                    Path(each).unlink(missing_ok=True)
                self._database = self._opened()
            except (OSError, sqlite3.Error) as error:
                raise StorageError(f"{path}: cannot be made ({error})") from None

    def _opened(self) -> sqlite3.Connection:
        if self._path != MEMORY:
            Path(self._path).touch(mode=0o600)
        database = sqlite3.connect(
            self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        for setting in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"):
            database.execute(f"PRAGMA {setting}")
        database.executescript(SCHEMA)
        return database

    @staticmethod
    def examine(path: Path, vault: Vault) -> None:
        """Require that a memory's file is sound and all in it opens. Raises GalleryError."""
        try:
            with closing(sqlite3.connect(path)) as database:
                ((found,),) = database.execute("PRAGMA integrity_check(1)").fetchall()
                if found != "ok":
                    raise GalleryError(f"{path}: damaged ({found})")
                for whose, sealed in database.execute("SELECT phrase, fingerprint FROM heard"):
                    vault.unseal(sealed, f"heard, {whose}")
        except sqlite3.Error as error:
            raise GalleryError(f"{path}: damaged ({error})") from None

    def close(self) -> None:
        """Close it; what was kept stays."""
        self._database.close()

    def of(self, student: str, word: str = "") -> list[Fingerprint]:
        """A student's, the latest first; what cannot be read is left out."""
        found: list[Fingerprint] = []
        for form in forms_of(f"{student}\0{word}"):
            found += self._of(*form.split("\0"))
        return found

    def _of(self, student: str, word: str) -> list[Fingerprint]:
        whose = self._hash(student, word)
        found = []
        try:
            rows = self._database.execute(
                "SELECT fingerprint FROM heard WHERE student = ? AND phrase = ? "
                "ORDER BY number DESC",
                (self._hash(student), whose),
            ).fetchall()
        except sqlite3.Error:
            return []
        for (sealed,) in rows:
            try:
                found.append(unpack_fingerprint(self._vault.unseal(sealed, f"heard, {whose}")))
            except (GalleryError, ValueError):
                continue
        return found

    def keep(self, student: str, fingerprint: Fingerprint, word: str = "") -> None:
        """Remember one more, and forget what is older than the last KEPT. Raises StorageError."""
        student, word = as_kept(student), as_kept(word)
        who, whose = self._hash(student), self._hash(student, word)
        sealed = self._vault.seal(pack(fingerprint), f"heard, {whose}")
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.execute(
                    "INSERT INTO heard (student, phrase, fingerprint) VALUES (?, ?, ?)",
                    (who, whose, sealed),
                )
                self._database.execute(
                    "DELETE FROM heard WHERE student = ? AND phrase = ? AND number NOT IN "
                    "(SELECT number FROM heard WHERE student = ? AND phrase = ? "
                    "ORDER BY number DESC LIMIT ?)",
                    (who, whose, who, whose, KEPT),
                )
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: cannot be written ({error})") from None

    def forget(self, student: str) -> None:
        """Nothing of a student stays in the file. Raises StorageError."""
        try:
            for form in forms_of(student):
                self._database.execute("DELETE FROM heard WHERE student = ?", (self._hash(form),))
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: cannot be written ({error})") from None

    def _hash(self, student: str, word: str | None = None) -> str:
        told = student if word is None else f"{student}\0{word}"
        return hmac.digest(self._key, told.encode(), "sha256").hex()[:32]
