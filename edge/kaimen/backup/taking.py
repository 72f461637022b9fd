"""Taking a backup of a school, of one moment, while its gate runs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kaimen import __version__, audit
from kaimen.backup.archive import MADE, SETTINGS, Writer
from kaimen.errors import GalleryError, StorageError
from kaimen.local_time import now_as_kept
from kaimen.registry.accounts_file import read_accounts
from kaimen.registry.erasures import Backup
from kaimen.registry.lock import Lock
from kaimen.registry.registry import Registry
from kaimen.registry.renewing import copy_database
from kaimen.school.files import BACKED_UP, SchoolFiles
from kaimen.storage import write_whole


@dataclass(frozen=True, slots=True)
class Taken:
    """What is in a backup."""

    pieces: list[str]
    students: int
    bytes: int  # of the file
    same_disk: bool  # whether it lies on the disk that the school lies on
    listed: bool  # whether the registry lists it among those that hold its students


def take(school: SchoolFiles, settings: Path | None, file: Path, passphrase: bytes) -> Taken:
    """Write a school and its settings' file into a sealed file, in one step.

    Raises GalleryError, and StorageError; what was at ``file`` is untouched then.
    """
    if not school.registry.exists():
        raise GalleryError(f"{school.registry}: no gallery there; begin with 'kaimen enroll'")
    in_use = Lock(school.registry)
    try:
        with school.aside() as folder:
            snapshot = SchoolFiles(Path(folder) / school.registry.name, school.key)
            students = _freeze(school, snapshot)
            found = {**school.pieces, **{name: snapshot.pieces[name] for name in snapshot.there}}
            pieces = {name: found[name] for name in BACKED_UP if name in school.there}
            kept = None if settings is None else settings.read_bytes()
            listed = write_pieces(file, passphrase, pieces, kept, students)
            made = file.stat()
            same_disk = made.st_dev == school.registry.stat().st_dev
            known = _list(school, listed)
            return Taken([*pieces], students, made.st_size, same_disk, known)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{error.filename}: {error.strerror}; nothing is backed up") from None
    finally:
        in_use.leave()


def write_pieces(
    file: Path, passphrase: bytes, pieces: Mapping[str, Path], settings: bytes | None, students: int
) -> Backup:
    """Write the pieces of a school into a sealed file, in one step; how it is to be listed.

    Raises StorageError, and OSError for a piece that cannot be read.
    """
    now = now_as_kept()
    backup = Backup(secrets.token_hex(8), now, str(file.absolute()))
    made = {"version": __version__, "at": now, "students": students, "identity": backup.identity}

    def write(out: IO[bytes]) -> None:
        writer = Writer(out, passphrase)
        writer.add(MADE, json.dumps(made).encode())
        if settings is not None:
            writer.add(SETTINGS, settings)
        for name, path in pieces.items():
            writer.add_path(name, path)
        writer.finish()

    write_whole(file, write, private=True)
    return backup


def _list(school: SchoolFiles, backup: Backup) -> bool:
    """List a backup in the registry; whether that could be written."""
    with closing(Registry(school.registry, school.vault)) as registry:
        try:
            registry.erasures.add_backup(backup)
        except StorageError:
            return False
    return True


def _freeze(school: SchoolFiles, snapshot: SchoolFiles) -> int:
    """Copy what others write, as of one moment; return how many students there are."""
    with closing(Registry(school.registry, school.vault)) as registry:
        students = len(registry)
    for name in ("registry", "heard"):
        if name in school.there:
            copy_database(school.pieces[name], snapshot.pieces[name])
    for log, key in (("audit", school.log_key), ("acts", school.acts_key)):
        if log in school.there:
            audit.copy(school.pieces[log], key, snapshot.pieces[log])
    read_accounts(school.pieces["accounts"], school.vault)  # what nobody can open is said now
    return students
