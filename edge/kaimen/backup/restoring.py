"""Putting a backup in place: all of it is checked first, and who was removed stays so."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kaimen.audit import Audit, verify
from kaimen.backup.archive import MADE, SETTINGS, reading
from kaimen.calibration.calibration import Calibration, UnkeyedCalibration
from kaimen.errors import GalleryError, StorageError
from kaimen.parsing import read_json
from kaimen.progress import Track
from kaimen.registry.accounts_file import read_accounts
from kaimen.registry.erased import erasures
from kaimen.registry.lock import Lock, alone
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.registry.vault import Vault
from kaimen.school.files import FLEET, PHRASES, SchoolFiles
from kaimen.school.placing import place, settle_alone
from kaimen.storage import make_folder, write_whole

STAYING = (PHRASES, FLEET, f"{FLEET}-wal", f"{FLEET}-shm")  # no restore moves them
SPARE = 64 << 20  # bytes that a disk must have besides


@dataclass(frozen=True, slots=True)
class BackupContent:
    """What is known of a backup that was read through, and is whole."""

    file: Path
    passphrase: bytes
    at: str  # when it was made, UTC
    settings: bytes | None
    size: int  # bytes, unpacked
    identity: str = ""  # under which it is listed; empty for one of an earlier release


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place, or would be."""

    students: int
    removed: int  # who were in the backup, and are on a list of removed students
    unknown: str  # why the list of the school before could not be read, or empty
    revoked: bool = False  # whether its key was renewed since: what was stolen then fits again
    kept: Path | None = None  # where the school before is
    settings: Path | None = None  # where the backup's lie, if they are not this machine's


def read_through(file: Path, passphrase: bytes) -> BackupContent:
    """Read all of a backup, and write nothing. Raises GalleryError and StorageError."""
    settings, made, size = None, {}, 0
    with reading(file, passphrase) as files:
        for name, length, content in files:
            size += length
            if name == SETTINGS:
                settings = content.read()
            elif name == MADE:
                made = read_json(content.read())
    at, identity = str(made.get("at", "")), str(made.get("identity", ""))
    return BackupContent(file, passphrase, at, settings, size, identity)


def check(
    backup: BackupContent,
    school: SchoolFiles,
    *,
    erased: Collection[str] = (),
    track: Track | None = None,
) -> Restored:
    """Return what ``restore`` would bring; nothing changes, and a gate may run meanwhile.

    Raises GalleryError and StorageError.
    """
    with unpacked(backup, school, erased=erased, track=track) as (_, restored):
        return restored


@contextlib.contextmanager
def unpacked(
    backup: BackupContent,
    school: SchoolFiles,
    *,
    erased: Collection[str] = (),
    track: Track | None = None,
) -> Iterator[tuple[SchoolFiles, Restored]]:
    """A backup unpacked beside a school, checked, without whoever was removed; gone afterwards.

    Raises GalleryError and StorageError.
    """
    in_use = Lock(school.registry) if school.registry.exists() else None
    try:
        with school.aside() as folder:
            aside = SchoolFiles(Path(folder) / school.registry.name, Path(folder) / school.key.name)
            yield aside, _prepare(backup, school, aside, erased, track)
    finally:
        if in_use is not None:
            in_use.leave()


def restore(
    backup: BackupContent,
    school: SchoolFiles,
    *,
    config: Path | None = None,
    over: bool = False,
    erased: Collection[str] = (),
    track: Track | None = None,
) -> Restored:
    """Unpack a backup, check it, and put it in a school's place.

    Who is on the list of the school that is there, or among ``erased`` (hashes under the backup's
    key), is not brought back. The backup's settings become the file ``config``, or, where there is
    one already, lie beside it. Raises GalleryError and StorageError; the school is then as it was.
    """
    with alone(school.registry):
        settle_alone(school)
        there = [name for name in school.there if name not in STAYING]
        if not over and there:
            raise GalleryError(
                f"{school.pieces[there[0]]}: a school is there already; with --over it is "
                "kept beside and replaced"
            )
        aside = school.unpacked()
        try:
            restored = _prepare(backup, school, aside, erased, track)
            with Audit(aside.pieces["audit"], aside.log_key) as log:
                log.write({"kind": "restored", "backup": backup.at, "removed": restored.removed})
            settings = _put_settings(config, backup.settings)
            when = school.now()
            kept = school.before(when).registry.parent if there else None
            place(school, when, stays=_staying(school, aside))
        finally:
            settle_alone(school)
    return replace(restored, kept=kept, settings=settings)


