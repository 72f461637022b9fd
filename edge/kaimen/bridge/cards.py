"""Who the students in the log are to other systems: a name, and the number of a card."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from kaimen.audit import Record, pseudonyms
from kaimen.errors import SettingsError
from kaimen.names import as_kept


@dataclass(frozen=True, slots=True)
class Cards:
    """Students by what the log calls them."""

    names: dict[str, str] = field(default_factory=dict, repr=False)
    numbers: dict[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path, key: bytes) -> Cards:
        """Read a CSV file: a student and a card's number a line. Raises SettingsError."""
        names: dict[str, str] = {}
        numbers: dict[str, int] = {}
        students: set[str] = set()
        given: dict[int, int] = {}  # lines by number
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                for line, row in enumerate(csv.reader(file), 1):
                    if not row or (line == 1 and row[:2] == ["student", "number"]):
                        continue
                    student, number = _fields(row, f"{path}: line {line}")
                    if student in students:
                        raise SettingsError(f"{path}: line {line}: {row[0]} is there twice")
                    if number in given:
                        raise SettingsError(
                            f"{path}: line {line}: card {number} is of line {given[number]} already"
                        )
                    students.add(student)
                    given[number] = line
                    for hashed in pseudonyms(key, student):
                        names[hashed], numbers[hashed] = student, number
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{path}: not UTF-8; save it as CSV UTF-8") from None
        except csv.Error as error:
            raise SettingsError(f"{path}: no CSV file ({error})") from None
        return cls(names, numbers)

    def name(self, record: Record) -> str | None:
        """Return who was let in; None for nobody, and for who is not in the list."""
        return self.names.get(record.get("student") or "")

    def number(self, record: Record) -> int | None:
        """Return the card of who was let in; None for nobody, and for who has none."""
        return self.numbers.get(record.get("student") or "")


def _fields(row: list[str], where: str) -> tuple[str, int]:
    if len(row) != 2 or not row[0].strip():
        raise SettingsError(f"{where}: write student,number")
    number = row[1].strip()
    if not number.isascii() or not number.isdecimal() or len(number) > 10:
        raise SettingsError(f"{where}: a card's number has digits only, not {row[1]!r}")
    return as_kept(row[0].strip()), int(number)
