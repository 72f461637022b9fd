"""Which students changed, so that a running gate reads those alone, and not everybody.

Triggers keep it: whatever program writes to a student's rows, the student gets a higher number. A
student who is removed leaves it: nothing is kept of them, and the count says that somebody is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kaimen.registry.database import Database

CHANGES = {  # tables, and whose a row of each is
    "students": "{row}.number",
    "recordings": "{row}.student",
    "points": "(SELECT student FROM recordings WHERE number = {row}.recording)",
    "grown": "{row}.student",
}
EVENTS = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))

# A conflict clause of the statement that fires a trigger holds in it, too: none may be needed.
_TRIGGER = """
    CREATE TRIGGER {table}_{event} AFTER {event} ON {table} BEGIN
        DELETE FROM journal WHERE student = {student};
        INSERT INTO journal (student) SELECT number FROM students WHERE number = {student};
    END;
"""
JOURNAL = """
    CREATE TABLE journal (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
        student INTEGER NOT NULL UNIQUE REFERENCES students ON DELETE CASCADE
    );
""" + "".join(
    _TRIGGER.format(table=table, event=event, student=student.format(row=row))
    for table, student in CHANGES.items()
    for event, row in EVENTS
)


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
