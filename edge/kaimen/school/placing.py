"""Putting one school in the place of another: the old one or the new one, whole, at every moment.

Key and registry lie in different folders, so no single step can exchange them. A **journal** beside
the registry says which pieces are moved: until it is there, nothing was moved, and what had been
unpacked is thrown away; once it is there, the exchange goes on to its end, by whoever comes next.
It names pieces, never paths, so that nobody who can write it moves any other file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kaimen.errors import GalleryError, StorageError
from kaimen.parsing import read_json
from kaimen.registry.lock import InUse, Lock, alone
from kaimen.school.files import PLACED, SchoolFiles
from kaimen.storage import clear_temporary, forget, make_folder, sync, write_whole


@dataclass(frozen=True, slots=True)
class Journal:
    """What is to be moved."""

    when: str  # UTC; names where the old school is kept
    old: list[str]  # pieces to be moved aside
    new: list[str]  # pieces to be put in place
    purge: bool = False  # whether what was moved aside is deleted then

    @classmethod
    def load(cls, path: Path, school: SchoolFiles) -> Journal | None:
        """Read it; None where nothing was interrupted. Raises GalleryError."""
        try:
            journal = cls(**read_json(path.read_bytes()))
            if not re.fullmatch(r"\d{8}T\d{6}Z", journal.when) or not (
                {*journal.old} <= {*school.pieces}
                and {*journal.new} <= {*PLACED}
                and isinstance(journal.purge, bool)
            ):
                raise ValueError
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            raise GalleryError(
                f"{path}: a restore was interrupted, and its journal cannot be read; move it "
                "away and restore again with --over"
            ) from None
        return journal


def journal_path(school: SchoolFiles) -> Path:
    """Return where a school's journal lies while one is put in its place."""
    return school.registry.with_suffix(".restore.json")


def place(
    school: SchoolFiles, when: str, *, stays: Collection[str] = (), purge: bool = False
) -> None:
    """Put what was unpacked in the place of what is there; the caller is alone in the school.

    What is there is kept beside, or with ``purge`` deleted; pieces that ``stays`` names are left
    where they are. Raises StorageError; the old school is in place then, or the next
    command puts the new one there.
    """
    unpacked = school.unpacked()
    new = [name for name in unpacked.there if name in PLACED]
    old = [name for name in school.there if name not in stays]
    if school.key.exists() and school.key.read_bytes() == unpacked.key.read_bytes():
        old.remove("key")
        new.remove("key")
    try:
        _sync_all(unpacked.registry.parent)
        for path in (unpacked.key, unpacked.key.parent):
            sync(path)
        if old:
            make_folder(school.before(when).registry.parent, 0o700)
    except OSError as error:
        raise _interrupted(error) from None
    _write(Journal(when, old, new, purge), school)
    settle_alone(school)


def _write(journal: Journal, school: SchoolFiles) -> None:
    content = json.dumps(asdict(journal)).encode()
    write_whole(journal_path(school), content, private=True)


def settle(school: SchoolFiles) -> None:
    """Complete or undo what a pulled plug interrupted, before anybody opens the school.

    Raises GalleryError and StorageError.
    """
    clear_temporary(*school.pieces.values(), journal_path(school))
    if not (journal_path(school).exists() or school.litter):
        return
    try:
        with alone(school.registry):
            settle_alone(school)
    except InUse:
        Lock(school.registry).leave()  # a restore under way is waited for


def settle_alone(school: SchoolFiles) -> None:
    """Return the same by somebody who is alone in the school."""
    journal = Journal.load(journal_path(school), school)
    try:
        if journal is not None:
            _move(school, journal)
            if journal.purge:
                # From here on nothing is moved: what was put in place must not be moved aside.
                _write(replace(journal, old=[], new=[]), school)
                _purge(school.before(journal.when))
            forget(journal_path(school))
    except OSError as error:
        raise _interrupted(error) from None
    # What is left over harms nobody: a gate on a disk that cannot be written goes on.
    with contextlib.suppress(OSError):
        school.clear()


def _move(school: SchoolFiles, journal: Journal) -> None:
    """Each step may have been done before, and is then not done again."""
    pieces, unpacked = school.pieces, school.unpacked().pieces
    before = school.before(journal.when).pieces
    for name in journal.old:
        if not os.path.lexists(before[name]) and os.path.lexists(pieces[name]):
            pieces[name].rename(before[name])
    _sync_folders(before, pieces)
    for name in journal.new:
        if os.path.lexists(unpacked[name]):
            unpacked[name].rename(pieces[name])
    _sync_folders(unpacked, pieces)


def _purge(before: SchoolFiles) -> None:
    """Delete a school that was moved aside; its key first, without which the rest is noise."""
    forget(before.key)
    if before.registry.parent.exists():
        shutil.rmtree(before.registry.parent)
        sync(before.registry.parent.parent)


def _sync_folders(*schools: dict[str, Path]) -> None:
    for folder in {path.parent for pieces in schools for path in pieces.values()}:
        if folder.exists():
            sync(folder)


def _sync_all(folder: Path) -> None:
    """Make everything in a folder survive a power cut."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        sync(path)


def _interrupted(error: OSError) -> StorageError:
    return StorageError(
        f"{error.filename}: cannot be moved ({error.strerror}); put that right, and the next "
        "kaimen command goes on"
    )
