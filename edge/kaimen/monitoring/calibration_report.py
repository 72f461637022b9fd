"""What is known of a school's calibration, in figures: the same for a page and for a program."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kaimen.audit import pseudonyms
from kaimen.audit.passages import Passage, passages_of
from kaimen.calibration.calibration import Calibration
from kaimen.calibration.fairness import FairnessCard, GroupShares, Worst, fairness
from kaimen.calibration.school_scores import SchoolScores, WhatIf
from kaimen.enrollment.table import decoded
from kaimen.errors import SettingsError
from kaimen.installation import Installation
from kaimen.monitoring.drift import DriftAlarm, DriftRow, alarm, rows
from kaimen.names import as_kept

REGISTERED = "group"  # what the registry's own groups are called
YEAR = datetime.timedelta(days=365)  # of the log that drift is shown of

Groups = Mapping[str, Mapping[str, str]]  # by what they differ in, each student's group by name


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """A calibration, what it was learned from, and what the door has seen since."""

    calibration: Calibration
    scores: SchoolScores
    now: WhatIf  # at the threshold in use
    cards: Mapping[str, FairnessCard]  # by what groups differ in
    weeks: Sequence[DriftRow]
    groups: Sequence[DriftRow]
    microphones: Sequence[DriftRow]
    drift: DriftAlarm

    @property
    def fields(self) -> dict[str, Any]:
        """Return it as a program reads it."""
        learned = asdict(self.calibration)
        learned.pop("phrase_common")  # a point, and no figure
        return {
            "calibration": {**learned, "evidence": self.calibration.evidence},
            "curve": self.scores.curve(),
            "now": what_if_fields(self.now),
            "fairness": {name: card_fields(card) for name, card in self.cards.items()},
            "weeks": [each.fields for each in self.weeks],
            "groups": [each.fields for each in self.groups],
            "microphones": [each.fields for each in self.microphones],
            "drift": {
                "above": self.drift.above.fields,
                "promise": self.drift.promise,
                "trips": self.drift.trips,
                "sentence": self.drift.sentence,
            },
        }


def report_of(
    installation: Installation,
    *,
    groups: Groups | None = None,
    now: datetime.datetime | None = None,
    passages: Sequence[Passage] | None = None,
) -> CalibrationReport:
    """Return the report of a gate's calibration; nothing is changed.

    ``groups`` are compared beside the registry's. ``passages`` are those of ``passages_of``, where
    they are read already: a year's take seconds. Raises GalleryError with what to do where the
    gate is not calibrated, or nothing is kept of what it was calibrated by, and StorageError.
    """
    now = datetime.datetime.now(datetime.UTC) if now is None else now
    calibration, scores = installation.arming.calibration, installation.arming.scores
    members = installation.gallery_or_new.members
    of_registry = {student.name: student.group for student in members}
    cards = {}
    for name, whose in {REGISTERED: of_registry, **(groups or {})}.items():
        by_number = {each.number: whose.get(each.name, "") for each in members}
        cards[name] = fairness(scores, by_number, calibration.threshold)
    if passages is None:
        passages = passages_of(installation.log_folder, installation.log_key, now - YEAR)
    hashed = {
        known: group
        for name, group in of_registry.items()
        for known in pseudonyms(installation.log_key, name)
    }
    return CalibrationReport(
        calibration,
        scores,
        scores.at(calibration.threshold),
        cards,
        rows(passages, lambda each: each.week, calibration),
        rows(passages, lambda each: hashed.get(each.student, ""), calibration),
        rows(passages, lambda each: each.microphone, calibration),
        alarm(passages, calibration, now),
    )


def read_groups(path: Path) -> Groups:
    """Read a table with a column ``student`` and one for each thing that groups differ in.

    It is kept nowhere. Raises SettingsError.
    """
    try:
        text = decoded(path.read_bytes(), path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    table = csv.DictReader(io.StringIO(text, newline=""))
    columns = [each.strip() for each in table.fieldnames or ()]
    if "student" not in columns or len(columns) < 2:
        raise SettingsError(
            f"{path}: its first line must name the column student and others, like "
            "student,language,gender"
        )
    table.fieldnames = columns
    found: dict[str, dict[str, str]] = {name: {} for name in columns if name not in ("student", "")}
    try:
        for row in table:
            student = as_kept((row["student"] or "").strip())
            for name, whose in found.items():
                whose[student] = (row[name] or "").strip()
    except csv.Error as error:
        raise SettingsError(f"{path}: not a CSV file ({error}); export it again") from None
    return found


def what_if_fields(found: WhatIf) -> dict[str, Any]:
    """Return what a threshold would do, as a program reads it."""
    return {"threshold": found.threshold, "fpir": found.fpir.fields, "fnir": found.fnir.fields}


def card_fields(card: FairnessCard) -> dict[str, Any]:
    """Return a fairness card as a program reads it."""
    return {
        "threshold": card.threshold,
        "groups": [_group_fields(each) for each in card.groups],
        "too_small": card.small,
        "fnir": card.fnir and _worst_fields(card.fnir),
        "fpir": card.fpir and _worst_fields(card.fpir),
        "sentence": card.sentence,
    }


def _group_fields(each: GroupShares) -> dict[str, Any]:
    return {
        "group": each.group,
        "students": each.students,
        "fnir": each.fnir.fields,
        "fpir": each.fpir.fields,
    }


def _worst_fields(worst: Worst) -> dict[str, Any]:
    return {
        "group": worst.group,
        **worst.share.fields,
        "median": worst.median,
        "others": worst.others.fields,
        "apart": worst.apart,
    }
