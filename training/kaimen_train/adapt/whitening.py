"""A school's own map of the latent space, and whether it is worth having.

At one gate all say the same phrase into the same microphone in the same room. What all points of a
school have in common, their mean, therefore tells nobody apart; what one student's recordings vary
in tells nobody apart, either. Both are turned down by one linear map,

    A = (W + m m')^(-1/2),    W = (1 - share) S + share (tr S / d) I,

of the school's mean m and the covariance S within students, shrunk towards a sphere: twenty
students have too few recordings for 192 dimensions. It is within-class covariance normalization
(A. Hatch, S. Kajarekar and A. Stolcke, Interspeech 2006) that takes the common part for one more
direction within students. Being linear, it folds into the last layer of the encoder, and it carries
points that exist already.

Whether it helps is measured on students whom it was not fitted to. Unless an interval of the gain
excludes none, the encoder stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import SettingsError
from kaimen.voice.score import score_of
from kaimen.voice.spread import spread_of
from kaimen_train.evaluation.metrics import equal_error_rate, interval_of_separation_gained
from kaimen_train.evaluation.protocols import ENROLLED
from kaimen_train.points import Points, means_of, unit

SHARES = (0.3, 0.6, 0.9)  # of the sphere, that cross-validation chooses from
FOLDS = 4
SPLITS = 3  # into so many folds, each otherwise
FEWEST = 8  # students
RECORDINGS = 2  # of each, at least
PAIRS = 50_000  # of different students that are compared in a fold, at most

Map = NDArray[np.float32]  # (dimension, dimension): rows of points times it are the new rows
Names = NDArray[np.str_]  # (recordings,)


@dataclass(frozen=True, slots=True)
class Gain:
    """What the map changes for students it was not fitted to, over pairs of their recordings."""

    before: float  # EER
    after: float
    separation: tuple[float, float]  # 95 % interval of the d' gained, by bootstrap over students
    share: float  # chosen on all students
    students: int
    recordings: int
    strangers: dict[str, float]  # strangers' scores after the map, as on a card

    @property
    def certain(self) -> bool:
        """Return whether the interval excludes that nothing is gained."""
        return self.separation[0] > 0


def fit(points: Points, students: Names, share: float) -> Map:
    """Return the map for a school's unit-length points (recordings, dimension); share in (0, 1]."""
    wide = points.astype(np.float64)
    _, who = np.unique(students, return_inverse=True)
    means = means_of(wide, who)
    aside = wide - means[who]
    within = aside.T @ aside / max(1, len(wide) - len(means))
    sphere = np.trace(within) / len(within) * np.eye(len(within))
    common = wide.mean(0)
    nuisance = (1 - share) * within + share * sphere + np.outer(common, common)
    sizes, directions = np.linalg.eigh(nuisance)
    scales = np.sqrt(sizes.min() / sizes)  # at most one: a point keeps about its length
    return np.asarray((directions * scales) @ directions.T, np.float32)


def move(points: Points, way: Map) -> Points:
    """Return points (recordings, dimension) after the map, of unit length again."""
    return unit(points @ way)


def gain(points: Points, students: Names) -> Gain:
    """Cross-validate the map over students; each fold chooses its share on the others alone.

    points (recordings, dimension) of the old encoder, students the name of each one's speaker.
    Raises SettingsError for too few.
    """
    names, counts = np.unique(students, return_counts=True)
    names = names[counts >= RECORDINGS]
    if len(names) < FEWEST:
        raise SettingsError(
            f"only {len(names)} students have {RECORDINGS} usable recordings or more; "
            f"adapting needs {FEWEST}, better 20"
        )
    useful = np.isin(students, names)
    points, students = points[useful], students[useful]
    _, numbers = np.unique(students, return_inverse=True)
    before, after, first, second, strangers = [], [], [], [], []
    for apart in _folds(students, SPLITS):
        share = _best_share(points[~apart], students[~apart])
        moved = move(points[apart], fit(points[~apart], students[~apart], share))
        who = numbers[apart]
        one, other = _pairs(who)
        before.append((points[apart] @ points[apart].T)[one, other])
        after.append((moved @ moved.T)[one, other])
        first.append(who[one])
        second.append(who[other])
        strangers += _strangers(moved, who)
    old, new, left, right = map(np.concatenate, (before, after, first, second))
    same = left == right
    return Gain(
        before=equal_error_rate(old[same], old[~same]),
        after=equal_error_rate(new[same], new[~same]),
        separation=interval_of_separation_gained(old, new, left, right),
        share=_best_share(points, students),
        students=len(names),
        recordings=len(points),
        strangers={**spread_of(np.array(strangers)), "scores": len(strangers)},
    )


def learned(old: Points, new: Points) -> Map:
    """The map between two spaces where none is known, from recordings that have points in both.

    Least squares that rather turn little: a penalty as of one recording pulls towards the rotation
    that fits best (P. Schoenemann, Psychometrika 31, 1966).
    """
    left, _, right = np.linalg.svd(old.T.astype(np.float64) @ new)
    turn = left @ right
    square = old.T.astype(np.float64) @ old
    missing = old.T @ (new - old @ turn)
    way: Map = (turn + np.linalg.solve(square + np.eye(len(square)), missing)).astype(np.float32)
    return way


def _strangers(points: Points, who: NDArray[np.int_]) -> list[float]:
    """Return scores of every recording at every other student, enrolled with the first few."""
    every = {name: points[who == name] for name in np.unique(who)}
    return [
        score
        for student, enrolled in every.items()
        for stranger, theirs in every.items()
        if stranger != student
        for score in score_of(enrolled[: len(ENROLLED)], theirs).tolist()
    ]


def _best_share(points: Points, students: Names) -> float:
    """Return the share whose map separates students it was not fitted to best."""
    errors = []
    for share in SHARES:
        scores, same = [], []
        for apart in _folds(students, 1):
            moved = move(points[apart], fit(points[~apart], students[~apart], share))
            one, other = _pairs(students[apart])
            scores.append((moved @ moved.T)[one, other])
            same.append(students[apart][one] == students[apart][other])
        all_scores, all_same = np.concatenate(scores), np.concatenate(same)
        errors.append(equal_error_rate(all_scores[all_same], all_scores[~all_same]))
    return SHARES[int(np.argmin(errors))]


def _pairs(who: NDArray[Any]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return all pairs of a student's recordings, and as many of others' as PAIRS, drawn."""
    one, other = np.triu_indices(len(who), 1)
    chosen = who[one] == who[other]
    strangers = np.flatnonzero(~chosen)
    if len(strangers) > PAIRS:
        strangers = np.random.default_rng(0).choice(strangers, PAIRS, replace=False)
    chosen[strangers] = True
    return one[chosen], other[chosen]


def _folds(students: Names, splits: int) -> Iterator[NDArray[np.bool_]]:
    """Yield which recordings are of a fold, (recordings,): students, not recordings, are split."""
    random = np.random.default_rng(0)
    names = np.unique(students)
    for _ in range(splits):
        for chosen in np.array_split(random.permutation(names), FOLDS):
            yield np.isin(students, chosen)
