"""The gallery: registry, index, and the calibration that arms the door."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen import audit
from kaimen.calibration.calibration import Calibration
from kaimen.calibration.thresholds import RULE_OF_THREE
from kaimen.clock import today
from kaimen.doctor.counted import CountedStudents
from kaimen.doctor.days import growing, one_moment
from kaimen.doctor.finding import (
    Finding,
    Patient,
    attention,
    broken,
    halves,
    of_error,
    ok,
    require_readable,
)
from kaimen.errors import GalleryError
from kaimen.gallery.band import GalleryBand
from kaimen.gallery.index import Index, index_path
from kaimen.gallery.one_moment import MEASURED
from kaimen.installation import Installation
from kaimen.registry.database import PATIENCE
from kaimen.registry.migrations import MIGRATIONS
from kaimen.registry.opening import open_file
from kaimen.registry.registry import Registry
from kaimen.registry.sqlite_errors import Failure, as_error, kind_of
from kaimen.registry.student_rows import Roll
from kaimen.registry.vault import Vault
from kaimen.settings.roster import Rule
from kaimen.voice import PHRASE, model_path
from kaimen.voice.encoder import Card
from kaimen.voice.phrase import PhraseCard

RISKY = 0.05  # share of strangers let in, from which somebody should know it
NAMED = 5  # students that a line names
BEGIN = "begin with 'kaimen enroll'"


def check(patient: Patient) -> Iterator[Finding]:
    """Tell whether it is whole, who is enrolled, and whether index and calibration fit it.

    Raises GalleryError and PermissionError.
    """
    installation, settings = patient.installation, patient.settings
    path = settings.gallery.file
    if not path.exists():
        yield broken("gallery", f"{path}: no gallery there", BEGIN)
        return
    require_readable(path)
    require_readable(settings.gallery.key_file)
    wrong = _damage(path)
    if wrong is not None:
        yield wrong
        return
    vault = Vault.load(settings.gallery.key_file)
    encoder = Card.read(installation.encoder_path.with_suffix(".json")).sha256
    with closing(Registry(path, vault)) as registry:
        roll, numbers, owners = registry.recognised(encoder)
        counted = CountedStudents.of(encoder, roll, owners)
        yield _students(registry, counted, installation)
        if settings.roster:
            yield _roster(registry, settings.roster)
        noted: list[str] = []
        with contextlib.suppress(PermissionError):  # the log has a line of its own
            noted = audit.noted(installation.log_folder, vault.log_key, "registry")
        yield _seals(roll, registry.database.state().went_back(noted))
        if settings.checks.phrase:
            yield _words(registry, installation)
        yield from growing(registry, installation, encoder)
        beside_it = index_path(path, registry.recordings.space(encoder))
        band = GalleryBand.of(registry.recordings.highest_speech(encoder))
    if band.warning:
        found, mend = halves(band.warning)
        yield attention("recordings", found, mend, band=band.band, others=float(band.others))
    index, finding = _index(beside_it, vault, encoder, numbers)
    if index is not None and installation.model == MEASURED:
        yield from one_moment(index, owners)
    yield finding
    yield _calibration(installation.arming.path, vault, counted, settings.roster)


def _damage(path: Path) -> Finding | None:
    """Return what is wrong with the file, by SQLite's own check, which changes nothing."""
    restore = "restore the folder from its copy, or enroll again into a new gallery"
    try:
        with closing(open_file(path, (), PATIENCE).connection) as database:
            said = [str(line) for (line,) in database.execute("PRAGMA quick_check(1)")]
            (schema,) = database.execute("PRAGMA user_version").fetchone()
    except (OSError, sqlite3.Error) as error:
        if kind_of(error, path) is not Failure.DAMAGED:
            return of_error("gallery", as_error(error, path))
        return broken("gallery", f"{path}: damaged ({error})", restore)
    if said != ["ok"]:
        return broken("gallery", f"{path}: damaged ({said[0]})", restore)
    if schema < len(MIGRATIONS):  # opening it here would change it
        return attention(
            "gallery",
            f"{path}: of an earlier Kaimen",
            "start the gate, which brings it up to date, and look again",
        )
    return None


def _students(registry: Registry, counted: CountedStudents, installation: Installation) -> Finding:
    everybody = [student for student in registry.students() if student.encoder]
    day = today()
    ended = sum(not student.consents(day) for student in everybody)
    said = f"{len(counted)} students"
    numbers = {"students": float(len(counted)), "consents_ended": float(ended)}
    if not len(counted):
        nobody = f"nobody is enrolled; {BEGIN}"
        why, mend = halves(installation.made_by_another() if everybody else nobody)
        return broken("gallery", f"{registry.path}: {why}", mend, **numbers)
    if len(counted) < len(everybody):
        return attention(
            "gallery",
            f"{said}, and {len(everybody) - len(counted)} of another encoder: not recognised",
            "enroll those again",
            **numbers,
        )
    namesakes = registry.namesakes()
    if namesakes:
        name, other = next(iter(namesakes.items()))
        more = f" (and {len(namesakes) - 1} more)" if len(namesakes) > 1 else ""
        return attention(
            "gallery",
            f"{said}; {name} was enrolled as {other} in other characters{more}",
            "find out who is who, and remove one with 'kaimen students --remove'",
            **numbers,
        )
    if ended:
        return attention(
            "gallery",
            f"{said}, {ended} of them without consent any more: not recognised",
            "'kaimen students --set-consent DATE' renews it, 'kaimen erase --ended' ends it",
            **numbers,
        )
    return ok("gallery", said, **numbers)


