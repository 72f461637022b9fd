"""Whether a calibration keeps what it promises, on synthetic schools and people it never met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bench import exact
from edge.gallery import Calibration, calibrate
from edge.gallery.calibration import FPIR
from edge.gallery.synthetic import Points, Population
from edge.voice.encoder import Card
from training.progress import track

SIZES = (500, 2_000, 20_000)  # students
STRANGERS = 20_000  # who come to each school
PROBES = 10_000  # of its students, at least


@dataclass(frozen=True)
class Promise:
    """One error, as a calibration says it will be and as it was."""

    error: str  # FPIR or FNIR
    calibrated: int  # students it was calibrated with
    students: int  # at the gate
    threshold: float
    predicted: float
    measured: float
    trials: int

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured / self.predicted if self.predicted else float("inf")

    def fields(self) -> dict[str, Any]:
        """For a program."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True)
class _Known:
    """What calibrating asks of a gallery, without the index that searching needs."""

    encoder: str
    school: Points

    def __len__(self) -> int:
        return len(self.school)

    def everything(self) -> tuple[Points, NDArray[np.int64]]:
        students, recordings, dimension = self.school.shape
        return self.school.reshape(-1, dimension), np.full(students, recordings)


def check(
    population: Population, card: Card, recordings: int = 5, sizes: Sequence[int] = SIZES
) -> list[Promise]:
    """Calibrate schools of several sizes; then let fresh strangers and students come.

    A smaller school's forecasts for the larger ones are held against those, too.
    """
    strangers = population.draw(STRANGERS, 1, seed=1)[:, 0]
    found: list[Promise] = []
    smaller: list[Calibration] = []
    for students in sizes:
        takes = -(-PROBES // students)
        everything = population.draw(students, recordings + takes, seed=students)
        school = np.ascontiguousarray(everything[:, :recordings])
        known: Any = _Known(population.encoder, school)
        learned = calibrate(known, card, FPIR, track)
        others = exact.best(school, strangers, track).scores
        own = exact.own(school, everything[:, recordings:]).ravel()
        found += [
            _promise("FPIR", learned, students, learned.threshold, learned.expected_fpir, others),
            _promise("FNIR", learned, students, learned.threshold, learned.expected_fnir, own),
        ]
        for each in smaller:
            forecast = next(row for row in each.forecast if row["students"] == students)
            found.append(_promise("FPIR", each, students, each.threshold, forecast["fpir"], others))
            if forecast["threshold"] is not None:
                threshold = forecast["threshold"]
                found.append(_promise("FPIR", each, students, threshold, FPIR, others))
                found.append(_promise("FNIR", each, students, threshold, forecast["fnir"], own))
        smaller.append(learned)
    return found


def _promise(
    error: str,
    learned: Calibration,
    students: int,
    threshold: float,
    predicted: float,
    scores: NDArray[np.float32],
) -> Promise:
    opened = float(np.mean(scores >= threshold))
    measured = opened if error == "FPIR" else 1 - opened
    return Promise(error, learned.students, students, threshold, predicted, measured, len(scores))
