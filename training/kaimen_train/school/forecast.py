"""Tell whether a calibration keeps what it promises, to people it never met.

Synthetic schools can be of any size; the eval split's voices are real, and few.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.bench import exact
from kaimen.bench.synthetic import Points, Population
from kaimen.calibration.calibration import FPIR, Calibration
from kaimen.calibration.learning import calibrate_points
from kaimen.voice.encoder import Card
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation.evaluate import Embedded
from kaimen_train.progress import track

SIZES = (500, 2_000, 20_000)  # students
STRANGERS = 20_000  # who come to each school
PROBES = 10_000  # of its students, at least
FPIR_OF_FEW = 0.05  # asked of real voices: there are too few to promise less
TAKES = 5  # of a real voice
HALVES = 100  # ways to split a corpus's voices, about
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
    within: float | None  # share of the schools whose threshold's interval holds what was aimed at

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured / self.predicted if self.predicted else float("inf")

    def fields(self) -> dict[str, Any]:
        """For a program."""
        return {**asdict(self), "ratio": self.ratio}


_Key = tuple[str, int, int, str]
# Threshold, predicted, measured, and whether its interval holds what was predicted.
_Found = dict[_Key, list[tuple[float, float, float, float]]]


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
            counts = np.full(students, recordings)
            points = school.reshape(-1, population.dimension)
            learned = calibrate_points(points, counts, population.encoder, card, FPIR, track)
            others = exact.best(school, strangers, track).scores
            own = exact.own(school, everything[:, recordings:]).ravel()
            _own(found, learned, others, own)
            if not number:  # one school of a size is enough to hold forecasts against
                for each in smaller:
                    _forecast(found, each, students, others, own)
            here.append(learned)
        smaller += here
    return [_promise(key, values) for key, values in found.items()]


def check_voices(made: Embedded, encoder: str, card: Card) -> dict[str, Promise]:
    """Return the same by corpus with real voices: half enroll, the others come as strangers.

    Where many say the same, a school is those who say one text; in commands, of which nobody
    says a text often, one of everything.
    """
    return {
        corpus: _voices(made.heard.rows[corpus], points, encoder, card)
        for corpus, points in made.points.items()
    }


def _voices(rows: Sequence[Row], points: Points, encoder: str, card: Card) -> Promise:
    random = np.random.default_rng(0)
    said: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at, row in enumerate(rows):
        said["" if row.corpus == "commands" else row.text][row.speaker].append(at)
    values = []
    for takes in track([said[text] for text in sorted(said)], "splitting"):
        speakers = [speaker for speaker in sorted(takes) if len(takes[speaker]) >= TAKES]
        for _ in range(max(1, HALVES // len(said))):
            shuffled = [takes[speaker] for speaker in random.permutation(speakers)]
            chosen = [random.permutation(each)[:TAKES] for each in shuffled]
            half = len(chosen) // 2
            counts = np.full(half, TAKES)
            inside = points[np.concatenate(chosen[:half])]
            learned = calibrate_points(inside, counts, encoder, card, FPIR_OF_FEW)
            school = inside.reshape(half, TAKES, -1)
            others = exact.best(school, points[np.concatenate(chosen[half:])]).scores
            values.append(_fpir(learned, others, FPIR_OF_FEW))
    return _promise(("FPIR", half, half, "own"), values)


def _fpir(
    learned: Calibration, others: NDArray[np.float32], predicted: float
) -> tuple[float, float, float, float]:
    low, high = learned.interval
    within = np.mean(others >= high) <= predicted <= np.mean(others >= low)
    measured = float(np.mean(others >= learned.threshold))
    return learned.threshold, predicted, measured, float(within)


def _own(
    found: _Found, learned: Calibration, others: NDArray[np.float32], own: NDArray[np.float32]
) -> None:
    """At the size that it was calibrated for."""
    size, at = learned.students, learned.threshold
    found["FPIR", size, size, "own"].append(_fpir(learned, others, learned.expected_fpir))
    turned_away = float(np.mean(own < at))
    found["FNIR", size, size, "own"].append((at, learned.expected_fnir, turned_away, math.nan))


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
    found["FPIR", learned.students, students, "own"].append(
        (learned.threshold, fpir, opened, math.nan)
    )
    if raised is not None and fnir is not None:
        for error, predicted, measured in (
            ("FPIR", learned.fpir, np.mean(others >= raised)),
            ("FNIR", fnir, np.mean(own < raised)),
        ):
            key = (error, learned.students, students, "forecast")
            found[key].append((raised, predicted, float(measured), math.nan))


def _promise(key: _Key, values: Sequence[tuple[float, float, float, float]]) -> Promise:
    threshold, predicted, measured, within = (float(mean) for mean in np.mean(values, axis=0))
    each = [value[2] for value in values]
    enclosed = None if math.isnan(within) else within
    ends = min(each), max(each)
    return Promise(*key, len(values), threshold, predicted, measured, *ends, enclosed)
