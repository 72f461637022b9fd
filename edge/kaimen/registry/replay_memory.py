"""What opened the door before: fingerprints of the latest phrases that each student said there.

In a database of its own, beside the registry: it changes with every opening, and the registry's
changes are what a gate watches. Should it be lost, the recordings that enrolled are still known.
"""

from __future__ import annotations

import hmac
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from kaimen.errors import GalleryError, StorageError
from kaimen.names import as_kept, forms_of
from kaimen.registry.database import MEMORY, PAUSE, RETRY
from kaimen.registry.evidence import pack, unpack_fingerprint
from kaimen.registry.opening import OpenDatabase, open_file, set_aside, transaction
from kaimen.registry.sqlite_errors import UNWRITABLE, Failure, as_error, error_of, kind_of
from kaimen.registry.vault import Vault
from kaimen.storage import unwritten
from kaimen.voice.fingerprint import Fingerprint

KEPT = 10  # of each student's phrases, and of each of their words
PATIENCE = 1.0  # seconds to wait for another process's transaction
SETTINGS = ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON")

SCHEMA = """
CREATE TABLE IF NOT EXISTS heard (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    student TEXT NOT NULL,  -- a keyed hash of the name
    phrase TEXT NOT NULL,  -- a keyed hash of the name and the word of a challenge
    fingerprint BLOB NOT NULL  -- sealed
);
CREATE INDEX IF NOT EXISTS heard_of ON heard (student, phrase);
"""

Answer = TypeVar("Answer")


def replay_memory_path(registry: Path) -> Path:
    """Return where the memory of a registry's gate is kept."""
    return registry.with_suffix(".heard.sqlite")


