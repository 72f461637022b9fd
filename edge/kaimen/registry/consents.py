"""The ledger of consents: who gave one, for what, from when until when, and when it was withdrawn.

Entries are sealed, since they name guardians, and are never changed but by a withdrawal. What the
gate goes by is the student's last day of consent, which each entry sets in the same transaction.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from kaimen.errors import GalleryError
from kaimen.parsing import read_json
from kaimen.registry.database import Database

STUDENT, GUARDIAN = "student", "guardian"
OPENING = "opening this school's doors"  # the purpose, where none is given


@dataclass(frozen=True, slots=True)
class Consent:
    """One entry of the ledger. Days are ISO 8601."""

    by: str  # who gave it: STUDENT or GUARDIAN; empty: nobody wrote that down
    guardian: str  # the guardian's name
    purposes: tuple[str, ...]
    given: str
    until: str | None  # the last day; None: until it is withdrawn
    withdrawn: str | None = None
    number: int = 0


class Consents:
    """The ledger of a registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, student: int) -> list[Consent]:
        """Return a student's entries, the oldest first. Raises GalleryError."""
        rows = self._database.read(
            "SELECT number, sealed FROM consents WHERE student = ? ORDER BY number", student
        )
        return [self._opened(number, student, sealed) for number, sealed in rows]

    def add(self, student: int, consent: Consent) -> None:
        """Write an entry, in a transaction of the caller's."""
        with self._database.writing() as database:
            (number,) = database.execute(
                "INSERT INTO consents (student, sealed) VALUES (?, x'') RETURNING number",
                (student,),
            ).fetchone()
        self._write(student, replace(consent, number=number))

    def write_all(self, student: int, consents: Sequence[Consent]) -> None:
        """Write a student's whole ledger, as another registry has it."""
        with self._database.writing() as database:
            database.execute("DELETE FROM consents WHERE student = ?", (student,))
            for each in consents:
                self.add(student, each)

    def withdraw(self, student: int, day: datetime.date) -> int:
        """Mark all that were not withdrawn before; how many, in a transaction of the caller's."""
        standing = [each for each in self.of(student) if each.withdrawn is None]
        for each in standing:
            self._write(student, replace(each, withdrawn=day.isoformat()))
        return len(standing)

    def is_by(self, student: int, guardian: str, until: datetime.date | None) -> bool:
        """Return whether the latest entry stands, until a day, and is by a guardian, if any."""
        last = until and until.isoformat()
        return any(
            each.withdrawn is None and each.until == last and guardian in ("", each.guardian)
            for each in self.of(student)[-1:]
        )

    def is_withdrawn(self, student: int) -> bool:
        """Return whether the latest entry was withdrawn. Raises GalleryError."""
        found = self.of(student)
        return bool(found) and found[-1].withdrawn is not None

    def _write(self, student: int, consent: Consent) -> None:
        content = json.dumps(asdict(consent)).encode()
        sealed = self._database.vault.seal(content, _context(consent.number, student))
        with self._database.writing() as database:
            database.execute(
                "UPDATE consents SET sealed = ? WHERE number = ?", (sealed, consent.number)
            )

    def _opened(self, number: int, student: int, sealed: bytes) -> Consent:
        content = self._database.vault.unseal(sealed, _context(number, student))
        try:
            fields = read_json(content)
            return Consent(**{**fields, "purposes": tuple(fields["purposes"])})
        except (ValueError, TypeError, KeyError):
            raise GalleryError(f"consent {number}: written by a newer Kaimen") from None


def purposes_of(given: Sequence[str]) -> tuple[str, ...]:
    """Return what a consent is for."""
    return tuple(given) or (OPENING,)


def _context(number: int, student: int) -> str:
    return f"consent {number} of student {student}"
