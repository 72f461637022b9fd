"""Everybody who is enrolled, read once and searched many times: 20,000 stay fluid."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from kaimen.names import as_kept
from kaimen.registry.registry import Registry
from kaimen.registry.student_rows import Student

ROWS = 50  # that are shown at once


@dataclass(frozen=True, slots=True)
class Rows:
    """Some of the students, in the order of their names."""

    students: list[Student]
    found: int  # of all
    after: str  # the name that the next ones come after; empty: there are no more


class StudentList:
    """The list as the registry had it last; for the worker thread alone."""

    def __init__(self) -> None:
        self._seen: tuple[Registry, int] | None = None
        self._students: list[Student] = []
        self._searched: list[str] = []
        self._found: tuple[tuple[str, str], list[Student]] = (("", ""), [])

    def keep_up(self, registry: Registry) -> None:
        """Read the list anew if the registry has changed."""
        seen = registry, registry.database.version()
        if seen != self._seen:
            self._students = registry.students()
            self._searched = [each.name.casefold() for each in self._students]
            self._found = ("", ""), self._students
            self._seen = seen

    def forget(self) -> None:
        """Read the list anew the next time: a registry does not tell what it changed itself."""
        self._seen = None

    @property
    def groups(self) -> list[str]:
        """Return all groups, in order."""
        return sorted({each.group for each in self._students if each.group})

    def student(self, number: int) -> Student | None:
        """Return the student of a number."""
        return next((each for each in self._students if each.number == number), None)

    def search(self, text: str, group: str = "", after: str = "") -> Rows:
        """Return who has a text in their name and is of a group, beginning after a name."""
        asked = as_kept(text).strip().casefold(), as_kept(group)
        if self._found[0] != asked:
            self._found = (
                asked,
                [
                    student
                    for student, name in zip(self._students, self._searched, strict=True)
                    if asked[0] in name and (not asked[1] or student.group == asked[1])
                ],
            )
        found = self._found[1]
        first = bisect_right(found, after, key=lambda each: each.name) if after else 0
        shown = found[first : first + ROWS]
        more = first + ROWS < len(found)
        return Rows(shown, len(found), shown[-1].name if more else "")
