"""What synthetic schools are for: strangers, pairs and nearness, held against real voices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from kaimen.bench import exact
from kaimen.bench.synthetic import Points, Population
from kaimen.calibration.leave_one_out import leave_one_out
from kaimen_train.evaluation.metrics import interval
from kaimen_train.school.school import CosinePairs
from kaimen_train.school.variance import LabelledPoints

FPIRS = (0.01, 0.05)  # that a synthetic school's threshold is set for
TAKES = 5  # of a student at most
STUDENTS = 20_000  # of the synthetic school that everything is measured on
STRANGERS = 1_000
SIZES = (500, 1_000, 2_000, 5_000, 10_000, 20_000)
SMALL = (10, 20, 50)  # sizes of school that real voices reach, beside all of them
RESAMPLED = 1_000  # of the bootstrap
PAIRS = 20_000  # of a kind, for a distance

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class TextGallery:
    """Real people who say one text."""

    points: Points  # (recordings, dimension), a speaker's together
    counts: NDArray[np.int64]  # of each speaker's recordings
    speakers: NDArray[np.str_]  # one a recording

    def some(self, size: int, random: np.random.Generator) -> TextGallery:
        """So many of them."""
        chosen = np.isin(np.arange(len(self.counts)), random.permutation(len(self.counts))[:size])
        rows = np.repeat(chosen, self.counts)
        return TextGallery(self.points[rows], self.counts[chosen], self.speakers[rows])

    def strangers(self) -> Scores:
        """Return each recording's best score against all others' speakers."""
        return leave_one_out(self.points, self.counts).strangers


def galleries(voices: LabelledPoints) -> list[TextGallery]:
    """One a text, of voices of one corpus; of each speaker the first takes."""
    found = []
    for text in np.unique(voices.texts):
        said = voices.only(voices.texts == text)
        said = said.only(np.argsort(said.speakers, kind="stable"))
        _, first, counts = np.unique(said.speakers, return_index=True, return_counts=True)
        place = np.arange(len(said.points)) - np.repeat(first, counts)
        said = said.only(place < TAKES)
        counts = np.minimum(counts, TAKES)
        found.append(TextGallery(said.points.astype(np.float32), counts, said.speakers))
    return found


def as_large(school: Points, galleries: list[TextGallery]) -> Iterator[TextGallery]:
    """Synthetic galleries, each as large as a real one and with as many takes of everybody."""
    start = 0
    while start + sum(len(each.counts) for each in galleries) <= len(school):
        for each in galleries:
            students = school[start : start + len(each.counts)]
            start += len(each.counts)
            kept = np.arange(school.shape[1]) < each.counts[:, np.newaxis]
            yield TextGallery(students[kept], each.counts, each.speakers)


@dataclass(frozen=True)
class Forecast:
    """FPIR that a synthetic school of the real one's size says, and the real one's."""

    fpir: float  # as forecast: at this threshold
    threshold: float
    measured: float
    interval: tuple[float, float]  # of forecast over measured, 95 %, by bootstrap over speakers

    @property
    def ratio(self) -> float:
        """Forecast over measured: below one, more strangers get in than was said."""
        return _over(self.fpir, self.measured)

    def fields(self) -> dict[str, Any]:
        """For a program."""
        return {**asdict(self), "ratio": self.ratio}


def _over(forecast: float, measured: float) -> float:
    return forecast / measured if measured else float("inf")


def forecast(school: Points, galleries: list[TextGallery], real: Scores) -> list[Forecast]:
    """By the strangers of synthetic galleries, against the real ones' scores."""
    drawn = np.concatenate([each.strangers() for each in as_large(school, galleries)])
    who = np.concatenate([each.speakers for each in galleries])
    _, owners = np.unique(who, return_inverse=True)
    random = np.random.default_rng(0)
    people = int(owners.max()) + 1
    times = random.multinomial(people, np.full(people, 1 / people), RESAMPLED)
    found = []
    for fpir in FPIRS:
        threshold = float(np.quantile(drawn, 1 - fpir))
        passed = np.bincount(owners, real >= threshold, people)
        shares = (times @ passed) / (times @ np.bincount(owners, minlength=people))
        low, high = interval(shares)
        edges = _over(fpir, high), _over(fpir, low)
        found.append(Forecast(fpir, threshold, float(np.mean(real >= threshold)), edges))
    return found


def growth(
    school: Points, strangers: Points, galleries: list[TextGallery], threshold: float
) -> tuple[dict[int, float], dict[int, float]]:
    """FPIR at one threshold by the size of the school: synthetic at real sizes, and at SIZES.

    The first have the takes of the real ones, the second all of them and strangers (n, dimension)
    of their own.
    """
    small = by_size(list(as_large(school, galleries)), threshold)
    large = {
        size: float(np.mean(exact.best(school[:size], strangers).scores >= threshold))
        for size in SIZES
    }
    return small, large


def by_size(galleries: list[TextGallery], threshold: float) -> dict[int, float]:
    """Return FPIR of galleries and of parts of them, as far as they reach."""
    random = np.random.default_rng(0)
    largest = int(np.mean([len(each.counts) for each in galleries]))
    found = {}
    for size in (*(size for size in SMALL if size < largest), largest):
        parts = [each if size == largest else each.some(size, random) for each in galleries]
        scores = np.concatenate([each.strangers() for each in parts])
        found[size] = float(np.mean(scores >= threshold))
    return found


def pair_distances(drawn: CosinePairs, real: CosinePairs) -> tuple[float, float]:
    """Wasserstein distances of cosines: of the same speaker, and of two."""
    random = np.random.default_rng(0)
    same, other = (
        float(wasserstein_distance(*(random.choice(each, PAIRS) for each in pair)))
        for pair in ((drawn.same, real.same), (drawn.other, real.other))
    )
    return same, other


def further_distance(population: Population, galleries: list[TextGallery]) -> float:
    """Wasserstein distance of cosines between first recordings and further ones, drawn and real.

    Real people's first recordings of a text are moved to the population's mean.
    """
    drawn, real = [], []
    for each in galleries:
        first = (np.cumsum(each.counts) - each.counts)[each.counts > 1]
        pairs = each.points[first], each.points[first + 1]
        real.append(np.sum(pairs[0] * pairs[1], axis=1))
        moved = pairs[0] - each.points.mean(axis=0) + np.sqrt(population.near) * population.mean
        further = population.further(moved, 1, seed=1)[:, 0]
        drawn.append(np.sum(moved * further, axis=1) / np.linalg.norm(moved, axis=1))
    return float(wasserstein_distance(np.concatenate(drawn), np.concatenate(real)))
