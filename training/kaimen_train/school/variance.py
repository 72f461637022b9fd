"""How voiceprints are spread: between speakers, and between one speaker's recordings.

At a gate all say the same phrase, so nothing that comes from the words may count. Everything is
measured within a text of a corpus: recordings of one text by one speaker against each other
(within), and speakers' means of one text less the text's mean (between); only the corpora of
the pair protocol hold such. How texts differ from each other moves a whole school and is left
out, too. Every speaker counts alike: corpora are weighted by their speakers less one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import SettingsError
from kaimen_train.points import means_of

TAKES = 4  # of a text by a speaker, from which nearness can be told from chance
FOURS = 5_000  # speakers drawn of a text, four at a time

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledPoints:
    """Voiceprints, and whose they are."""

    points: Matrix  # (recordings, dimension)
    corpora: NDArray[np.str_]  # (recordings,), as the following
    speakers: NDArray[np.str_]
    texts: NDArray[np.str_]

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int_]) -> LabelledPoints:
        """Return some of them."""
        return LabelledPoints(
            self.points[chosen], self.corpora[chosen], self.speakers[chosen], self.texts[chosen]
        )


@dataclass(frozen=True)
class Moments:
    """What can be said of one corpus, or of several."""

    speakers: int
    recordings: int
    mean: Matrix  # (dimension,), of the texts' means
    between: Matrix  # (dimension, dimension)
    within: Matrix
    nearness: Matrix | None  # (4,): see _nearness
    # What tr(B^2) is of tr(B)^2 for the covariance B between: one over how many directions
    # there would be if all were equally wide. None where no four speakers repeat a text.
    concentration: float | None


def pooled(voices: LabelledPoints) -> Moments:
    found = [
        _moments(voices.only(voices.corpora == corpus)) for corpus in np.unique(voices.corpora)
    ]
    known = [each for each in found if each is not None]
    near = [each for each in known if each.nearness is not None]
    if not near:
        raise SettingsError(
            f"a population needs speakers, some of them held out of training, who say the same "
            f"text {TAKES} times; see docs/figures/school.md"
        )

    told = [each for each in known if each.concentration is not None]

    def mean(name: str, of: list[Moments]) -> Matrix:
        weights = [each.speakers - 1 for each in of]
        return np.asarray(np.average([getattr(each, name) for each in of], 0, weights), np.float64)

    return Moments(
        speakers=sum(each.speakers for each in known),
        recordings=sum(each.recordings for each in known),
        mean=mean("mean", known),
        between=mean("between", known),
        within=mean("within", known),
        nearness=mean("nearness", near),
        concentration=float(mean("concentration", told)) if told else None,
    )


def _moments(voices: LabelledPoints) -> Moments | None:
    """Analysis of variance by text; unbiased for any number of takes (Searle et al. 1992, 4).

    None where no two speakers say the same text, or nobody says one twice.
    """
    dimension = voices.points.shape[1]
    between, within = np.zeros((2, dimension, dimension))
    means, nearness, squares, repeats, counted = [], [], [], [], set()
    recordings, apart, repeated, weight = 0, 0, 0, 0.0
    for text in np.unique(voices.texts):
        said = voices.only(voices.texts == text)
        names, owners, counts = np.unique(said.speakers, return_inverse=True, return_counts=True)
        if len(names) < 2:
            continue
        centres = means_of(said.points, owners)
        mean = said.points.mean(axis=0)
        aside = said.points - centres[owners]
        within += aside.T @ aside
        between += (centres - mean).T @ ((centres - mean) * counts[:, None])
        recordings += len(said.points)
        apart += len(names) - 1
        repeated += len(said.points) - len(names)
        weight += len(said.points) - np.sum(counts**2) / len(said.points)
        means.append(mean)
        counted |= set(names)
        again = np.flatnonzero(counts > 1)
        if len(again) >= 4:
            order = np.argsort(owners, kind="stable")
            first = np.cumsum(counts) - counts
            two = [said.points[order[first[again] + take]] for take in (0, 1)]
            squares.append(_square(*two))
            repeats.append(len(again))
        nearness += [
            _nearness(said.points[owners == owner])
            for owner in np.flatnonzero(counts >= TAKES).tolist()
        ]
    if not means or not repeated:
        return None
    within /= repeated
    between = (between - apart * within) / weight
    square = np.average(squares, weights=repeats) if squares else None
    return Moments(
        speakers=len(counted),
        recordings=recordings,
        mean=np.mean(means, axis=0),
        between=between,
        within=within,
        nearness=np.mean(nearness, axis=0) if nearness else None,
        concentration=None if square is None else float(square / np.trace(between) ** 2),
    )


def _square(first: Matrix, second: Matrix) -> float:
    """tr(B^2) of the covariance between speakers, from two takes of each (speakers, dimension).

    Unbiased, as the trace of a squared estimate is not: where a, b, c, d are four speakers, the
    product (a - b)(c - d) of their first takes times that of their second ones is 4 tr(B^2) on
    average. No mean is taken off, and what a take adds is never multiplied by itself.
    """
    random = np.random.default_rng(0)
    a, b, c, d = np.array([random.permutation(len(first))[:4] for _ in range(FOURS)]).T
    of_both = [np.sum((x[a] - x[b]) * (x[c] - x[d]), axis=1) for x in (first, second)]
    return float(np.mean(of_both[0] * of_both[1]) / 4)


def _nearness(points: Matrix) -> Matrix:
    """Of one speaker's takes: means of cosines, of their squares, and of products of two.

    Where c is how near a take lies to its speaker, the cosine of two is the product of theirs on
    average. Two pairs that share a take have E[c^2] E[c]^2 on average, two that share none E[c]^4:
    together they tell how c varies between takes and between speakers, and the squares how much
    alike two takes are beside that.
    """
    takes = len(points)
    cosines = points @ points.T
    np.fill_diagonal(cosines, 0)
    total, squares = cosines.sum(), np.sum(cosines**2)
    sharing = np.sum(cosines.sum(axis=1) ** 2) - squares
    disjoint = total**2 - 4 * sharing - 2 * squares
    pairs = takes * (takes - 1)
    ways = np.array([pairs, pairs, pairs * (takes - 2), pairs * (takes - 2) * (takes - 3)])
    return np.asarray(np.array([total, squares, sharing, disjoint]) / ways, np.float64)
