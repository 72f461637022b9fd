"""Which students changed, so that a running gate reads those alone, and not everybody.

Triggers keep it, which ``migrations`` makes: whatever program writes to a student's rows, the
student gets a higher number. A student who is removed leaves it: nothing is kept of them, and the
count says that somebody is gone.
"""

from __future__ import annotations

from kaimen.registry.database import Database


class StudentJournal:
    """Tell who of a registry changed since a number of its journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self, number: int) -> tuple[list[int], int]:
        """Return the numbers of students who changed after an entry, and the latest entry's."""
        rows = self._database.read(
            "SELECT student, number FROM journal WHERE number > ? ORDER BY number", number
        )
        return [student for student, _ in rows], rows[-1][1] if rows else number

    def latest(self) -> int:
        """Return the number of the latest entry; 0 of none."""
        return int(self._database.read("SELECT coalesce(max(number), 0) FROM journal")[0][0])
