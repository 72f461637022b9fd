"""Whether a calibration keeps what it promises, on synthetic schools and people it never met."""

from __future__ import annotations

from collections import defaultdict
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
TOGETHER = 5_000  # students of all schools of a size, about: small ones differ from each other


@dataclass(frozen=True)
class Promise:
    """One error, as calibrations say it will be and as it was, over schools of one size."""

    error: str  # FPIR or FNIR
    calibrated: int  # students it was calibrated with
    students: int  # at the gate
    at: str  # whose threshold: the calibration's own, or its forecast for the size
    schools: int
    threshold: float
    predicted: float
    measured: float
    least: float  # measured at any of the schools
    most: float

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


_Key = tuple[str, int, int, str]
_Found = dict[_Key, list[tuple[float, float, float]]]  # threshold, predicted, measured


def check(
    population: Population, card: Card, recordings: int = 5, sizes: Sequence[int] = SIZES
) -> list[Promise]:
    """Calibrate schools of several sizes; then let fresh strangers and students come.

    Smaller schools' forecasts for the larger ones are held against those, too.
    """
    strangers = population.draw(STRANGERS, 1, seed=1)[:, 0]
    found: _Found = defaultdict(list)
    smaller: list[Calibration] = []
    for students in sizes:
        takes = -(-PROBES // students)
        here: list[Calibration] = []
        for number in range(max(1, TOGETHER // students)):
            everything = population.draw(students, recordings + takes, seed=students + number)
            school = np.ascontiguousarray(everything[:, :recordings])
            known: Any = _Known(population.encoder, school)
            learned = calibrate(known, card, FPIR, track)
            others = exact.best(school, strangers, track).scores
            own = exact.own(school, everything[:, recordings:]).ravel()
            _own(found, learned, others, own)
            if not number:  # one school of a size is enough to hold forecasts against
                for each in smaller:
                    _forecast(found, each, students, others, own)
            here.append(learned)
        smaller += here
    return [_promise(key, values) for key, values in found.items()]


def _own(
    found: _Found, learned: Calibration, others: NDArray[np.float32], own: NDArray[np.float32]
) -> None:
    """At the size that it was calibrated for."""
    size, at = learned.students, learned.threshold
    for error, predicted, measured in (
        ("FPIR", learned.expected_fpir, np.mean(others >= at)),
        ("FNIR", learned.expected_fnir, np.mean(own < at)),
    ):
        found[error, size, size, "own"].append((at, predicted, float(measured)))


def _forecast(
    found: _Found,
    learned: Calibration,
    students: int,
    others: NDArray[np.float32],
    own: NDArray[np.float32],
) -> None:
    """At another size, with the threshold as it is, and as it is forecast."""
    (row,) = (each for each in learned.forecast if each["students"] == students)
    fpir, raised, fnir = row["fpir"], row["threshold"], row["fnir"]
    assert fpir is not None
    opened = float(np.mean(others >= learned.threshold))
    found["FPIR", learned.students, students, "own"].append((learned.threshold, fpir, opened))
    if raised is not None and fnir is not None:
        for error, predicted, measured in (
            ("FPIR", learned.fpir, np.mean(others >= raised)),
            ("FNIR", fnir, np.mean(own < raised)),
        ):
            key = (error, learned.students, students, "forecast")
            found[key].append((raised, predicted, float(measured)))


def _promise(key: _Key, values: Sequence[tuple[float, float, float]]) -> Promise:
    threshold, predicted, measured = (float(mean) for mean in np.mean(values, axis=0))
    each = [value[2] for value in values]
    return Promise(*key, len(values), threshold, predicted, measured, min(each), max(each))
