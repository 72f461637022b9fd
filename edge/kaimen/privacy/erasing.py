"""Erasing a student for good: written down first, then done step by step, and at last certified.

Each step may be done twice. Whoever comes next, the gate that starts or the next command, goes on
where a power cut or a full disk ended it.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from contextlib import closing, suppress
from pathlib import Path

from kaimen import __version__
from kaimen.access.pin_lockout import PinLockout
from kaimen.audit.chain import Head, named
from kaimen.backup.school import SchoolFiles
from kaimen.errors import GalleryError
from kaimen.gallery.gallery import indexes_of
from kaimen.installation import Installation
from kaimen.names import as_kept
from kaimen.privacy.certificate import Certificate, Statement, commitment, opening_of
from kaimen.registry.erasures import Erasure
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.storage import forget, make_folder, unwritten

WHAT = ("recordings", "words", "said", "fingerprints", "other_models", "consents", "pins")


def erase(installation: Installation, student: str) -> Certificate:
    """Erase a student and return the certificate.

    Raises GalleryError where nothing is known of them, or where damaged files that cannot be
    searched may know them, and StorageError. Where it was begun, it goes on by itself later.
    """
    registry = installation.registry
    registry.require(student)
    for file in installation.school.damaged:
        raise GalleryError(
            f"{file}: a damaged file that was set aside may know {student}, and cannot be "
            "searched; delete it, then try again"
        )
    erasure = _described(installation, as_kept(student))
    registry.erasures.begin(erasure)
    return carry_out(installation, erasure)


def go_on(installation: Installation) -> list[Certificate]:
    """Finish the erasures that were interrupted. Raises GalleryError and StorageError."""
    if not installation.has_registry:
        return []
    waiting = installation.registry.erasures.under_way()
    return [carry_out(installation, each) for each in waiting]


def carry_out(installation: Installation, erasure: Erasure) -> Certificate:
    """Do all that is left of an erasure, and certify it. Raises GalleryError and StorageError."""
    registry, school, student = installation.registry, installation.school, erasure.student
    if student in registry.names():
        _erase_from(school, registry, student)
    _forget_heard(school, registry, student)
    PinLockout(installation.pin_lockout_path, registry.vault).forget(student)
    for folder in school.kept:
        _erase_from_kept(school, folder, student)
    registry.database.compact()
    certificate = _signed(installation, erasure)
    with registry.database.writing():
        registry.erasures.end(erasure.identity)
        registry.events.note("erased", student, certificate=certificate.digest)
    registry.database.compact()
    installation.tell_log()
    return certificate


def forget_voice(installation: Installation, student: str) -> None:
    """Erase a student's voice; card, PIN and consents stay. Raises GalleryError and StorageError.

    Where it was interrupted, it can be begun again.
    """
    registry, school = installation.registry, installation.school
    try:
        for index in indexes_of(school.registry):
            forget(index)
    except OSError as error:
        raise unwritten(index, error, f"{student}, who is known as before,") from None
    registry.remove_voice(student)
    _forget_heard(school, registry, student)
    registry.database.compact()


def certificates_in(folder: Path) -> list[Certificate]:
    """Return the certificates that are kept in a folder. Raises CertificateError."""
    return [Certificate.read(path) for path in sorted(folder.glob("*.json"))]


def certificate_of(installation: Installation, student: str) -> Certificate | None:
    """Return the latest certificate of a student who was erased under today's key, opened."""
    vault = installation.vault
    found = [
        each.opened(vault)
        for each in certificates_in(installation.certificates_folder)
        if each.is_of(student, opening_of(vault, each.statement.identity))
    ]
    return max(found, key=lambda each: each.statement.finished, default=None)


