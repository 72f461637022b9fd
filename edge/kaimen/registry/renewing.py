"""A registry under another key: everything sealed is sealed anew, every voiceprint is moved.

It is done in a copy, which takes the place of the registry once it is whole.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kaimen.errors import GalleryError
from kaimen.names import forms_of
from kaimen.progress import Track
from kaimen.registry.database import PATIENCE
from kaimen.registry.grown import context_of_grown
from kaimen.registry.opening import transaction
from kaimen.registry.recordings import Recordings, context_of
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import hash_of
from kaimen.registry.rotation import Rotation
from kaimen.registry.seals import SEALED_FIELDS, RegistryState, Seals, number_of
from kaimen.registry.sqlite_errors import Failure, as_error, kind_of
from kaimen.registry.vault import Vault

SAMPLE = 300  # recordings by which a new key is judged
LINKED = 0.1  # standard deviations that recordings may be more alike under both keys than others
DRAWS = 30  # keys that are tried

Row = tuple[Any, ...]


def unlinked(registry: Registry) -> Vault:
    """Draw a new key by which the same recordings are no more alike than others.

    Most keys are so. Where a space is lopsided, some leave a little of where points were.
    """
    recordings = registry.recordings
    encoder = max((each.encoder for each in registry.students()), default="")
    numbers, _ = recordings.numbers(encoder)
    if len(numbers) < 2:
        return registry.vault.renewed()
    chosen = np.random.default_rng(0).permutation(numbers)[:SAMPLE]
    kept, made = recordings.kept(chosen, encoder), recordings.voiceprints(chosen, encoder)
    for _ in range(DRAWS):
        drawn = registry.vault.renewed()
        moved = Rotation.of(drawn, encoder, made.shape[1]).apply(made)
        cosines = kept @ moved.T
        others = cosines[~np.eye(len(cosines), dtype=bool)]
        linked = abs(float(np.diag(cosines).mean() - others.mean())) / float(others.std() + 1e-9)
        if linked <= LINKED:
            break
    return drawn


def renew_registry(path: Path, to: Path, old: Vault, new: Vault, track: Track | None) -> None:
    """Write a registry of another key beside one. Raises GalleryError and StorageError."""
    with closing(Registry(path, old)) as registry:
        state, roll = registry.database.state(), registry.roll()
        registry.recordings.examine(track)
        reseal = _Reseal(registry.recordings, old, new)
        with _changing_copy(path, to) as database:
            reseal.recordings(database)
            reseal.points(database)
            reseal.grown(database)
            reseal.others(database)
            total = _seal_students(database, state.registry, old, new)
            whole = roll.complete  # what somebody else changed stays known as changed
            after = RegistryState(state.registry, state.changes, total + (not whole)).after(0)
            database.execute(
                "UPDATE vault SET identity = ?, rotated = 1, changes = ?, total = ?, seal = ?",
                (new.identity, after.changes, after.packed, Seals(new).state(after)),
            )


def renew_replay_memory(path: Path, to: Path, registry: Registry, new: Vault) -> None:
    """Write a replay memory of another key beside one; what is nobody's is left out."""
    old, names = registry.vault, _names(registry)
    with _changing_copy(path, to) as database:
        rows = database.execute("SELECT number, phrase, fingerprint FROM heard").fetchall()
        for number, phrase, sealed in rows:
            if phrase not in names:
                database.execute("DELETE FROM heard WHERE number = ?", (number,))
                continue
            student, word = names[phrase]
            whose = hash_of(new, student, word)
            content = old.unseal(sealed, f"heard, {phrase}")
            database.execute(
                "UPDATE heard SET student = ?, phrase = ?, fingerprint = ? WHERE number = ?",
                (hash_of(new, student), whose, new.seal(content, f"heard, {whose}"), number),
            )


def _names(registry: Registry) -> dict[str, tuple[str, str]]:
    """Return students and words by how the replay memory of the old key calls them."""
    found = {}
    for student in registry.students():
        for word in ("", *registry.recordings.words(student.name)):
            for form in forms_of(f"{student.name}\0{word}"):
                name, _, said = form.partition("\0")
                found[hash_of(registry.vault, name, said)] = (student.name, word)
    return found


