"""The protocol *coach*: the chance of being turned away that is predicted, and the measured one.

A student of the corpora enrolls with five takes, drawn anew again and again, some of them in a
worse place; the other takes come to the gate, one in five in a worse place. Calls enroll with their
first call, and the calls of other days come. The curve is fitted on the train split's speakers and
held against the eval split's; nothing is fitted on calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.thresholds import threshold_of
from kaimen.enrollment.chance import WEIGHTS, chance_by, chance_of_rejection, terms_of
from kaimen.enrollment.coach import OFTEN
from kaimen.enrollment.judging import LIKE_STRANGERS
from kaimen.enrollment.take_quality import TakeQuality
from kaimen.voice.score import among_themselves, score_of
from kaimen.voice.spread import exceeded_by
from kaimen_train.evaluation.coach_takes import CALLS, TakeTable

PHRASED = ("arabic40", "mandarin20", "speechocean")  # more than a word, of one day
ENROLLED = 5
DRAWS = 30  # enrollments of a student
WORSE = (0.0, 0.3, 1.0)  # chances that a take enrolls in a worse place, one drawn an enrollment
WORSE_AT_THE_GATE = 0.2  # chance that a probe is heard in one
FPIR = 0.01
SIZES = (5, 50, 500, 5_000)  # of the schools whose thresholds are tried
BEFORE = (1, 2, 4)  # good takes that a take is compared with
BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
SEED = 0

Points = NDArray[np.float32]


@dataclass(frozen=True)
class TakesOfStudent:
    """All takes of one passphrase: (takes, 2, ...); which enroll, where that is not drawn."""

    corpus: str
    split: str
    speaker: str
    points: Points
    qualities: NDArray[np.float32]
    first: NDArray[np.bool_] | None  # takes of the first session


@dataclass(frozen=True)
class DrawnEnrollment:
    """One enrollment: takes that enroll, takes that come, and takes left to replace one with."""

    student: TakesOfStudent
    chosen: NDArray[np.int64]  # takes
    worse: NDArray[np.int64]  # rendition of each
    probes: Points
    spare: tuple[int, int]  # a take that neither enrolls nor comes, and its rendition

    @property
    def points(self) -> Points:
        """Return voiceprints of the takes that enroll, (takes, dimension)."""
        return self.student.points[self.chosen, self.worse]

    @property
    def qualities(self) -> list[TakeQuality]:
        """Return their qualities."""
        rows = self.student.qualities[self.chosen, self.worse].tolist()
        return [TakeQuality(*row) for row in rows]

    def replacing(self, place: int) -> DrawnEnrollment:
        """Return the same with the spare take in the place of one."""
        chosen, worse = self.chosen.copy(), self.worse.copy()
        chosen[place], worse[place] = self.spare
        return replace(self, chosen=chosen, worse=worse)

    def with_spare(self) -> DrawnEnrollment:
        """Return the same with the spare take beside the others."""
        take, worse = self.spare
        return replace(
            self, chosen=np.append(self.chosen, take), worse=np.append(self.worse, worse)
        )

    def turned_away(self, threshold: float) -> float:
        """Return the share of the probes that are turned away."""
        return float(np.mean(score_of(self.points, self.probes) < threshold))


def students_of(table: TakeTable) -> list[TakesOfStudent]:
    """Return the students of the table who have takes enough."""
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, named in enumerate(table.students):
        places[named].append(at)
    found = []
    for (corpus, split, speaker, _), own in places.items():
        first = None
        if corpus == CALLS:
            sessions = [table.sessions[at] for at in own]
            first = np.array([each == min(sessions) for each in sessions])
            if first.sum() < ENROLLED or first.all():
                continue
        elif len(own) < ENROLLED + 1:
            continue
        found.append(
            TakesOfStudent(corpus, split, speaker, table.points[own], table.qualities[own], first)
        )
    return found


def enrollments(students: Sequence[TakesOfStudent], draws: int) -> Iterator[DrawnEnrollment]:
    """Draw enrollments of students; always the same ones."""
    random = np.random.default_rng(SEED)
    for student in students:
        for _ in range(draws):
            count = len(student.points)
            order = random.permutation(count)
            if student.first is not None:
                order = np.concatenate((order[student.first[order]], order[~student.first[order]]))
            chosen, rest = order[:ENROLLED], order[ENROLLED:]
            spare, probes = int(rest[0]), rest[1:] if len(rest) > 1 else rest
            share = WORSE[random.integers(len(WORSE))]
            worse = (random.random(ENROLLED) < share).astype(np.int64)
            heard = (random.random(len(probes)) < WORSE_AT_THE_GATE).astype(np.int64)
            yield DrawnEnrollment(
                student, chosen, worse, student.points[probes, heard],
                (spare, int(random.random() < share)),
            )  # fmt: skip


@dataclass(frozen=True)
class Predictions:
    """One row an enrollment and threshold."""

    terms: NDArray[np.float64]  # (rows, TERMS)
    measured: NDArray[np.float64]  # share turned away
    weights: NDArray[np.float64]  # a corpus counts as much as any other
    corpus: NDArray[np.str_]

    def only(self, which: NDArray[np.bool_]) -> Predictions:
        """Return some of the rows."""
        return Predictions(
            self.terms[which], self.measured[which], self.weights[which], self.corpus[which]
        )


def rows_of(drawn: Sequence[DrawnEnrollment], others: dict[str, float]) -> Predictions:
    """Return what is known of each enrollment at each school's threshold, and what came of it."""
    asked = thresholds(others).values()
    terms, measured, corpus = [], [], []
    for each in drawn:
        qualities = each.qualities
        for threshold in asked:
            terms.append(terms_of(each.points, qualities, threshold))
            measured.append(each.turned_away(threshold))
            corpus.append(each.student.corpus)
    names, which, counts = np.unique(corpus, return_inverse=True, return_counts=True)
    return Predictions(
        np.array(terms), np.array(measured), (1 / counts)[which] / len(names), np.array(corpus)
    )