def _roster(registry: Registry, roster: Sequence[Rule]) -> Finding:
    """Tell whether the groups of the roster and of the school are the same ones."""
    groups = Counter(student.group for student in registry.students())
    ruled = {group for rule in roster for group in rule.groups}
    nobody = sorted(ruled - groups.keys())
    outside = sum(count for group, count in groups.items() if group not in ruled)
    measured = {"groups_of_nobody": float(len(nobody)), "students_outside": float(outside)}
    said = []
    if nobody:
        said.append(f"nobody is in {', '.join(repr(group) for group in nobody)}")
    if outside:
        said.append(f"{outside} students are in no group that may enter")
    if not said:
        return ok("roster", f"{len(ruled)} groups, each with students", **measured)
    spelled = {group.casefold().strip(): group for group in groups if group not in ruled}
    meant = [(group, spelled.get(group.casefold().strip())) for group in nobody]
    like = [f"{group!r} may be meant for {other!r}" for group, other in meant if other]
    mend = "; ".join([*like, "compare [[roster]] groups with 'kaimen students'"])
    return attention("roster", "; ".join(said), mend, **measured)


def _seals(roll: Roll, went_back: str) -> Finding:
    """Tell whether names, groups and consents are as Kaimen wrote them, and the latest."""
    look = "find out who did it; then restore the newest backup with 'kaimen restore'"
    if roll.changed:
        named = ", ".join(roll.changed[:NAMED])
        more = f" and {len(roll.changed) - NAMED} more" if len(roll.changed) > NAMED else ""
        return broken(
            "seals",
            f"something else than Kaimen changed names, groups or consents: {named}{more} stay "
            "outside",
            f"{look}, or remove and enroll these again",
            changed=float(len(roll.changed)),
        )
    if not roll.complete:
        return broken(
            "seals",
            "something else than Kaimen put students into the registry, or they were taken out",
            look,
            changed=0.0,
        )
    if went_back:
        return broken(
            "seals",
            went_back,
            f"if you did not do it yourself, {look}; students removed since may be back",
            changed=0.0,
        )
    return ok("seals", "names, groups and consents are as Kaimen wrote them", changed=0.0)


def _words(registry: Registry, installation: Installation) -> Finding:
    phrase = PhraseCard.read(model_path(installation.encoder_path, PHRASE).with_suffix(".json"))
    without = len(registry.recordings.without_words(phrase.sha256))
    if without:
        return attention(
            "words",
            f"{without} students were enrolled without theirs: any words will do for them",
            "enroll them again, from the same files",
            without=float(without),
        )
    return ok("words", "everybody's are known", without=0.0)


def _index(
    path: Path, vault: Vault, encoder: str, numbers: NDArray[np.int64]
) -> tuple[Index | None, Finding]:
    """Return the index where it is that of the registry, and what is to be said of it."""
    again = "nothing need be done: a gate that starts makes it anew, in its own time"
    try:
        index = Index.load(path, vault, encoder)
    except GalleryError as error:
        return None, attention("index", str(error), again)
    if not np.array_equal(index.numbers, numbers):
        return None, attention(
            "index", f"{len(index)} recordings, and the registry has {len(numbers)}", again
        )
    return index, ok("index", f"{len(index)} recordings, those of the registry")


def _calibration(
    path: Path, vault: Vault, counted: CountedStudents, roster: Sequence[Rule]
) -> Finding:
    try:
        kept = Calibration.load(path, vault)
        kept.require(counted)
    except GalleryError as error:
        return of_error("calibration", error)
    used, misfit = kept.at_door(roster, counted), kept.roster_misfit(roster, counted)
    whose = ""
    if used.at_once:
        whose = f" for {used.at_once} of {used.students} students, who may enter at once"
    said = f"threshold {used.threshold:.3f}{whose}; {kept.evidence}"
    measured = {
        "threshold": used.threshold,
        "fpir": kept.fpir,
        "shown": kept.shown,
        "at_once": float(used.at_once or used.students),
    }
    if kept.fpir > RISKY:
        mend = "enroll more students or recordings, then 'kaimen calibrate --fpir 0.01'"
    elif kept.shown > RISKY:
        enough = math.ceil(RULE_OF_THREE / RISKY)
        mend = f"enroll more: {enough} recordings of several students show {RISKY:.0%}"
    elif misfit:
        said, mend = f"{said}; {misfit}", "kaimen calibrate"
    else:
        return ok("calibration", said, **measured)
    return attention("calibration", said, mend, **measured)