class ReplayMemory:
    """An open memory; one thread at a time.

    What cannot be written is remembered until the program ends, and written as soon as it can be.
    """

    def __init__(
        self, path: Path, vault: Vault, *, say: Callable[[str], None] = lambda text: None
    ) -> None:
        """Open the memory at ``path``, or make it.

        One that is proven damaged is set aside, and a new one begun; ``say`` gets a sentence about
        it, and about one that cannot be written. Raises GalleryError and StorageError for one that
        cannot be read now: it may be whole.
        """
        self._path = path
        self._vault = vault
        self._say = say
        self._unwritten: dict[tuple[str, str], list[bytes]] = {}  # sealed, the latest last
        self._use(self._open())
        if self._opened.read_only is not None:
            say(
                f"{error_of(self._opened.read_only, path)}; what opens the door is remembered "
                "only until the gate ends"
            )

    def _open(self) -> OpenDatabase:
        try:
            return _opened(self._path)
        except (OSError, sqlite3.Error) as error:
            if kind_of(error, self._path) is not Failure.DAMAGED:
                raise as_error(error, self._path) from None
            return self._begun_anew(error)

    def _begun_anew(self, error: Exception) -> OpenDatabase:
        """Set a damaged file aside, and begin another. Raises StorageError."""
        path = self._path
        try:
            aside = set_aside(path)
            opened = _opened(path)
        except OSError as other:
            raise unwritten(path, other) from None
        except sqlite3.Error as other:
            raise as_error(other, path) from None
        self._say(
            f"{path}: damaged ({error}), and begun anew: recordings of what opened the door before "
            f"are not known any more; the old file is {aside.name}"
        )
        return opened

    def _use(self, opened: OpenDatabase) -> None:
        self._opened = opened
        self._database = opened.connection
        self._look_again = time.monotonic() + RETRY

    def _keep_up(self) -> None:
        """Open the file anew where another is in its place, or its disk can be written again."""
        due = self._opened.read_only is not None and time.monotonic() >= self._look_again
        if due or self._opened.is_stale:
            before = self._opened.connection
            self._use(self._open())
            before.close()

    def _attempt(self, do: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Do something with the database. Raises GalleryError and StorageError."""
        self._keep_up()
        try:
            return do(self._database)
        except sqlite3.Error as error:
            if kind_of(error, self._path) is not Failure.DAMAGED:
                raise as_error(error, self._path) from None
            self._database.close()
            self._use(self._begun_anew(error))
        try:
            return do(self._database)
        except sqlite3.Error as error:
            raise as_error(error, self._path) from None

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
            raise as_error(error, path) from None

    def close(self) -> None:
        """Close it; what was kept stays."""
        self._database.close()

    def of(self, student: str, word: str = "") -> list[Fingerprint]:
        """Return a student's, the latest first; what was changed is left out.

        Raises GalleryError and StorageError where it cannot be read now.
        """
        found: list[Fingerprint] = []
        for form in forms_of(f"{student}\0{word}"):
            found += self._of(*form.split("\0"))
        return found

    def _of(self, student: str, word: str) -> list[Fingerprint]:
        who, whose = hash_of(self._vault, student), hash_of(self._vault, student, word)
        rows = self._attempt(
            lambda database: database.execute(
                "SELECT fingerprint FROM heard WHERE student = ? AND phrase = ? "
                "ORDER BY number DESC",
                (who, whose),
            ).fetchall()
        )
        found = []
        for sealed in [*reversed(self._unwritten.get((who, whose), [])), *(row[0] for row in rows)]:
            with suppress(GalleryError, ValueError):
                found.append(unpack_fingerprint(self._vault.unseal(sealed, f"heard, {whose}")))
        return found

    def keep(self, student: str, fingerprint: Fingerprint, word: str = "") -> None:
        """Remember one more, and forget what is older than the last KEPT.

        Raises StorageError where it cannot be written: it is known until the program ends.
        """
        student, word = as_kept(student), as_kept(word)
        who, whose = hash_of(self._vault, student), hash_of(self._vault, student, word)
        sealed = self._vault.seal(pack(fingerprint), f"heard, {whose}")
        waiting = self._unwritten.setdefault((who, whose), [])
        waiting[:] = [*waiting, sealed][-KEPT:]
        try:
            self._keep_up()
            if self._opened.read_only is not None:
                raise error_of(self._opened.read_only, self._path)
            self._attempt(self._write)
        except GalleryError as error:
            raise StorageError(str(error)) from None
        self._unwritten.clear()

    def _write(self, database: sqlite3.Connection) -> None:
        """Write all that waits, in one transaction."""
        with transaction(database):
            for (who, whose), waiting in self._unwritten.items():
                database.executemany(
                    "INSERT INTO heard (student, phrase, fingerprint) VALUES (?, ?, ?)",
                    [(who, whose, sealed) for sealed in waiting],
                )
                database.execute(
                    "DELETE FROM heard WHERE student = ? AND phrase = ? AND number NOT IN "
                    "(SELECT number FROM heard WHERE student = ? AND phrase = ? "
                    "ORDER BY number DESC LIMIT ?)",
                    (who, whose, who, whose, KEPT),
                )

    def forget(self, student: str) -> None:
        """Leave nothing of a student in the file. Raises GalleryError and StorageError."""
        hashes = [hash_of(self._vault, form) for form in forms_of(student)]
        for key in [key for key in self._unwritten if key[0] in hashes]:
            del self._unwritten[key]
        self._keep_up()
        if self._opened.read_only is not None:
            raise error_of(self._opened.read_only, self._path)

        def clear(database: sqlite3.Connection) -> None:
            database.executemany(
                "DELETE FROM heard WHERE student = ?", [(hashed,) for hashed in hashes]
            )
            _truncated(database)

        self._attempt(clear)

    def sealed_of(self, student: str) -> list[bytes]:
        """Return all that the file holds of a student, as it lies there."""
        hashes = [hash_of(self._vault, form) for form in forms_of(student)]
        marks = ", ".join("?" * len(hashes))
        rows = self._attempt(
            lambda database: database.execute(
                f"SELECT fingerprint FROM heard WHERE student IN ({marks})", hashes
            ).fetchall()
        )
        return [bytes(row[0]) for row in rows]

    def compact(self) -> None:
        """Leave nothing in the file of what was deleted from it. Raises StorageError."""
        self._attempt(lambda database: database.execute("VACUUM").fetchall())
        until = time.monotonic() + PATIENCE
        while self._attempt(_truncated)[0][0]:
            if time.monotonic() > until:
                raise error_of(Failure.BUSY, self._path)
            time.sleep(PAUSE)


def hash_of(vault: Vault, student: str, word: str | None = None) -> str:
    """Return what a student, or a word of one, is called in the memory of a key."""
    told = student if word is None else f"{student}\0{word}"
    return hmac.digest(vault.derive("heard"), told.encode(), "sha256").hex()[:32]


def _truncated(database: sqlite3.Connection) -> list[tuple[int, ...]]:
    return database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _opened(path: Path) -> OpenDatabase:
    """Open a file, or make it; in memory alone where it cannot be made. OSError, sqlite3.Error."""
    try:
        opened = open_file(path, SETTINGS, PATIENCE)
    except (OSError, sqlite3.Error) as error:
        why = kind_of(error, path)
        if why in UNWRITABLE and not (path.exists() and path.stat().st_size):
            return _in_memory(why)
        raise
    try:
        if opened.read_only is None:
            opened.connection.executescript(SCHEMA)
        elif not opened.connection.execute("SELECT name FROM sqlite_master").fetchall():
            raise sqlite3.OperationalError("nothing in it")
    except sqlite3.Error as error:
        opened.connection.close()
        why = opened.read_only or kind_of(error, path)
        if why in UNWRITABLE:  # nothing was ever kept in it
            return _in_memory(why)
        raise
    return opened


def _in_memory(why: Failure) -> OpenDatabase:
    connection = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False)
    connection.executescript(SCHEMA)
    return OpenDatabase(connection, MEMORY, why)