def _staying(school: SchoolFiles, unpacked: SchoolFiles) -> list[str]:
    """Return what a restore leaves where it is.

    Phrases are kept for some days, and nobody erases them in a school that was moved aside. What
    is known of a fleet tells that the registry is another one. A backup of an earlier release has
    no accounts: who may sign in by this key may do so still.
    """
    stays = [*STAYING]
    if school.key.exists() and school.key.read_bytes() == unpacked.key.read_bytes():
        stays += [name for name in ("accounts", "acts") if name not in unpacked.there]
    return stays


def _prepare(
    backup: BackupContent,
    school: SchoolFiles,
    unpacked: SchoolFiles,
    erased: Collection[str],
    track: Track | None,
) -> Restored:
    """Unpack and check a backup, and leave out who was removed."""
    _unpack(backup, unpacked)
    if "registry" not in unpacked.there:
        raise GalleryError(f"{backup.file}: holds no registry; take another backup")
    with contextlib.closing(Registry(unpacked.registry, unpacked.vault)) as registry:
        _check(unpacked, registry, track)
        removed, unknown = _keep_removed(school, unpacked, registry, erased)
        return Restored(len(registry), removed, unknown, _is_revoked(school, registry.vault))


def _unpack(backup: BackupContent, unpacked: SchoolFiles) -> None:
    """Put the pieces of a backup where nothing is yet. Raises GalleryError and StorageError."""
    folder = unpacked.registry.parent
    try:
        make_folder(folder, 0o700)
        make_folder(unpacked.key.parent)
        if shutil.disk_usage(folder).free < backup.size + SPARE:
            raise StorageError(
                f"{folder}: {(backup.size + SPARE) >> 20} MB are needed to unpack; make room"
            )
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{error.filename}: cannot be made ({error.strerror})") from None
    with reading(backup.file, backup.passphrase) as files:
        for name, _, content in files:
            if name in (MADE, SETTINGS):
                continue
            first, *rest = name.split("/")
            path = unpacked.pieces[first].joinpath(*rest)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)


def _put_settings(config: Path | None, settings: bytes | None) -> Path | None:
    """Return where the backup's settings lie, if not in the file ``config``. Raises StorageError.

    They are there before the school is: settings without a school harm nobody.
    """
    if config is None or settings is None:
        return None
    path = config
    if config.exists():
        if config.read_bytes() == settings:
            return None
        path = config.with_name(f"{config.name}.restored")
    write_whole(path, settings)
    return None if path == config else path


def _check(school: SchoolFiles, registry: Registry, track: Track | None) -> None:
    """Require that everything in it opens under its key and fits. Raises GalleryError."""
    registry.recordings.examine(track)
    registry.grown.examine()
    there = school.there
    if "calibration" in there:
        with contextlib.suppress(UnkeyedCalibration):  # arms no door, and says so there
            Calibration.load(school.pieces["calibration"], registry.vault)
    if "heard" in there:
        ReplayMemory.examine(school.pieces["heard"], registry.vault)
    for log, key in (("audit", school.log_key), ("acts", school.acts_key)):
        problems = verify(school.pieces[log], key).problems if log in there else []
        if problems:
            raise GalleryError(f"the log '{log}': {problems[0].place}: {problems[0].what}")
    read_accounts(school.pieces["accounts"], registry.vault)


def _same_list(one: Vault, other: Vault) -> bool:
    """Return whether two keys call whoever was removed the same: also after a renewal."""
    return one.derive("erased") == other.derive("erased")


def _is_revoked(school: SchoolFiles, vault: Vault) -> bool:
    """Return whether the school that is there has renewed this key."""
    if not school.key.exists():
        return False
    with contextlib.suppress(GalleryError):
        present = school.vault
        return present.identity != vault.identity and _same_list(present, vault)
    return False


def _keep_removed(
    school: SchoolFiles, unpacked: SchoolFiles, registry: Registry, erased: Collection[str]
) -> tuple[int, str]:
    """Remove whoever was removed since; how many, and why it may be that not all are known."""
    names, hashes, unknown = registry.names(), {*registry.erased(), *erased}, ""
    gone = {name for name in names if hashes.intersection(erasures(registry.vault, name))}
    if {"registry", "key"} <= {*school.there}:
        try:
            with contextlib.closing(Registry(school.registry, school.vault)) as present:
                listed = present.erased()
            gone |= {name for name in names if listed.intersection(erasures(present.vault, name))}
            hashes |= listed if _same_list(present.vault, registry.vault) else set()
        except (GalleryError, StorageError) as error:
            unknown = str(error)
    with contextlib.closing(ReplayMemory(unpacked.pieces["heard"], registry.vault)) as memory:
        for name in gone:
            memory.forget(name)
            registry.remove(name)
    registry.list_erased(hashes)
    return len(gone), unknown
