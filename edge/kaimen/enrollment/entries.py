"""Who is to be enrolled from which recordings: a folder of folders, or a table."""

from __future__ import annotations

import datetime
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kaimen.enrollment.litter import is_litter
from kaimen.enrollment.table import COLUMNS, rows_of
from kaimen.errors import SettingsError
from kaimen.names import as_kept, name_of, printable
from kaimen.sound.recording import SUFFIXES

YEAR_FIRST = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")  # Excel's day in China, too


@dataclass(frozen=True, slots=True)
class Entry:
    """A student to be enrolled."""

    student: str
    files: tuple[Path, ...]
    group: str | None = None  # None: as it was
    consent: datetime.date | None = None  # the last day; None: as it was
    word: str = ""  # of a challenge; empty: the passphrase
    guardian: str = ""  # who gave the consent; empty: as it was, or not written down


def entries_in(place: Path) -> list[Entry]:
    """Return the students of a folder laid out as student/recording.mp3, or of a CSV file.

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
        students = _folders_in(folder)
        found = [entry for each in students for entry in _of_student(each)]
    except FileNotFoundError as error:
        raise SettingsError(
            f"{error.filename}: no such file or folder; give a folder of students or a CSV file"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{error.filename}: the folder cannot be read ({error.strerror})"
        ) from None
    if not any(entry.files for entry in found):
        raise SettingsError(f"{folder}: no student/recording.mp3 or the like in it; see --help")
    return found


def _of_student(folder: Path) -> Iterator[Entry]:
    student = name_of(_called(folder), _shown(folder))
    yield Entry(student, _recordings_in(folder))
    for word in _folders_in(folder):
        files = _recordings_in(word)
        if files:
            yield Entry(student, files, word=name_of(_called(word), _shown(word)))


def _folders_in(folder: Path) -> list[Path]:
    """Return its folders by name, without what is left behind. Raises SettingsError."""
    found: dict[str, Path] = {}
    for each in sorted(each for each in folder.iterdir() if each.is_dir() and not is_litter(each)):
        first = found.setdefault(as_kept(_called(each)), each)
        if first is not each:
            raise SettingsError(
                f"{_shown(each)}: {_shown(first)!a} is the same name in other characters; "
                "put the recordings into one folder"
            )
    return list(found.values())


def _called(folder: Path) -> str:
    """Return a folder's name: in UTF-8, as disks are, whatever the locale; else in the locale's."""
    try:
        return os.fsencode(folder.name).decode()
    except UnicodeDecodeError:
        return folder.name


def _shown(path: Path) -> str:
    """Return a path that can be written anywhere, whatever its file system holds."""
    return printable(os.fsencode(path).decode(errors="replace"))


def _recordings_in(folder: Path) -> tuple[Path, ...]:
    return tuple(
        sorted(
            each
            for each in folder.iterdir()
            if each.suffix.lower() in SUFFIXES and not is_litter(each)
        )
    )


def _of_table(table: Path) -> list[Entry]:
    found: dict[str, Entry] = {}
    paths: set[Path] = set()
    for line, row in rows_of(table):
        where = f"{table}, line {line}"
        read = _of_row(row, table.parent, where)
        if paths.intersection(read.files):
            raise SettingsError(f"{where}: {row['path']} is given twice; keep one of the lines")
        paths.update(read.files)
        first = found.setdefault(read.student, read)
        if replace(read, files=first.files) != first:
            raise SettingsError(
                f"{where}: {read.student} has another group, consent or guardian above; make them "
                "agree"
            )
        if first is not read:
            found[read.student] = replace(first, files=(*first.files, *read.files))
    if not found:
        raise SettingsError(f"{table}: no rows; give a line for each recording")
    return list(found.values())


def _of_row(row: dict[str, str], folder: Path, where: str) -> Entry:
    for name in COLUMNS:
        if not row[name]:
            raise SettingsError(f"{where}: no {name}; fill it in")
    group, consent, guardian = row.get("group"), row.get("consent"), row.get("guardian")
    if guardian and not consent:
        raise SettingsError(f"{where}: a guardian, and no day until when; fill in the consent")
    return Entry(
        name_of(row["student"], where),
        (_file_of(folder, row["path"]),),
        name_of(group, where) if group else None,
        day_of(consent, where) if consent else None,
        guardian=name_of(guardian, where) if guardian else "",
    )


def _file_of(folder: Path, written: str) -> Path:
    """Return the file that a table means: a Mac's folders write names in other characters."""
    ways = (written, *(unicodedata.normalize(form, written) for form in ("NFC", "NFD")))
    # In UTF-8, as disks are, whatever the locale.
    there = [folder / os.fsdecode(way.encode()) for way in ways]
    return next((path for path in there if os.path.lexists(path)), there[0])


def day_of(text: str, where: str) -> datetime.date:
    """Return a day that is written with the year first. Raises SettingsError."""
    try:
        written = YEAR_FIRST.fullmatch(text)
        return datetime.date(*map(int, written.groups() if written else ()))
    except (TypeError, ValueError):
        raise SettingsError(f"{where}: {text} is no day; write it as 2027-07-31") from None