def fit(rows: Predictions) -> list[float]:
    """Return the weights of the terms, by logistic regression."""
    from sklearn.linear_model import LogisticRegression

    share = np.concatenate((rows.measured, 1 - rows.measured))
    weights = np.concatenate((rows.weights, rows.weights)) * share * len(rows.measured)
    answers = np.repeat([1, 0], len(rows.measured))
    model = LogisticRegression(C=1e3, max_iter=2_000, fit_intercept=False)
    model.fit(np.concatenate((rows.terms, rows.terms)), answers, sample_weight=weights)
    return [round(each, 2) for each in model.coef_[0].tolist()]


def calibration_of(rows: Predictions) -> dict[str, Any]:
    """Return predicted against measured chances by bin, and their mean distance, in points."""
    predicted = np.array([chance_by(tuple(each)) for each in rows.terms])
    which = np.digitize(predicted, BINS[1:-1])
    bins = []
    for at in range(len(BINS) - 1):
        inside = which == at
        if inside.any():
            weights = rows.weights[inside]
            bins.append(
                {
                    "predicted": float(np.average(predicted[inside], weights=weights)),
                    "measured": float(np.average(rows.measured[inside], weights=weights)),
                    "share": float(weights.sum() / rows.weights.sum()),
                    "enrollments": int(inside.sum()),
                }
            )
    error = sum(each["share"] * abs(each["predicted"] - each["measured"]) for each in bins)
    return {
        "mean_error": 100 * error,
        "predicted": float(np.average(predicted, weights=rows.weights)),
        "measured": float(np.average(rows.measured, weights=rows.weights)),
        "enrollments": len(predicted) // len(SIZES),
        "bins": bins,
    }


