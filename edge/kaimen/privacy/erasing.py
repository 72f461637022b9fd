"""Erasing a student for good: written down first, then done step by step, and at last certified.

Each step may be done twice. Whoever comes next, the gate that starts or the next command, goes on
where a power cut or a full disk ended it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from kaimen import __version__
from kaimen.access.pin_lockout import PinLockout
from kaimen.audit.chain import named
from kaimen.audit.head import Head
from kaimen.calibration.school_scores import scores_paths
from kaimen.errors import GalleryError
from kaimen.gallery.forgetting import forget_beside
from kaimen.installation import Installation
from kaimen.local_time import now_as_kept
from kaimen.names import as_kept
from kaimen.privacy.certificate import Certificate, Statement, commitment, opening_of
from kaimen.registry.erasures import Erasure
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.school.files import SchoolFiles
from kaimen.storage import forget, make_folder, unwritten

# What an erasure counts: recordings of the passphrase and of words, what was made of them, what was
# taken in at the gate, what opened the door lately, phrases kept for a review, consents and a PIN.
WHAT = (
    *("recordings", "word_recordings", "phrase_embeddings", "fingerprints"),
    *("points_of_other_models", "grown_voiceprints", "replay_memory", "kept_phrases"),
    *("consents", "pins"),
)


def erase(installation: Installation, students: Sequence[str]) -> dict[str, Certificate]:
    """Erase students, all of them or nobody; the certificates by name.

    Raises GalleryError where nothing is known of one, or where damaged files that cannot be
    searched may know them, and StorageError. Where it was begun, it goes on by itself later.
    """
    registry = installation.registry
    names = list(dict.fromkeys(map(as_kept, students)))
    for name in names:
        registry.require(name)
    for file in installation.school.damaged:
        raise GalleryError(
            f"{file}: a damaged file that was set aside may know who is to be erased, and cannot "
            "be searched; delete it, then try again"
        )
    with registry.database.writing():
        begun = [_described(installation, name) for name in names]
        for each in begun:
            registry.erasures.begin(each)
    return dict(zip(names, carry_out(installation, begun), strict=True))


def what_goes(installation: Installation, student: str) -> dict[str, int]:
    """Return how many of what an erasure of a student would forget now. Raises GalleryError."""
    installation.registry.require(student)
    return _described(installation, as_kept(student)).erased


def go_on(installation: Installation) -> list[Certificate]:
    """Finish the erasures that were interrupted. Raises GalleryError and StorageError."""
    if not installation.has_registry:
        return []
    waiting = installation.registry.erasures.under_way()
    return carry_out(installation, waiting) if waiting else []


def carry_out(installation: Installation, erasures: Sequence[Erasure]) -> list[Certificate]:
    """Do all that is left of erasures, and certify them. Raises GalleryError and StorageError."""
    registry, school = installation.registry, installation.school
    students = [each.student for each in erasures]
    _erase_from(school, registry, students)
    pins = PinLockout(installation.pin_lockout_path, registry.vault)
    for student in students:
        pins.forget(student)
    for folder in school.kept:
        _erase_from_kept(school, folder, students)
    certificates = [_signed(installation, each) for each in erasures]
    with registry.database.writing():
        for erasure, certificate in zip(erasures, certificates, strict=True):
            registry.erasures.end(erasure.identity)
            registry.events.note("erased", erasure.student, certificate=certificate.digest)
    registry.database.truncate_log()
    installation.tell_log()
    return certificates


def forget_voice(installation: Installation, student: str) -> None:
    """Erase a student's voice; card, PIN and consents stay. Raises GalleryError and StorageError.

    Where it was interrupted, it can be begun again.
    """
    registry, school = installation.registry, installation.school
    _forget_beside(school, registry, [student])
    registry.remove_voice(student)
    _compact_heard(school, registry, [student])
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
    digests = []
    whose = "(SELECT number FROM students WHERE name = ?)"
    sealed: list[tuple[str, object]] = []
    for word, voiceprint, said, heard in database.read(
        f"SELECT word, voiceprint, said, fingerprint FROM recordings WHERE student = {whose}",
        student,
    ):
        sealed += [
            ("word_recordings" if word else "recordings", voiceprint),
            ("phrase_embeddings", said),
            ("fingerprints", heard),
        ]
    for kind, what in (
        ("points_of_other_models", "sealed FROM points JOIN recordings ON number = recording"),
        ("grown_voiceprints", "voiceprint FROM grown"),
        ("consents", "sealed FROM consents"),
        ("pins", "sealed FROM pins"),
    ):
        rows = database.read(f"SELECT {what} WHERE student = {whose}", student)
        sealed += [(kind, row[0]) for row in rows]
    path = installation.school.pieces["heard"]
    if path.exists():
        with closing(ReplayMemory(path, installation.vault)) as memory:
            sealed += [("replay_memory", each) for each in memory.sealed_of(student)]
    sealed += [("kept_phrases", each) for each in installation.kept_phrases.sealed_of(student)]
    for kind, content in sealed:
        if isinstance(content, bytes):
            counts[kind] += 1
            digests.append(hashlib.sha256(content).hexdigest())
    return Erasure(
        identity=secrets.token_hex(8),
        student=student,
        began=now_as_kept(),
        erased=counts,
        digests=sorted(digests),
    )


def _erase_from(school: SchoolFiles, registry: Registry, students: Sequence[str]) -> None:
    """Forget students in one school, and leave nothing of them in its files."""
    _forget_beside(school, registry, students)
    there = registry.names()
    for student in students:
        if student in there:
            registry.remove(student)
    _compact_heard(school, registry, students)
    registry.database.compact()


def _forget_beside(school: SchoolFiles, registry: Registry, students: Sequence[str]) -> None:
    """Forget students in all that lies beside a registry, before they go from it."""
    forget_beside(registry, students)
    for scores in scores_paths(school.registry):  # the next calibration makes them anew
        try:
            forget(scores)
        except OSError as error:
            raise unwritten(scores, error, "the registry") from None


def _compact_heard(school: SchoolFiles, registry: Registry, students: Sequence[str]) -> None:
    """Forget them once more: until the registry knew, a gate may have written of them."""
    path = school.pieces["heard"]
    if path.exists():
        with closing(ReplayMemory(path, registry.vault)) as memory:
            for student in students:
                memory.forget(student)
            memory.compact()


def _erase_from_kept(school: SchoolFiles, folder: Path, students: Sequence[str]) -> None:
    """Forget students in a school of before a restore, which is kept beside."""
    when = folder.name.removeprefix(f"{school.registry.stem}.before-")
    before = school.before(when)
    key = before.key if before.key.exists() else school.key
    before = SchoolFiles(before.registry, key)
    if not before.registry.exists():
        return
    try:
        with closing(Registry(before.registry, before.vault)) as registry:
            _erase_from(before, registry, students)
    except GalleryError as error:
        raise GalleryError(
            f"{folder}: the school of before a restore cannot be searched ({error}); delete the "
            "folder, and 'kaimen erase --go-on' finishes"
        ) from None


def _signed(installation: Installation, erasure: Erasure) -> Certificate:
    """Sign what was done, and keep it without an opening. Raises StorageError."""
    vault, registry = installation.vault, installation.registry
    opening = bytes.fromhex(opening_of(vault, erasure.identity))
    statement = Statement(
        identity=erasure.identity,
        subject=commitment(opening, erasure.student),
        began=erasure.began,
        finished=now_as_kept(),
        erased=erasure.erased,
        digests=erasure.digests,
        log_end=_log_end(installation),
        registry=str(registry.database.state()),
        backups=[asdict(each) for each in registry.erasures.backups()],
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
