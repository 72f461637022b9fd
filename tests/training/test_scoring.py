"""Rules for a student's score, by hand; and held against each other on voices made by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from kaimen.voice.score import RULE, score_of
from kaimen_train.evaluation import scoring


def unit(points: np.ndarray) -> np.ndarray:
    found: np.ndarray = points / np.linalg.norm(points, axis=-1, keepdims=True)
    return found.astype(np.float32)


@pytest.fixture
def enrolled() -> np.ndarray:
    return unit(np.random.default_rng(0).normal(size=(5, 8)))


@pytest.fixture
def probes() -> np.ndarray:
    return unit(np.random.default_rng(1).normal(size=(4, 8)))


def test_the_best_few_of_five(enrolled: np.ndarray, probes: np.ndarray) -> None:
    cosines = np.sort(probes @ enrolled.T, axis=1)
    for count in range(1, 6):
        expected = cosines[:, 5 - count :].mean(axis=1)
        np.testing.assert_allclose(scoring.best(count)(enrolled, probes), expected, atol=1e-6)


def test_the_centroid_has_unit_length(enrolled: np.ndarray, probes: np.ndarray) -> None:
    centre = unit(enrolled.mean(axis=0))
    assert scoring.centroid(enrolled, centre[np.newaxis])[0] == pytest.approx(1, abs=1e-6)
    assert (scoring.centroid(enrolled, probes) <= 1).all()


def test_the_rule_of_the_gate_is_among_them(enrolled: np.ndarray, probes: np.ndarray) -> None:
    found = scoring.rules(probes)[RULE](enrolled, probes)
    np.testing.assert_array_equal(found, score_of(enrolled, probes))
    parts = (scoring.best(1)(enrolled, probes), scoring.centroid(enrolled, probes))
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-6)


def test_a_normalized_score_is_lower_where_many_are_near(enrolled: np.ndarray) -> None:
    probe = enrolled[:1]
    random = np.random.default_rng(2)
    near = unit(enrolled[0] + 0.5 * random.normal(size=(60, 8)))
    far = unit(random.normal(size=(60, 8)))
    crowded, alone = (
        scoring.normalized(scoring.best(1), cohort)(enrolled, probe)[0] for cohort in (near, far)
    )
    assert crowded < alone


def test_a_rule_that_knows_everybody_makes_no_error() -> None:
    axes = np.eye(3, dtype=np.float32)
    points = np.repeat(axes, 7, axis=0)
    said = {f"s{n}": list(range(7 * n, 7 * n + 7)) for n in range(3)}
    assert scoring.error(scoring.centroid, points, [said]) == 0


def test_without_takes_to_come_with_there_is_no_figure() -> None:
    points = np.eye(4, dtype=np.float32)
    assert scoring.error(scoring.centroid, points, [{"a": [0, 1], "b": [2, 3]}]) is None
