"""A new key for a school, and other voiceprints out of the old ones: whole, or not at all.

The new school is written beside the old one and checked, then takes its place in the one step of a
restore, which goes on by itself after a power cut. The old key and all that it opens are deleted.
"""

from __future__ import annotations

import contextlib
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kaimen.calibration.calibration import Calibration
from kaimen.errors import GalleryError, StorageError
from kaimen.progress import Track
from kaimen.registry.accounts_file import read_accounts, write_accounts
from kaimen.registry.copying import marks
from kaimen.registry.fleet_marks import replace_marks
from kaimen.registry.kept_phrases import KeptPhrases
from kaimen.registry.lock import alone
from kaimen.registry.registry import Registry
from kaimen.registry.renewing import copy_database, renew_registry, renew_replay_memory, unlinked
from kaimen.registry.vault import Vault
from kaimen.school.files import FLEET, PHRASES, SchoolFiles
from kaimen.school.placing import place, settle_alone
from kaimen.storage import make_folder, unwritten

STAYING = ("audit", "acts")  # their keys are carried over


@dataclass(frozen=True, slots=True)
class Renewed:
    """What was renewed."""

    students: int
    key: str  # identity of the new one


def renew(school: SchoolFiles, track: Track | None = None) -> Renewed:
    """Give a school that nobody uses just now a new key.

    Raises InUse, GalleryError and StorageError; the old school is in place then, or the next
    command puts the new one there.
    """
    with alone(school.registry):
        settle_alone(school)
        if not school.registry.exists():
            raise GalleryError(f"{school.registry}: no gallery there; begin with 'kaimen enroll'")
        with closing(Registry(school.registry, school.vault)) as registry:
            if registry.erasures.under_way():
                raise GalleryError(
                    "somebody is being erased; finish it with 'kaimen erase --go-on', then try "
                    "again"
                )
            new, students = unlinked(registry), len(registry)
        aside = school.unpacked()
        try:
            make_folder(aside.registry.parent, 0o700)
            _write(school, aside, new, track)
            place(school, school.now(), stays=STAYING, purge=True)
        except StorageError:
            raise
        except OSError as error:
            raise unwritten(error.filename or aside.registry, error) from None
        finally:
            settle_alone(school)
    return Renewed(students, new.identity)


def _write(school: SchoolFiles, aside: SchoolFiles, new: Vault, track: Track | None) -> None:
    """Write the school of a new key beside the old one, but for the pieces that stay."""
    old, pieces, there = school.vault, school.pieces, school.there
    new.save(aside.key)
    renew_registry(school.registry, aside.registry, old, new, track)
    if "heard" in there:
        with closing(Registry(school.registry, old)) as registry:
            renew_replay_memory(pieces["heard"], aside.pieces["heard"], registry, new)
    _renew_calibration(pieces["calibration"], aside.pieces["calibration"], old, new)
    accounts = read_accounts(pieces["accounts"], old)
    if accounts is not None:
        write_accounts(aside.pieces["accounts"], new, accounts)
    KeptPhrases(pieces[PHRASES], old).seal_anew(KeptPhrases(aside.pieces[PHRASES], new))
    if "bundles" in there:
        _renew_bundles(pieces["bundles"], aside.pieces["bundles"], old, new)
    if FLEET in there:
        copy_database(pieces[FLEET], aside.pieces[FLEET])
        before = _marks(school.registry, old)
        replace_marks(aside.pieces[FLEET], before, _marks(aside.registry, new))
    with closing(Registry(aside.registry, new)) as registry:
        registry.events.note("renewed", key=new.identity)
        registry.recordings.examine(track)


def _marks(path: Path, vault: Vault) -> dict[str, str]:
    with closing(Registry(path, vault)) as registry:
        return marks(registry.database)


def _renew_calibration(path: Path, to: Path, old: Vault, new: Vault) -> None:
    """Seal a calibration anew; one that cannot be read armed no door, and is left out."""
    with contextlib.suppress(GalleryError):
        Calibration.load(path, old).save(to, new)


def _renew_bundles(folder: Path, to: Path, old: Vault, new: Vault) -> None:
    """Copy what is installed, less what is made anew, with the calibrations under the new key."""
    ours = shutil.ignore_patterns("*.calibration.json", ".*.index", ".*.scores")
    shutil.copytree(folder, to, symlinks=True, ignore=ours)
    for path in folder.glob("*.calibration.json"):
        _renew_calibration(path, to / path.name, old, new)
