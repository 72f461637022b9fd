"""The threshold that fits this school: learned from its own recordings.

Each recording, with its own student left out, is a stranger to all the others; each
recording, with only itself left out, is its student at the gate. Scores are exact.

FPIR = 1 - (1 - FMR)^N: a threshold belongs to a gallery size (ISO/IEC 19795-1). A small
school has few strangers' scores and none in the tail, so a normal curve through them
extends them, and the development strangers of the encoder's card, brought to this size,
set the least the threshold may be. Cosines end at 1 and are skewed; their inverse hyperbolic
tangents (R. A. Fisher, Biometrika 10, 1915) are nearly normal, so the curves are drawn there.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edge.decision import BEST
from edge.errors import GalleryError
from edge.gallery.gallery import Gallery
from edge.storage import write_whole
from edge.voice.encoder import Card

FPIR = 0.01  # share of strangers let in that is aimed at
ENOUGH = 20  # students from which the school's own strangers alone are asked
BLOCK = 256  # recordings scored at a time
HIGHEST = 1 - 1e-6  # score before transformation: 1 would go to infinity
LEAST_DEVIATION = 0.01  # after transformation: a few equal scores are no certainty

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold, and what the school's own recordings say of it."""

    threshold: float
    fpir: float  # aimed at
    students: int  # the gallery size it belongs to
    gallery: str  # checksum of the gallery it was learned from
    strangers: int  # scores of strangers it was learned from
    expected_fpir: float  # share of these that would have opened
    expected_fnir: float  # share of the students' own scores that would not have opened

    def save(self, path: Path) -> None:
        """Write it in one step. Raises StorageError."""
        write_whole(path, lambda file: file.write(json.dumps(asdict(self), indent=2).encode()))

    @classmethod
    def load(cls, path: Path) -> Calibration | None:
        """Read it; None where there is none that can be used: it is learned anew in no time."""
        try:
            kept = cls(**json.loads(path.read_text(encoding="utf-8")))
            usable = math.isfinite(kept.threshold) and 0 < kept.fpir < 1
        except (OSError, ValueError, TypeError):
            return None
        return kept if usable else None


def beside(gallery: Path) -> Path:
    """Where the calibration of a gallery's file is kept."""
    return gallery.with_name(gallery.stem + ".calibration.json")


def calibrate(gallery: Gallery, card: Card, fpir: float = FPIR) -> Calibration:
    """Learn the threshold for at most ``fpir`` of strangers. Raises GalleryError if empty."""
    if not len(gallery):
        raise GalleryError("nobody is enrolled; begin with 'kaimen enroll'")
    strangers, own = leave_one_out(gallery)
    # One comparison may go wrong so rarely that N of them keep the promise.
    threshold = _exceeded_by(card.strangers, 1 - (1 - fpir) ** (1 / len(gallery)))
    if len(strangers):
        fitted = _exceeded_by(spread_of(strangers), fpir)
        from_school = max(fitted, float(np.quantile(strangers, 1 - fpir)))
        alone = len(gallery) >= ENOUGH
        threshold = from_school if alone else max(threshold, from_school)
    return Calibration(
        threshold=threshold,
        fpir=fpir,
        students=len(gallery),
        gallery=gallery.checksum(),
        strangers=len(strangers),
        expected_fpir=float(np.mean(strangers >= threshold)) if len(strangers) else 0.0,
        expected_fnir=float(np.mean(own < threshold)) if len(own) else 0.0,
    )


def spread_of(scores: Scores) -> dict[str, float]:
    """Mean and deviation of scores after Fisher's transformation; a card holds the same."""
    transformed = np.arctanh(np.clip(scores.astype(np.float64), -HIGHEST, HIGHEST))
    return {"mean": float(transformed.mean()), "deviation": float(transformed.std())}


def _exceeded_by(spread: dict[str, float], share: float) -> float:
    """The score that ``share`` of so distributed scores exceed; always below 1."""
    normal = NormalDist(spread["mean"], max(spread["deviation"], LEAST_DEVIATION))
    return math.tanh(normal.inv_cdf(1 - share))


def leave_one_out(gallery: Gallery) -> tuple[Scores, Scores]:
    """Scores of strangers and of students that the gallery's own recordings give.

    The first has one score a recording (none for a single student), the second one for each
    recording of a student who has at least two.
    """
    students = gallery.students
    counts = np.array([len(gallery.voiceprints(name)) for name in students])
    points = np.concatenate([gallery.voiceprints(name) for name in students])
    owner = np.repeat(np.arange(len(students)), counts)
    # Column s, row r: the place of student s's recording r, or one past the end, far away.
    places = np.full((counts.max(), len(students)), len(points))
    for student, (end, count) in enumerate(zip(np.cumsum(counts), counts, strict=True)):
        places[:count, student] = np.arange(end - count, end)
    strangers, own = [], []
    for start in range(0, len(points), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(points)))
        cosines = points[rows] @ points.T
        cosines[np.arange(len(rows)), rows] = -np.inf  # a recording is no evidence for itself
        cosines = np.pad(cosines, ((0, 0), (0, 1)), constant_values=-np.inf)
        scores = _best_mean(cosines[:, places])
        mine = scores[np.arange(len(rows)), owner[rows]]
        own.append(mine[counts[owner[rows]] > 1])
        scores[np.arange(len(rows)), owner[rows]] = -np.inf
        strangers.append(scores.max(axis=1))
    everybody = np.concatenate(strangers)
    return (everybody if len(students) > 1 else everybody[:0]), np.concatenate(own)


def _best_mean(cosines: NDArray[np.float32]) -> Scores:
    """Mean of the BEST highest over axis 1 of (probes, recordings, students), -inf left out."""
    best = -np.sort(-cosines, axis=1)[:, :BEST]
    there = np.isfinite(best)
    total = np.where(there, best, 0).sum(axis=1)
    count = there.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), -np.inf).astype(np.float32)
