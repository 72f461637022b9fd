"""Who is to be enrolled from which recordings: a folder of folders, or a table."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kaimen.errors import SettingsError
from kaimen.sound.recording import SUFFIXES

COLUMNS = ("student", "path")
MORE_COLUMNS = ("group", "consent")


@dataclass(frozen=True, slots=True)
class Entry:
    """A student to be enrolled."""

    student: str
    files: tuple[Path, ...]
    group: str | None = None  # None: as it was
    consent: datetime.date | None = None  # the last day; None: as it was
    word: str = ""  # of a challenge; empty: the passphrase


def entries_in(place: Path) -> list[Entry]:
    """The students of a folder laid out as student/recording.mp3, or of a CSV file.

    A folder in a student's, student/word/recording.mp3, is of a word of challenges: an entry of
    its own, after the student's.

    Raises SettingsError.
    """
    return _of_table(place) if place.is_file() else _of_folder(place)


def recordings_in(place: Path) -> dict[str, list[Path]]:
    """Return the recordings of the passphrase by student, from the same places.

    Raises SettingsError.
    """
    entries = entries_in(place)
    return {each.student: list(each.files) for each in entries if each.files and not each.word}


def _of_folder(folder: Path) -> list[Entry]:
    try:
        students = sorted(each for each in folder.iterdir() if each.is_dir())
        found = [
            entry
            for each in students
            if not each.name.startswith(".")
            for entry in _of_student(each)
        ]
    except OSError as error:
        raise SettingsError(
            f"{error.filename}: the folder cannot be read ({error.strerror})"
        ) from None
    if not any(entry.files for entry in found):
        raise SettingsError(f"{folder}: no student/recording.mp3 or the like in it; see --help")
    return found


def _of_student(folder: Path) -> Iterator[Entry]:
    yield Entry(_name_of(folder), _recordings_in(folder))
    for word in sorted(each for each in folder.iterdir() if each.is_dir()):
        files = _recordings_in(word)
        if files and not word.name.startswith("."):
            yield Entry(folder.name, files, word=_name_of(word))


def _name_of(folder: Path) -> str:
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{str(folder)!a}: not a name in UTF-8; rename the folder") from None
    return folder.name


def _recordings_in(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES))


def _of_table(table: Path) -> list[Entry]:
    found: dict[str, Entry] = {}
    paths: set[Path] = set()
    for line, row in _rows(table):
        where = f"{table}, line {line}"
        read = _of_row(row, table.parent, where)
        if paths.intersection(read.files):
            raise SettingsError(f"{where}: {row['path']} is given twice; keep one of the lines")
        paths.update(read.files)
        first = found.setdefault(read.student, read)
        if (first.group, first.consent) != (read.group, read.consent):
            raise SettingsError(
                f"{where}: {read.student} has another group or consent above; make them agree"
            )
        if first is not read:
            files = (*first.files, *read.files)
            found[read.student] = Entry(read.student, files, read.group, read.consent)
    if not found:
        raise SettingsError(f"{table}: no rows; give a line for each recording")
    return list(found.values())


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows that are not empty, with the lines they end in."""
    try:
        # Spreadsheets put a mark in front, and semicolons where a comma is a decimal point.
        with table.open(newline="", encoding="utf-8-sig") as file:
            semicolons = ";" in file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=";" if semicolons else ",", strict=True)
            columns = reader.fieldnames or ()
            missing = [name for name in COLUMNS if name not in columns]
            unknown = [name for name in columns if name not in COLUMNS + MORE_COLUMNS]
            if missing or unknown or len(set(columns)) < len(columns):
                raise SettingsError(
                    f"{table}: the columns must be student and path, and may be group and consent, "
                    f"not {', '.join(map(str, columns)) or 'none'}"
                )
            for row in reader:
                if None in row or None in row.values():
                    raise SettingsError(
                        f"{table}, line {reader.line_num}: not {len(columns)} columns; correct it"
                    )
                yield reader.line_num, {name: value.strip() for name, value in row.items()}
    except OSError as error:
        raise SettingsError(f"{table}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(
            f"{table}: not a CSV file in UTF-8 ({error}); export it again"
        ) from None


def _of_row(row: dict[str, str], folder: Path, where: str) -> Entry:
    for name in COLUMNS:
        if not row[name]:
            raise SettingsError(f"{where}: no {name}; fill it in")
    return Entry(
        row["student"],
        (folder / row["path"],),
        row.get("group") or None,
        day_of(row["consent"], where) if row.get("consent") else None,
    )


def day_of(text: str, where: str) -> datetime.date:
    """A day as ISO 8601 writes it. Raises SettingsError."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{where}: {text} is no day; write it as 2027-07-31") from None