def retakes(drawn: Sequence[DrawnEnrollment], others: dict[str, float]) -> list[dict[str, Any]]:
    """Return what one re-take buys, by size of school, to the students who are asked for one.

    ``advised``: it comes beside the five. ``unlike``: it comes in place of the one that is least
    like the others. ``random``: it comes in place of any.
    """
    random = np.random.default_rng(SEED)
    found = []
    for size, threshold in thresholds(others).items():
        asked = [each for each in drawn if _chance(each, threshold) > OFTEN]
        unlike = [int(among_themselves(each.points).argmin()) for each in asked]
        any_of = random.integers(ENROLLED, size=len(asked))
        ways = {
            "before": asked,
            "advised": [each.with_spare() for each in asked],
            "unlike": [each.replacing(at) for each, at in zip(asked, unlike, strict=True)],
            "random": [each.replacing(at) for each, at in zip(asked, any_of, strict=True)],
        }
        shares = {
            name: _mean(way.turned_away(threshold) for way in own) for name, own in ways.items()
        }
        found.append({"students": size, "asked": len(asked) / len(drawn), **shares})
    return found


def taken_for_another(
    students: Sequence[TakesOfStudent], others: dict[str, float]
) -> list[dict[str, Any]]:
    """Return how often a take is not like the takes before, by corpus and by their number.

    ``own`` and ``worse`` are of the student's own takes, quiet and in a worse place; ``another``
    of takes of another speaker of the corpus.
    """
    random = np.random.default_rng(SEED)
    least = exceeded_by(others, LIKE_STRANGERS)
    found = []
    for corpus in sorted({each.corpus for each in students}):
        own = [each for each in students if each.corpus == corpus]
        for before in BEFORE:
            told: dict[str, list[float]] = {"own": [], "worse": [], "another": []}
            for student in own:
                strangers = [each for each in own if each.speaker != student.speaker]
                for _ in range(DRAWS):
                    order = random.permutation(len(student.points))
                    good, last = student.points[order[:before], 0], order[before]
                    stranger = strangers[random.integers(len(strangers))].points
                    told["own"].append(score_of(good, student.points[[last], 0])[0])
                    told["worse"].append(score_of(good, student.points[[last], 1])[0])
                    at = random.integers(len(stranger))
                    told["another"].append(score_of(good, stranger[[at], 0])[0])
            shares = {name: _mean(each < least for each in all_) for name, all_ in told.items()}
            found.append({"corpus": corpus, "before": before, **shares})
    return found


def _chance(each: DrawnEnrollment, threshold: float) -> float:
    return chance_of_rejection(each.points, each.qualities, threshold)


def _mean(shares: Iterable[float]) -> float | None:
    known = list(shares)
    return float(np.mean(known)) if known else None


def thresholds(others: dict[str, float]) -> dict[int, float]:
    """Return the threshold of schools by their size, by other people's voices alone."""
    nobody = np.zeros(0, np.float32)
    return {size: threshold_of(nobody, size, others, FPIR) for size in SIZES}


def evaluate(table: TakeTable, others: dict[str, float]) -> dict[str, Any]:
    """Fit on the train split, and hold what ships against the eval split.

    ``others`` is the spread of strangers' scores on the encoder's card.
    """
    students = students_of(table)
    learned = [each for each in students if each.split == "train"]
    unseen = [each for each in students if each.split != "train"]
    fitted = rows_of(list(enrollments(learned, DRAWS)), others)
    drawn = list(enrollments(unseen, DRAWS))
    tried = rows_of(drawn, others)
    phrases = [each for each in drawn if each.student.corpus in PHRASED]
    corpora = sorted(set(tried.corpus))
    return {
        "weights": dict(zip(WEIGHTS, fit(fitted), strict=True)),
        "shipped": WEIGHTS,
        "fitted_on": calibration_of(fitted),
        "same_day": calibration_of(tried.only(tried.corpus != CALLS)),
        "by_corpus": {each: calibration_of(tried.only(tried.corpus == each)) for each in corpora},
        "retakes": retakes(phrases, others),
        "taken_for_another": taken_for_another(
            [each for each in unseen if each.corpus in PHRASED], others
        ),
    }
