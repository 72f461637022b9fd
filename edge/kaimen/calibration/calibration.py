"""A threshold that fits one school, what its recordings say of it, and the file that keeps it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kaimen.access.decision import Retry, Thresholds
from kaimen.calibration.roster_calibration import RosterCalibration
from kaimen.calibration.thresholds import GREY, shown_by
from kaimen.errors import GalleryError
from kaimen.language import text
from kaimen.parsing import read_json
from kaimen.registry.recordings import SHORT
from kaimen.registry.vault import Vault
from kaimen.settings.roster import Rule
from kaimen.storage import write_whole
from kaimen.voice.score import RULE

FPIR = 0.01  # share of strangers let in that is aimed at
GROWTH = 0.1  # share by which a school may grow or shrink before it must be calibrated anew
AGAIN = "run 'kaimen calibrate'"


class UnkeyedCalibration(GalleryError):
    """A calibration of an earlier release, which holds no keyed hash."""


class EnrolledStudents(Protocol):
    """A gallery, or as much of one as it takes to say whether a calibration fits."""

    @property
    def encoder(self) -> str:
        """Return identity of the encoder whose points it holds."""

    @property
    def left_out(self) -> int:
        """Return how many more are enrolled, and unrecognised: their rows were changed by hand."""

    @property
    def by_group(self) -> Mapping[str, int]:
        """Return how many students of each group can be recognised."""

    def __len__(self) -> int:
        """Return how many students can be recognised."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold, and what the school's own recordings say of it."""

    threshold: float
    interval: tuple[float, float]  # of the threshold, 95 %, by bootstrap over students
    fpir: float  # aimed at
    promised: float  # the least FPIR that all evidence together shows
    encoder: str  # identity of the encoder whose points it is of
    students: int  # the gallery size it belongs to
    recordings: int  # each of them a stranger once
    expected_fpir: float  # share of these that would have opened
    expected_fnir: float  # share of the students' own scores that would not have opened
    claim_threshold: float  # for somebody who says who they are
    claim_fnmr: float  # share of students who would then be turned away, at an FMR of ``fpir``
    trade: list[dict[str, float | None]]  # threshold, FPIR, FNIR
    forecast: list[dict[str, float | None]]  # students, FPIR at this threshold, threshold, FNIR
    first_threshold: float = math.inf  # of a gate that asks once more: in the first try
    both_threshold: float = math.inf  # of the point in the middle of two tries
    retry_fnir: float | None = None  # share of the students who would then not be let in
    phrase_threshold: float | None = None  # of the words; None: nobody has any
    phrase_fnmr: float | None = None  # share of the students' own phrases below it
    phrase_common: list[list[float]] | None = None  # how all say it, (parts, dimension)
    phrase_by: str = ""  # identity of the phrase encoder
    score: str = ""  # the rule it was learned by; none: that of earlier releases
    strangers: int = 0  # the school's own: its recordings, where it has several students
    compared: int = 0  # comparisons of other people, which the encoder's card counts
    drift_from: str = ""  # when what made the scores drift was mended, in UTC; empty: never
    grown: int = 0  # grown voiceprints up to this number raised scores; no later one does
    raised: float = 0.0  # of the threshold: by what strangers scored at this door
    roster: RosterCalibration | None = None  # the same for those who may enter by a roster
    at_once: int = 0  # of ``at_door``: for how many who may enter the figures are; 0: everybody
    everybody: float | None = None  # of ``at_door``: the threshold among all students

    @property
    def thresholds(self) -> Thresholds:
        """Return what a gate needs of it."""
        first = self.first_threshold
        return Thresholds(
            self.threshold,
            self.claim_threshold,
            _checksum(self._rendered()),
            Retry(first, self.both_threshold, first - GREY) if math.isfinite(first) else None,
            self.phrase_threshold,
            None if self.phrase_common is None else np.array(self.phrase_common, np.float32),
            self.phrase_by,
            self.grown,
            -math.inf if self.everybody is None else self.everybody,
        )

    def at_door(self, roster: Iterable[Rule], gallery: EnrolledStudents) -> Calibration:
        """Return it with the figures of those who may enter by a roster, where they fit.

        Where they do not (see ``roster_misfit``), or there is no roster, those of all students:
        they let in no more strangers at any door. What is returned is to be used, not saved.
        """
        rules = tuple(roster)
        found = self.roster
        if not rules or found is None or self.roster_misfit(rules, gallery):
            return replace(self, roster=None)
        own = asdict(found)
        del own["groups"]
        return replace(self, roster=None, everybody=self.threshold, **own)

    def roster_misfit(self, roster: Iterable[Rule], gallery: EnrolledStudents) -> str:
        """Return why a roster's threshold is that of all students, or nothing.

        Nothing, too, where nobody may enter by it, or there is none.
        """
        rules, by_group = tuple(roster), gallery.by_group
        if not any(by_group.get(group) for rule in rules for group in rule.groups):
            return ""
        why = "it was calibrated without the roster"
        if self.roster is not None:
            why = self.roster.misfit(rules, by_group, GROWTH)
        return why and f"{why}: until you calibrate, the threshold is that of all students"

    @property
    def for_whom(self) -> str:
        """Tell for how many students the threshold is, in the language of who reads."""
        if self.at_once:
            return text(
                "{count} of {students} students, who may enter at once",
                count=self.at_once,
                students=self.students,
            )
        return text("{students} students", students=self.students)

    def save(self, path: Path, vault: Vault) -> None:
        """Write it in one step, with its keyed hash. Raises StorageError."""
        content = self._rendered()
        whole = {"mac": _mac(content, vault), "calibration": content}
        write_whole(path, json.dumps(whole).encode())

    def _rendered(self) -> str:
        fields = asdict(self)
        # What neither a roster nor the door changed is, to the byte, as of earlier releases.
        without = {"roster": None, "at_once": 0, "everybody": None, "raised": 0.0}
        for name, nothing in without.items():
            if fields[name] == nothing:
                del fields[name]
        return json.dumps(fields, indent=1)

    @classmethod
    def load(cls, path: Path, vault: Vault) -> Calibration:
        """Read what was written under this key. Raises GalleryError with what to do.

        Raises UnkeyedCalibration for one of an earlier release, which anybody could have written.
        """
        whole, content = _read(path)
        if not isinstance(content, str):
            raise _damaged(path)
        if "mac" not in whole and whole.get("checksum") == _checksum(content):
            raise UnkeyedCalibration(
                f"{path}: of an earlier release, without the school's key; {AGAIN}"
            )
        mac = str(whole.get("mac")).encode()
        if not hmac.compare_digest(mac, _mac(content, vault).encode()):
            raise _damaged(path)
        try:
            return _of_fields(read_json(content))
        except (ValueError, TypeError, KeyError):
            raise _damaged(path) from None

    def require(self, gallery: EnrolledStudents) -> None:
        """Require that a door may be armed by it. Raises GalleryError with what to do."""
        if self.encoder != gallery.encoder:
            raise GalleryError("calibrated for another encoder; run 'kaimen calibrate'")
        if self.score != RULE:
            raise GalleryError("calibrated for another score; run 'kaimen calibrate'")
        enrolled = len(gallery) + gallery.left_out
        if abs(enrolled - self.students) > GROWTH * self.students:
            raise GalleryError(
                f"calibrated for {self.students} students, and {enrolled} are enrolled; "
                "run 'kaimen calibrate'"
            )
        if self.fpir < self.promised:
            raise GalleryError(
                f"{self.recordings} recordings are too few to promise an FPIR of {self.fpir:.2%}: "
                "enroll more, or ask for less with "
                f"'kaimen calibrate --fpir {_rounded_up(self.promised)}'"
            )

    @property
    def shown(self) -> float:
        """Return the least FPIR that the school's own strangers show, without anybody else's."""
        return shown_by(self.strangers)

    @property
    def evidence(self) -> str:
        """Return what is aimed at, and what stands behind it, in a sentence."""
        if self.shown <= self.fpir:
            return (
                f"at most {self.fpir:.1%} of strangers are let in, as {self.strangers} of its own "
                "show"
            )
        own = "it has no strangers of its own"
        if self.strangers:
            own = f"its own {self.strangers} strangers show no less than {self.shown:.1%}"
        return f"aimed at {self.fpir:.1%} of strangers by other people's voices; {own}"