class _Reseal:
    """Seals what a copy of a registry holds under another key."""

    def __init__(self, recordings: Recordings, old: Vault, new: Vault) -> None:
        self._old = old
        self._new = new
        self._recordings = recordings

    def _anew(self, sealed: bytes | None, context: str) -> bytes | None:
        return self._new.seal(self._old.unseal(sealed, context), context) if sealed else sealed

    def _moved(self, sealed: bytes, encoder: str, context: str) -> bytes:
        made = self._recordings.opened_point(sealed, encoder, context)
        moved = Rotation.of(self._new, encoder, len(made)).apply(made)
        return self._new.seal(moved.astype("<f4").tobytes(), context)

    def recordings(self, database: sqlite3.Connection) -> None:
        """Reseal voiceprints of students' own encoders, what was said, and fingerprints."""
        for number, student, encoder, point, said, heard in database.execute(
            "SELECT recordings.number, student, encoder, voiceprint, said, fingerprint "
            "FROM recordings JOIN students ON student = students.number"
        ).fetchall():
            context = context_of(student, number, encoder)
            database.execute(
                "UPDATE recordings SET voiceprint = ?, said = ?, fingerprint = ? WHERE number = ?",
                (
                    self._moved(point, encoder, context) if point else point,
                    self._anew(said, f"said, {context}"),
                    self._anew(heard, f"fingerprint, {context}"),
                    number,
                ),
            )

    def points(self, database: sqlite3.Connection) -> None:
        """Reseal what other encoders and phrase encoders made of recordings."""
        for number, model, student, sealed in database.execute(
            "SELECT recording, model, student, sealed FROM points "
            "JOIN recordings ON number = recording"
        ).fetchall():
            context = context_of(student, number, model)
            try:
                again: bytes | None = self._moved(sealed, model, context)
            except GalleryError:  # a phrase encoder's
                again = self._anew(sealed, f"said, {context}")
            database.execute(
                "UPDATE points SET sealed = ? WHERE recording = ? AND model = ?",
                (again, number, model),
            )

    def grown(self, database: sqlite3.Connection) -> None:
        """Reseal voiceprints of phrases at the gate."""
        for number, student, encoder, at, sealed in database.execute(
            "SELECT number, student, encoder, at, voiceprint FROM grown"
        ).fetchall():
            context = context_of_grown(number, student, encoder, at)
            database.execute(
                "UPDATE grown SET voiceprint = ? WHERE number = ?",
                (self._moved(sealed, encoder, context), number),
            )

    def others(self, database: sqlite3.Connection) -> None:
        """Reseal consents, PINs, events and erasures."""
        kinds: Iterable[tuple[str, str, Callable[[Row], str]]] = (
            ("consents", "number, student", lambda row: f"consent {row[0]} of student {row[1]}"),
            ("pins", "student", lambda row: f"pin of student {row[0]}"),
            ("events", "number", lambda row: f"event {row[0]}"),
            ("erasing", "identity", lambda row: f"erasure {row[0]}"),
        )
        for table, columns, context in kinds:
            key = columns.partition(",")[0]
            for *row, sealed in database.execute(
                f"SELECT {columns}, sealed FROM {table}"
            ).fetchall():
                database.execute(
                    f"UPDATE {table} SET sealed = ? WHERE {key} = ?",
                    (self._anew(sealed, context(tuple(row))), row[0]),
                )


def _seal_students(database: sqlite3.Connection, registry: str, old: Vault, new: Vault) -> int:
    """Seal the rows that are as they were written; the sum of all rows' seals."""
    before, after, total = Seals(old), Seals(new), 0
    for *row, seal in database.execute(f"SELECT {SEALED_FIELDS}, seal FROM students").fetchall():
        if hmac.compare_digest(bytes(seal), before.row(registry, row)):
            seal = after.row(registry, row)
            database.execute("UPDATE students SET seal = ? WHERE number = ?", (seal, row[0]))
        total += number_of(bytes(seal))
    return total


@contextmanager
def _changing_copy(path: Path, to: Path) -> Iterator[sqlite3.Connection]:
    """Copy a database and change the copy; nothing of its former content stays in the file."""
    copy_database(path, to)
    try:
        with closing(sqlite3.connect(to, isolation_level=None)) as database:
            database.execute("PRAGMA secure_delete = ON")
            with transaction(database):
                yield database
            database.execute("VACUUM")
    except sqlite3.Error as error:
        raise as_error(error, to) from None


def copy_database(path: Path, to: Path) -> None:
    """Copy a database as it is at one moment, without the pages of what was deleted from it.

    Raises GalleryError and StorageError.
    """
    try:
        to.touch(mode=0o600)
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as database:
            database.execute("VACUUM INTO ?", (str(to),))
    except (OSError, sqlite3.Error) as error:
        # Of two files, only the one that is read can be damaged; the other's disk may be full.
        damaged = kind_of(error, path) is Failure.DAMAGED
        raise as_error(error, path if damaged else to) from None