def _described(installation: Installation, student: str) -> Erasure:
    """Return what is about to be erased."""
    database, counts = installation.registry.database, dict.fromkeys(WHAT, 0)
    digests, enrolled = [], ""
    whose = "(SELECT number FROM students WHERE name = ?)"
    for (when,) in database.read("SELECT enrolled FROM students WHERE name = ?", student):
        enrolled = str(when)
    sealed: list[tuple[str, object]] = []
    for word, voiceprint, said, heard in database.read(
        f"SELECT word, voiceprint, said, fingerprint FROM recordings WHERE student = {whose}",
        student,
    ):
        sealed += [("words" if word else "recordings", voiceprint)]
        sealed += [("said", said), ("fingerprints", heard)]
    for kind, query in (
        ("other_models", f"points JOIN recordings ON number = recording WHERE student = {whose}"),
        ("consents", f"consents WHERE student = {whose}"),
        ("pins", f"pins WHERE student = {whose}"),
    ):
        sealed += [(kind, row[0]) for row in database.read(f"SELECT sealed FROM {query}", student)]
    for kind, content in sealed:
        if isinstance(content, bytes):
            counts[kind] += 1
            digests.append(hashlib.sha256(content).hexdigest())
    return Erasure(
        identity=secrets.token_hex(8),
        student=student,
        began=_now(),
        erased=counts,
        digests=sorted(digests),
        enrolled=enrolled,
    )


def _erase_from(school: SchoolFiles, registry: Registry, student: str) -> None:
    """Forget a student in one school: the registry last, and the indexes, which are made anew."""
    with registry.database.writing():
        pass  # a disk that cannot be written says so before anything is deleted
    try:
        for index in indexes_of(school.registry):
            forget(index)
    except OSError as error:
        raise unwritten(index, error, f"{student}, who is known as before,") from None
    _forget_heard(school, registry, student)
    registry.remove(student)


def _forget_heard(school: SchoolFiles, registry: Registry, student: str) -> None:
    path = school.pieces["heard"]
    if path.exists():
        with closing(ReplayMemory(path, registry.vault)) as memory:
            memory.forget(student)
            memory.compact()


def _erase_from_kept(school: SchoolFiles, folder: Path, student: str) -> None:
    """Forget a student in a school of before a restore, which is kept beside."""
    when = folder.name.removeprefix(f"{school.registry.stem}.before-")
    before = school.before(when)
    key = before.key if before.key.exists() else school.key
    before = SchoolFiles(before.registry, key)
    if not before.registry.exists():
        return
    try:
        with closing(Registry(before.registry, before.vault)) as registry:
            if student in registry.names():
                _erase_from(before, registry, student)
            _forget_heard(before, registry, student)
            registry.database.compact()
    except GalleryError as error:
        raise GalleryError(
            f"{folder}: the school of before a restore cannot be searched ({error}); delete the "
            "folder, and 'kaimen erase --go-on' finishes"
        ) from None


def _signed(installation: Installation, erasure: Erasure) -> Certificate:
    """Sign what was done, and keep it without an opening. Raises StorageError."""
    vault, registry = installation.vault, installation.registry
    opening = bytes.fromhex(opening_of(vault, erasure.identity))
    backups = [
        {"identity": each.identity, "at": each.at, "place": each.place}
        for each in registry.erasures.backups()
    ]
    statement = Statement(
        identity=erasure.identity,
        subject=commitment(opening, erasure.student),
        began=erasure.began,
        finished=_now(),
        erased=erasure.erased,
        digests=erasure.digests,
        log_end=_log_end(installation),
        registry=str(registry.database.state()),
        backups=backups,
        software=f"kaimen {__version__}",
    )
    certificate = Certificate.sign(statement, vault)
    folder = installation.certificates_folder
    try:
        make_folder(folder, 0o700)
    except OSError as error:
        raise unwritten(folder, error) from None
    certificate.save(folder / f"{erasure.identity}.json")
    return certificate.opened(vault)


def _log_end(installation: Installation) -> str:
    with suppress(OSError, ValueError):
        head = Head.load(installation.log_folder / "head", installation.log_key)
        if head is not None:
            return named(head.last, head.hash)
    return ""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
