"""Tell whether a synthetic school gives away whose voices it was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from scipy.stats import skew

from kaimen_train.evaluation.metrics import auc, interval
from kaimen_train.points import Points, unit
from kaimen_train.school.variance import LabelledPoints

SHARPNESS = 30.0  # of the kernel: von Mises and Fisher's concentration
RESAMPLED = 1_000  # of the bootstrap
BLOCK = 100  # people compared at a time
TAKES = 5  # of an unseen person, as many as of a synthetic student
WIDEST = 16  # directions in which a turned school is fitted to people, match by match
ROUNDS = 30
NEAR = 0.95  # quantile of how near unseen people lie, beyond which a student is too near

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class People:
    """One point a person."""

    points: Points  # (people, dimension): means of their recordings, less those of the texts
    names: NDArray[np.str_]  # corpus and speaker


def people(voices: LabelledPoints, takes: int | None = None, seed: int = 0) -> People:
    """Each speaker's mean, of all recordings or of ``takes`` at random from those who have them."""
    said = np.char.add(np.char.add(voices.corpora, "/"), voices.texts)
    points = voices.points.copy()
    for text in np.unique(said):
        points[said == text] -= points[said == text].mean(axis=0)
    random = np.random.default_rng(seed)
    names = np.char.add(np.char.add(voices.corpora, "/"), voices.speakers)
    means, kept = [], []
    for name in np.unique(names):
        own = np.flatnonzero(names == name)
        if takes is None or len(own) >= takes:
            means.append(points[own if takes is None else random.permutation(own)[:takes]].mean(0))
            kept.append(name)
    return People(np.array(means, np.float32), np.array(kept))


def half(names: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return whether a name belongs to the first half of all, by a hash."""
    return np.array([sha256(str(name).encode()).digest()[0] % 2 == 0 for name in names])


def directions(school: Points) -> Points:
    """Students' mean voiceprints (students, dimension), of a school with their recordings."""
    return unit(school.mean(axis=1))


def like(school: Points, someone: People) -> Points:
    """People's directions where this school's students have theirs: texts move all of a school."""
    return unit(someone.points + school.mean(axis=(0, 1)))


def nearest(points: Points, others: Points) -> Scores:
    """The highest cosine of each of points (n, dimension) to any of the others (m, dimension)."""
    blocks = np.array_split(points, -(-len(points) // BLOCK))
    return np.concatenate([(block @ others.T).max(axis=1) for block in blocks])


def nearness(school: Points, members: People, strangers: People) -> tuple[Scores, Scores]:
    """Return how near synthetic students and unseen people (by TAKES each) come to the speakers."""
    known = like(school, members)
    return nearest(directions(school), known), nearest(like(school, strangers), known)


def too_near(drawn: Scores, real: Scores) -> float:
    """Share of the students nearer to a speaker than all but 5 % of unseen people; 0.05 at best."""
    return float(np.mean(drawn > np.quantile(real, NEAR)))


def attacks(school: Points, someone: People) -> dict[str, Scores]:
    """Return how sure an attacker who holds the school is of each person; higher: was learned from.

    By the nearest student; by the density of students (von Mises and Fisher's kernel); and by
    the distance of Mahalanobis to all of them, which no copy gives away but the covariance does.
    """
    students, asked = directions(school), like(school, someone)
    density = [
        np.log(np.mean(np.exp(SHARPNESS * (block @ students.T - 1)), axis=1))
        for block in np.array_split(asked, -(-len(asked) // BLOCK))
    ]
    aside = asked - students.mean(axis=0)
    distances = np.sum(aside * np.linalg.solve(np.cov(students.T), aside.T).T, axis=1)
    return {
        "nearest": nearest(asked, students),
        "density": np.concatenate(density),
        "covariance": (-distances).astype(np.float32),
    }


def laid_back(school: Points, someone: People, mean: Points) -> Points:
    """A turned school laid where people lie, as well as an attacker can who knows such people.

    Its mean is laid on ``mean``, which is public, and its widest directions on theirs in turn,
    each the way that is as skewed; then every person is matched with the nearest student and
    the widest directions are turned to bring the matches together, again and again (iterative
    closest points).
    """
    asked = unit(someone.points + mean * np.linalg.norm(school.mean(axis=(0, 1))))
    students = directions(school)
    from_here, to_there = _axes(students), _axes(asked)
    here, there = students @ from_here, asked @ to_there
    ways = np.where(skew(here, axis=0) * skew(there, axis=0) < 0, -1, 1)
    ways[0] = 1
    wide = slice(1, 1 + WIDEST)
    theirs, ours = unit(there[:, wide]), (here * ways)[:, wide]
    turn = np.eye(ours.shape[1])
    for _ in range(ROUNDS):
        matched = ours[(theirs @ unit(ours @ turn).T).argmax(axis=1)]
        left, _, right = np.linalg.svd(matched.T @ there[:, wide])
        turn = left @ right
    whole = np.diag(ways).astype(np.float64)
    whole[wide, wide] = ways[wide, np.newaxis] * turn
    return (school @ (from_here @ whole @ to_there.T)).astype(np.float32)


def _axes(points: Points) -> NDArray[np.float64]:
    """Return the direction of their mean, then the widest across it: (dimension, dimension)."""
    mean = points.mean(axis=0, dtype=np.float64)
    mean /= np.linalg.norm(mean)
    aside = points - np.outer(points @ mean, mean)
    directions = np.linalg.eigh(np.cov(aside.T))[1][:, ::-1]
    return np.column_stack((mean, directions[:, :-1]))


def averaged(splits: list[tuple[Scores, Scores]]) -> tuple[float, float, float]:
    """Mean AUC of several (inside, outside), and its 95 % interval by bootstrap over people."""
    random = np.random.default_rng(0)
    drawn = [
        np.mean([auc(*(random.choice(each, len(each)) for each in split)) for split in splits])
        for _ in range(RESAMPLED)
    ]
    return float(np.mean([auc(*split) for split in splits])), *interval(drawn)
