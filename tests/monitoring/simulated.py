"""A simulated school at a simulated door: probes of its students, day by day, into a real log."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.access.decision import decide
from kaimen.audit import Audit, Record, pseudonym
from kaimen.calibration.calibration import Calibration
from kaimen.calibration.learning import calibrate
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.match import Match
from kaimen.voice.encoder import Card
from kaimen.voice.score import RULE, centroids_of, scores
from tests.gallery.points import enrolled, school, unit

DIMENSION = 32
SPREAD = 0.7
COMMON = 0.5  # of every voice, that the school's microphone puts into it
KEY = b"k" * 32
CARD = Card(
    "test", "0" * 64, 100, 64, DIMENSION, {}, {"mean": 0.0, "deviation": 0.15},
    training={}, measured={}, score=RULE,
)  # fmt: skip
BEGIN = datetime.datetime(2026, 9, 7, 7, tzinfo=datetime.UTC)


class SimulatedSchool:
    """Students who come to one door; simulated: their voices are points drawn at random."""

    def __init__(self, students: int = 200, recordings: int = 4) -> None:
        way = unit(np.ones(DIMENSION))
        self.points = unit(school(students, recordings, DIMENSION, spread=SPREAD) + COMMON * way)
        self.gallery: Gallery = enrolled(self.points, "e" * 64)
        self.calibration: Calibration = calibrate(self.gallery, CARD, 0.01)
        self.random = np.random.default_rng(11)
        self.starts = np.arange(0, students * recordings, recordings)
        self.centroids = centroids_of(self.points.reshape(-1, DIMENSION), self.starts)

    def probes(self, student: int, count: int, drift: float) -> NDArray[np.float32]:
        """Probes of a student; ``drift`` gives all more in common, as a dull microphone does."""
        centre = unit(self.points[student].sum(axis=0, dtype=np.float64))
        noise = unit(self.random.standard_normal((count, DIMENSION)))
        way = unit(np.ones(DIMENSION))
        return unit(centre + SPREAD * noise / (1 + COMMON) + drift * way)

    def nearest(self, probe: NDArray[np.float32]) -> list[Match]:
        """The three nearest students, scored as a gallery scores them."""
        flat, starts = self.points.reshape(-1, DIMENSION), self.starts
        (every,) = scores(probe @ flat.T, starts, probe @ self.centroids.T)
        best = np.argsort(-every)[:3].tolist()
        return [Match(f"s{place:03}", float(every[place])) for place in best]

    def records(self, days: int, visits: int, *, drift: float = 0.0) -> Iterator[Record]:
        """Records of decisions, less time and hashes: each day some students, drawn at random."""
        for day in range(days):
            for place, student in enumerate(self.random.choice(len(self.points), visits)):
                nearest = self.nearest(self.probes(student, 1, drift))
                decision = decide(nearest, self.calibration.threshold)
                yield {
                    "at": (BEGIN + datetime.timedelta(days=day, seconds=place)).isoformat(),
                    "kind": "decision",
                    "verdict": decision.verdict.value,
                    "student": decision.student and pseudonym(KEY, decision.student),
                    "claim": None,
                    "pooled": None,
                    "score": decision.score,
                    "threshold": decision.threshold,
                    "nearest": [
                        {"student": pseudonym(KEY, each.student), "score": each.score}
                        for each in decision.nearest
                    ],
                    "checks": {},
                    "encoder": self.gallery.encoder[:16],
                    "microphone": "day" if day % 2 else "hall",
                }


def write(records: list[Record], folder: Path, key: bytes = KEY) -> None:
    """Write records into a log, each at its own time."""
    at = BEGIN
    with Audit(folder, key, now=lambda: at) as audit:
        for record in records:
            at = datetime.datetime.fromisoformat(record["at"])
            audit.write({name: value for name, value in record.items() if name != "at"})