def aimed_at(path: Path, vault: Vault) -> float:
    """Return the FPIR that a school is calibrated for, to calibrate it anew.

    A file that anybody could have written asks for no more than FPIR.
    """
    try:
        return Calibration.load(path, vault).fpir
    except UnkeyedCalibration:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            asked = float(read_json(_read(path)[1])["fpir"])
            return asked if 0 < asked < FPIR else FPIR
    except GalleryError:
        pass
    return FPIR


def _read(path: Path) -> tuple[dict[str, Any], Any]:
    """Return a file's fields, and what of them is the calibration. Raises GalleryError."""
    try:
        written = path.read_bytes()
        whole = read_json(written)
        if json.dumps(whole).encode() == written:
            return whole, whole["calibration"]
    except FileNotFoundError:
        raise GalleryError(f"{path}: this school was never calibrated; {AGAIN}") from None
    except OSError as error:
        raise GalleryError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from None
    except (ValueError, TypeError, KeyError):
        pass
    raise _damaged(path)


def _rounded_up(share: float) -> str:
    """Return a share with two digits that is no less."""
    places = max(3, 1 - math.floor(math.log10(share)))
    return f"{math.ceil(share * 10**places) / 10**places:.{places}f}".rstrip("0").rstrip(".")


def _damaged(path: Path) -> GalleryError:
    return GalleryError(f"{path}: the calibration is damaged, or of another key; {AGAIN}")


def _of_fields(fields: dict[str, Any]) -> Calibration:
    roster = fields.get("roster")
    if roster is not None:
        roster = RosterCalibration(**{**roster, "interval": tuple(roster["interval"])})
    return Calibration(**{**fields, "interval": tuple(fields["interval"]), "roster": roster})


def _mac(content: str, vault: Vault) -> str:
    return hmac.digest(vault.derive("calibration"), content.encode(), "sha256").hex()


def _checksum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def calibration_path(registry: Path, bundle: str = "") -> Path:
    """Return where the calibration of a registry's file is kept; a bundle's identity has its own.

    With the bundles: a backup takes them along, and whoever moves a school moves them together.
    """
    if not bundle:
        return registry.with_suffix(".calibration.json")
    return registry.parent / "bundles" / f"{registry.stem}.{bundle[:SHORT]}.calibration.json"
