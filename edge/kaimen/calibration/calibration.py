"""The threshold that fits this school: learned from its own recordings.

FPIR = 1 - (1 - FMR)^N: a threshold belongs to a gallery size (ISO/IEC 19795-1), so it is
measured at the school's own, by leaving one out. What was never seen in n trials may still
happen in 3/n of them (the rule of three, 95 %): no school is promised more than that.

A small school has few strangers' scores and none in the tail, so a normal curve through them
extends them, and the development strangers of the encoder's card, brought to this size, set
the least the threshold may be.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kaimen.access.decision import Retry, Thresholds
from kaimen.calibration.leave_one_out import LeftOut, Pairs, leave_one_out, leave_two_out
from kaimen.errors import GalleryError
from kaimen.gallery.gallery import Gallery
from kaimen.progress import Track
from kaimen.registry.recordings import SHORT
from kaimen.storage import write_whole
from kaimen.voice.encoder import Card
from kaimen.voice.score import RULE, Scores
from kaimen.voice.spread import HIGHEST, exceeded_by, spread_of

FPIR = 0.01  # share of strangers let in that is aimed at
THREE = 3.0  # the rule of three
PLENTY = 10  # strangers above the threshold from which no curve is needed
GROWTH = 0.1  # share by which a school may grow or shrink before it must be calibrated anew
DRAWS = 200  # of the bootstrap
FIRST_TRY = 1 / 3  # share of the FPIR that a first try may use up where a second one is asked for
GREY = 0.3  # of score below the first try's threshold, within which a second one is asked for
SIZES = (100, 500, 2_000, 5_000, 20_000, 100_000)  # of schools, in the forecast
TRADE = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # FPIRs of the DET points


class Enrolled(Protocol):
    """A gallery, or as much of one as it takes to say whether a calibration fits."""

    @property
    def encoder(self) -> str:
        """Identity of the encoder whose points it holds."""

    @property
    def left_out(self) -> int:
        """How many more are enrolled, and not recognised: their rows were changed by hand."""

    def __len__(self) -> int:
        """How many students can be recognised."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold, and what the school's own recordings say of it."""

    threshold: float
    interval: tuple[float, float]  # of the threshold, 95 %, by bootstrap over students
    fpir: float  # aimed at
    promised: float  # the least FPIR that there is evidence for
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

    @property
    def thresholds(self) -> Thresholds:
        """What a gate needs of it."""
        first = self.first_threshold
        return Thresholds(
            self.threshold,
            self.claim_threshold,
            _checksum(self._rendered()),
            Retry(first, self.both_threshold, first - GREY) if math.isfinite(first) else None,
            self.phrase_threshold,
            None if self.phrase_common is None else np.array(self.phrase_common, np.float32),
            self.phrase_by,
        )

    def save(self, path: Path) -> None:
        """Write it in one step, with its checksum. Raises StorageError."""
        content = self._rendered()
        whole = {"checksum": _checksum(content), "calibration": content}
        write_whole(path, lambda file: file.write(json.dumps(whole).encode()))

    def _rendered(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read it. Raises GalleryError with what to do."""
        again = "run 'kaimen calibrate'"
        try:
            written = path.read_bytes()
            whole = json.loads(written)
            content = whole["calibration"]
            sound = (
                whole["checksum"] == _checksum(content) and json.dumps(whole).encode() == written
            )
            fields: dict[str, Any] = json.loads(content)
            fields.pop("pooled_threshold", None)  # of an earlier release
            kept = cls(**{**fields, "interval": tuple(fields["interval"])})
        except FileNotFoundError:
            raise GalleryError(f"{path}: this school was never calibrated; {again}") from None
        except OSError as error:
            raise GalleryError(f"{path}: cannot be read ({error.strerror}); {again}") from None
        except (ValueError, TypeError, KeyError):
            sound = False
        if not sound:
            raise GalleryError(f"{path}: the calibration is damaged; {again}")
        return kept

    def require(self, gallery: Enrolled) -> None:
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
                f"'kaimen calibrate --fpir {math.ceil(self.promised * 1000) / 1000}'"
            )


def _checksum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def beside(registry: Path, bundle: str = "") -> Path:
    """Where the calibration of a registry's file is kept; a bundle's identity has its own.

    With the bundles: a backup takes them along, and whoever moves a school moves them together.
    """
    if not bundle:
        return registry.with_suffix(".calibration.json")
    return registry.parent / "bundles" / f"{registry.stem}.{bundle[:SHORT]}.calibration.json"


def calibrate(
    gallery: Gallery, card: Card, fpir: float = FPIR, track: Track | None = None
) -> Calibration:
    """Learn the threshold for at most ``fpir`` of strangers. Raises GalleryError if empty."""
    if not len(gallery):
        raise GalleryError("nobody is enrolled; begin with 'kaimen enroll'")
    return calibrate_points(*gallery.everything(), gallery.encoder, card, fpir, track)


def calibrate_points(
    points: NDArray[np.float32],
    counts: NDArray[np.int64],
    encoder: str,
    card: Card,
    fpir: float = FPIR,
    track: Track | None = None,
) -> Calibration:
    """Return the same from all students' points, each student's together, and how many each has.

    Raises GalleryError for points that are no numbers, which are no strangers, and for a card
    whose strangers were scored by another rule.
    """
    if not np.isfinite(points).all():
        raise GalleryError("a voiceprint is no number; enroll the school again")
    if card.score != RULE:
        raise GalleryError(
            "the encoder's card counts strangers by another score; "
            "make it anew with 'kaimen-train scoring --card'"
        )
    left_out = leave_one_out(points, counts, track)
    several = len(counts) > 1
    strangers = left_out.strangers if several else left_out.strangers[:0]
    own = left_out.own[~np.isnan(left_out.own)]
    threshold = _threshold(strangers, len(counts), card, fpir)
    claims = left_out.claims.ravel()
    claimed = exceeded_by(card.strangers, fpir)
    if len(claims) * fpir >= PLENTY:
        claimed = float(np.quantile(claims, 1 - fpir))
    elif len(claims):
        claimed = max(claimed, float(np.quantile(claims, 1 - fpir)))
    first = _threshold(strangers, len(counts), card, fpir * FIRST_TRY)
    pairs = leave_two_out(points, counts, track)
    pooled = _pooled(strangers, pairs, first, fpir) if several else first
    learned = Calibration(
        first_threshold=first,
        both_threshold=pooled,
        retry_fnir=_missed(left_out.own, pairs, first, pooled),
        threshold=threshold,
        interval=_interval(left_out, counts, fpir, threshold) if several else (threshold, 1.0),
        fpir=fpir,
        promised=_promised(len(strangers), len(counts), card),
        encoder=encoder,
        students=len(counts),
        recordings=len(points),
        expected_fpir=_share(strangers >= threshold),
        expected_fnir=_share(own < threshold),
        claim_threshold=claimed,
        claim_fnmr=_share(own < claimed),
        trade=[],
        forecast=[],
        score=RULE,
    )
    return replace(
        learned,
        trade=_trade(strangers, own),
        forecast=_forecast(strangers, own, learned) if several else [],
    )


def _promised(strangers: int, students: int, card: Card) -> float:
    """The least FPIR for which there is evidence, by the rule of three."""
    of_school = THREE / strangers if strangers else 1.0
    # A comparison between two of the card's speakers is one of N at the gate.
    scores = card.strangers.get("scores", 0)
    of_card = 1 - (1 - THREE / scores) ** students if scores > THREE else 1.0
    return min(1.0, of_school, of_card)


def _threshold(strangers: Scores, students: int, card: Card, fpir: float) -> float:
    # One comparison may go wrong so rarely that N of them keep the promise.
    threshold = exceeded_by(card.strangers, 1 - (1 - fpir) ** (1 / students))
    if not len(strangers):
        return threshold
    measured = float(np.quantile(strangers, 1 - fpir))
    if len(strangers) * fpir >= PLENTY:
        return measured
    measured = max(measured, exceeded_by(spread_of(strangers), fpir))
    return measured if len(strangers) * fpir >= THREE else max(threshold, measured)


def _pooled(strangers: Scores, pairs: Pairs, first: float, fpir: float) -> float:
    """The threshold of two tries together, so that ``fpir`` of strangers pass by one or both.

    Without the evidence it is the first try's, which spends a third of it.
    """
    if len(pairs.first) * fpir < PLENTY:
        return first
    scores = _visits(strangers, pairs, pairs.strangers, first)
    return max(first - GREY, float(np.quantile(scores, 1 - fpir)))


def _visits(alone: Scores, pairs: Pairs, together: Scores, first: float) -> Scores:
    """What two tries come to: beyond every threshold if either is enough, or too little."""
    one, other = alone[pairs.first], alone[pairs.first + 1]
    asked = one >= first - GREY
    enough = (one >= first) | (asked & (other >= first))
    visits: Scores = np.where(asked & pairs.one_voice, together, -1)
    visits[enough] = HIGHEST
    return visits


def _missed(own: Scores, pairs: Pairs, first: float, pooled: float) -> float | None:
    """Share of students' recordings that, with the next one, would not let them in."""
    there = ~np.isnan(pairs.own)
    if not there.any():
        return None
    return _share(_visits(own, pairs, pairs.own, first)[there] < pooled)


def _interval(
    left_out: LeftOut, counts: NDArray[np.int64], fpir: float, threshold: float
) -> tuple[float, float]:
    """Of the threshold: other students might have been enrolled."""
    random = np.random.default_rng(0)
    order = np.argsort(left_out.strangers)
    scores = left_out.strangers[order]
    owners = np.repeat(np.arange(len(counts)), counts)[order]
    found = []
    for _ in range(DRAWS):
        drawn = np.bincount(random.integers(0, len(counts), len(counts)), minlength=len(counts))
        below = np.cumsum(drawn[owners])
        found.append(scores[np.searchsorted(below, (1 - fpir) * below[-1])])
    low, high = np.quantile(found, [0.025, 0.975])
    return min(float(low), threshold), max(float(high), threshold)


def _trade(strangers: Scores, own: Scores) -> list[dict[str, float | None]]:
    """DET points, as far down as there is evidence."""
    points: list[dict[str, float | None]] = []
    for fpir in TRADE:
        if len(strangers) * fpir >= THREE:
            threshold = float(np.quantile(strangers, 1 - fpir))
            points.append({"threshold": threshold, "fpir": fpir, "fnir": _share(own < threshold)})
    return points


def _forecast(
    strangers: Scores, own: Scores, learned: Calibration
) -> list[dict[str, float | None]]:
    """What other sizes would bring: the highest of N' scores is that of N to the power N'/N."""
    found: list[dict[str, float | None]] = []
    # What was not seen at all is taken for half a time.
    seen = max(learned.expected_fpir, 0.5 / len(strangers))
    for students in SIZES:
        growth = students / learned.students
        level = (1 - learned.fpir) ** (1 / growth)
        threshold = float(np.quantile(strangers, level))
        known = (1 - level) * len(strangers) >= THREE
        found.append(
            {
                "students": students,
                "fpir": 1 - (1 - seen) ** growth,
                "threshold": threshold if known else None,  # None: no evidence for it
                "fnir": _share(own < threshold) if known else None,
            }
        )
    return found


def _share(which: NDArray[np.bool_]) -> float:
    return float(np.mean(which)) if len(which) else 0.0
