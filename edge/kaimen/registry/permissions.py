"""What students allow, and what they are allowed: consents, and PINs beside or instead of a voice.

Each function is one transaction, and tells the log.
"""

from __future__ import annotations

import datetime
import sqlite3

from kaimen.errors import GalleryError
from kaimen.local_time import now_as_kept
from kaimen.names import as_kept, name_of
from kaimen.registry.consents import OPENING, Consent
from kaimen.registry.erased import strike_erasure
from kaimen.registry.registry import Registry


def give_consent(registry: Registry, name: str, consent: Consent) -> None:
    """Write down that a student may be recognised, by whose word, for what and until when.

    Raises GalleryError and StorageError; nothing was changed then.
    """
    with registry.database.writing():
        student = registry.student(name)
        registry.rows.change(student.number, "consent = ?", consent.until)
        registry.write_consent(student.number, student.name, consent)


def withdraw_consent(registry: Registry, name: str, day: datetime.date) -> None:
    """Write down that a consent was withdrawn: from this day on nobody is recognised by it.

    The voice is erased at the next 'kaimen erase --ended'. Raises GalleryError and StorageError;
    nothing was changed then.
    """
    with registry.database.writing():
        student = registry.student(name)
        if not registry.consents.withdraw(student.number, day):
            given = Consent("", "", (OPENING,), student.enrolled[:10], None)
            registry.consents.add(student.number, given)  # of before there was a ledger
            registry.consents.withdraw(student.number, day)
        last = str(day - datetime.timedelta(days=1))
        registry.rows.change(student.number, "consent = ?", last)
        registry.events.note("consent withdrawn", student.name)


def set_pin(
    registry: Registry, name: str, pin: str, *, group: str | None = None, new: bool = False
) -> None:
    """Let a student enter by card and PIN; a ``new`` one needs no voice.

    Raises UnfitName, UnfitPin, GalleryError and StorageError; nothing was changed then.
    """
    with registry.database.writing() as database:
        if not registry.knows(name):
            if not new:
                raise GalleryError(
                    f"{as_kept(name)} is not enrolled; with --new they enter by card and PIN alone"
                )
            _add_without_voice(registry, database, name, group)
        student = registry.student(name)
        registry.pins.set(student.number, pin)
        registry.events.note("pin set", student.name)


def _add_without_voice(
    registry: Registry, database: sqlite3.Connection, name: str, group: str | None
) -> None:
    """Enroll a student of whom no recording is there, in a transaction. Raises UnfitName."""
    name = name_of(name, str(registry.path))
    group = name_of(group, str(registry.path)) if group else ""
    (number,) = database.execute(
        "INSERT INTO students (name, class, enrolled, encoder) VALUES (?, ?, ?, '') "
        "RETURNING number",
        (name, group, now_as_kept()),
    ).fetchone()
    registry.rows.seal(number, b"")
    strike_erasure(database, registry.vault, name)


def remove_pin(registry: Registry, name: str) -> None:
    """Let a student enter by PIN no more; one without a voice is to be erased instead.

    Raises GalleryError and StorageError; nothing was changed then.
    """
    with registry.database.writing():
        student = registry.student(name)
        if not registry.pins.has(student.number):
            raise GalleryError(f"{student.name} has no PIN; see 'kaimen students'")
        if not student.recordings:
            raise GalleryError(
                f"{student.name} has no voice here either; 'kaimen erase {student.name}' ends it "
                "all"
            )
        registry.pins.remove(student.number)
        registry.events.note("pin removed", student.name)
