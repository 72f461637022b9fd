"""What a school's own recordings could teach an encoder that never heard these voices.

A school enrolls five takes of each student, and learns from those alone: a linear map of the
points, or the last layer anew. Then each student comes once with the sixth take, and strangers
come with all of theirs. What a school has to choose, it chooses on its own students.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kaimen.voice.score import centroids_of, scores
from kaimen_train.adapt import whitening
from kaimen_train.adapt.many_voices import TAKES, ManyVoices
from kaimen_train.encoder.losses import margin_softmax
from kaimen_train.evaluation.metrics import equal_error_rate, interval, threshold_at
from kaimen_train.points import Points, means_of, unit

SIZES = {100: 10, 300: 3, 1_000: 1}  # students of a school, and how many schools are drawn
POOL = 1_000  # speakers that schools are drawn from; all others are strangers
ENROLLED = TAKES - 1
FPIR = 0.01
ROUNDS = 500  # of the bootstrap over students and strangers
HELD = 4  # one in so many students is held back to choose by
PULLS = (3.0, 10.0, 30.0)  # of the last layer towards itself, that a school chooses from
STEPS, RATE, BATCH, MARGIN = 300, 2e-4, 128, 0.2  # of the last layer's training

Numbers = NDArray[np.int64]
Learn = Callable[[Points, whitening.Names, float], whitening.Map]  # shrunk by a share
Teacher = Callable[[ManyVoices, Points, Numbers], Points]  # points of everybody, as taught


@dataclass(frozen=True)
class SchoolVisits:
    """Scores of those who come to one school."""

    own: NDArray[np.float32]  # (students,): of the sixth take; -inf where somebody else is nearer
    strangers: NDArray[np.float32]  # (strangers, takes): at whom they are nearest to

    def fnir(self, students: Numbers | None = None, strangers: Numbers | None = None) -> float:
        """Return the share of students not let in, where FPIR of strangers are."""
        own = self.own if students is None else self.own[students]
        others = self.strangers if strangers is None else self.strangers[strangers]
        return float(np.mean(own < threshold_at(others.ravel(), FPIR)))


def teach(voices: ManyVoices, others: Points | None = None) -> dict[str, Any]:
    """Return FNIR at FPIR by size of school and by what was taught; with intervals.

    ``others`` are points of the same takes by an encoder that did hear them, for comparison.
    """
    before = voices.points()
    random = np.random.default_rng(0)
    order = random.permutation(voices.speakers)
    pool, strangers = order[:POOL], order[POOL:]
    teachers: dict[str, Teacher] = {
        "whitening within students": partial(_mapped, whitening.fit),
        "whitening and the spread of students": partial(_mapped, spread_map),
        "the last layer": _last_layer,
    }
    found: dict[str, Any] = {}
    for size, draws in SIZES.items():
        if size > len(pool):
            continue
        schools = [random.choice(pool, size, replace=False) for _ in range(draws)]
        untaught = [visits(before, school, strangers) for school in schools]
        rows = {"as it was": figures(untaught, untaught)}
        for name, teacher in teachers.items():
            taught = [
                visits(teacher(voices, before, school), school, strangers) for school in schools
            ]
            rows[name] = figures(taught, untaught)
        if others is not None:
            heard = [visits(others, school, strangers) for school in schools]
            rows["an encoder that heard them in training"] = figures(heard, untaught)
        found[str(size)] = rows
    return {"strangers": len(strangers), "takes_of_each": TAKES, "schools": found}


def visits(points: Points, school: Numbers, strangers: Numbers) -> SchoolVisits:
    """Return who scores how at a school; points (speakers, TAKES, dimension)."""
    enrolled = points[school, :ENROLLED].reshape(-1, points.shape[2])
    starts = np.arange(len(school)) * ENROLLED
    centroids = centroids_of(enrolled, starts)

    def scored(probes: Points) -> NDArray[np.float32]:
        return scores(probes @ enrolled.T, starts, probes @ centroids.T)

    every = scored(points[school, ENROLLED])
    own = np.diagonal(every).copy()
    own[every.argmax(axis=1) != np.arange(len(school))] = -np.inf
    blocks = [scored(points[each]).max(axis=1) for each in strangers]
    return SchoolVisits(own, np.stack(blocks))


def figures(after: Sequence[SchoolVisits], before: Sequence[SchoolVisits]) -> dict[str, Any]:
    """Return the mean FNIR of schools, and how much less it is than before, with intervals."""
    random = np.random.default_rng(0)
    drawn, change = [], []
    for _ in range(ROUNDS):
        strangers = random.integers(0, len(before[0].strangers), len(before[0].strangers))
        pairs = []
        for new, old in zip(after, before, strict=True):
            students = random.integers(0, len(old.own), len(old.own))
            pairs.append([each.fnir(students, strangers) for each in (new, old)])
        new_mean, old_mean = np.mean(pairs, axis=0)
        drawn.append(new_mean)
        change.append(new_mean / old_mean - 1 if old_mean else 0.0)
    fnir, was = (float(np.mean([each.fnir() for each in one])) for one in (after, before))
    return {
        "fnir": fnir,
        "interval": interval(drawn),
        "change": fnir / was - 1 if was else 0.0,
        "change_interval": interval(change),
        "schools": len(after),
    }


def _own(points: Points, school: Numbers) -> tuple[Points, NDArray[np.str_]]:
    """Return what a school enrolled, (recordings, dimension), and whose each is."""
    enrolled = points[school, :ENROLLED]
    return enrolled.reshape(-1, points.shape[2]), np.repeat(school, ENROLLED).astype(str)


def _mapped(learn: Learn, voices: ManyVoices, points: Points, school: Numbers) -> Points:
    """Return a linear map of the points; the school chooses how far it is shrunk."""
    own, names = _own(points, school)
    return unit(points @ learn(own, names, _best_share(learn, own, names)))


def spread_map(points: Points, students: NDArray[np.str_], share: float) -> whitening.Map:
    """Return a map by the two-covariance model of PLDA (N. Brummer and E. de Villiers, 2010).

    Points are whitened within students, shrunk by ``share``; then each direction counts by the
    share of its variance that is between students, as a posterior mean's does.
    """
    way = whitening.fit(points, students, share).astype(np.float64)
    moved = points @ way
    _, who = np.unique(students, return_inverse=True)
    means = means_of(moved, who)
    within = float(np.mean((moved - means[who]) ** 2)) * len(moved) / (len(moved) - len(means))
    sizes, directions = np.linalg.eigh(np.cov(means.T))
    between = np.maximum(sizes - within / np.bincount(who).mean(), 0)
    weights = np.sqrt(between / (between + within) + 0.05)
    return np.asarray(way @ (directions * weights) @ directions.T, np.float32)


def _best_share(learn: Learn, points: Points, students: whitening.Names) -> float:
    """Return the share whose map tells students best apart whom it was not learned from."""
    names = np.unique(students)
    held = np.isin(students, np.random.default_rng(0).permutation(names)[: len(names) // HELD])
    ways = [learn(points[~held], students[~held], share) for share in whitening.SHARES]
    errors = [_pair_error(unit(points[held] @ way), students[held]) for way in ways]
    return whitening.SHARES[int(np.argmin(errors))]


def _pair_error(points: Points, students: NDArray[np.str_]) -> float:
    first, second = np.triu_indices(len(points), 1)
    cosines = (points @ points.T)[first, second]
    same = students[first] == students[second]
    return equal_error_rate(cosines[same], cosines[~same])


def _last_layer(voices: ManyVoices, points: Points, school: Numbers) -> Points:
    """The last layer, trained on the school's recordings; the school chooses how far it may go."""
    held = np.random.default_rng(0).permutation(school)[: len(school) // HELD]
    rest = np.setdiff1d(school, held)
    errors = []
    for pull in PULLS:
        own, names = _own(voices.points(_trained(voices, points, rest, pull)), held)
        errors.append(_pair_error(own, names))
    own, names = _own(points, held)
    if _pair_error(own, names) <= min(errors):
        return points  # nothing was gained for who was held back
    return voices.points(_trained(voices, points, school, PULLS[int(np.argmin(errors))]))


def _trained(
    voices: ManyVoices, points: Points, school: Numbers, pull: float
) -> NDArray[np.float32]:
    """Return the kernel after margin softmax over students, held to its own points by ``pull``."""
    ends = np.append(voices.starts[1:], len(voices.pooled))
    which: list[int] = []
    who: list[int] = []
    for number, speaker in enumerate(school.tolist()):
        for take in range(speaker * TAKES, speaker * TAKES + ENROLLED):
            which += range(voices.starts[take], ends[take])
            who += [number] * int(ends[take] - voices.starts[take])
    pooled, labels = voices.pooled[which], np.array(who, np.int32)
    before = unit(pooled @ voices.kernel + voices.bias)
    kernel = tf.Variable(voices.kernel)
    centres = tf.Variable(unit(points[school, :ENROLLED].sum(axis=1)))
    optimizer = tf.keras.optimizers.Adam(RATE)
    random = np.random.default_rng(0)

    def step(heard: tf.Tensor, said_by: tf.Tensor, anchors: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            made = tf.math.l2_normalize(heard @ kernel + voices.bias, 1)
            away = 1 - tf.reduce_mean(tf.reduce_sum(made * anchors, 1))
            apart = margin_softmax(
                made, tf.math.l2_normalize(centres, 1), said_by, tf.constant(MARGIN)
            )
            loss = apart + pull * away
        chosen = [kernel, centres]
        optimizer.apply_gradients(zip(tape.gradient(loss, chosen), chosen, strict=True))

    fast = tf.function(step, reduce_retracing=True)
    for _ in range(STEPS):
        batch = random.integers(0, len(labels), BATCH)
        fast(tf.constant(pooled[batch]), tf.constant(labels[batch]), tf.constant(before[batch]))
    return np.asarray(kernel.numpy(), np.float32)
