"""From cosines to scores, against the rule in plain loops."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.voice import score
from kaimen.voice.score import among_themselves, centroids_of, combined, score_of, scores
from tests.gallery.points import unit

COUNTS = st.lists(st.integers(1, 7), min_size=1, max_size=6)
SEEDS = st.integers(0, 1_000)


def plainly(enrolled: np.ndarray, probe: np.ndarray) -> float:
    """Half the best cosine, half the cosine to the centroid."""
    centroid = np.mean(enrolled.astype(np.float64), axis=0)
    best = max(float(point @ probe) for point in enrolled)
    return (best + float(centroid @ probe) / float(np.linalg.norm(centroid))) / 2


def drawn(counts: list[int], seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Students' points around something in common, and three probes."""
    random = np.random.default_rng(seed)
    students = [unit(0.5 + random.standard_normal((count, 6))) for count in counts]
    return students, unit(random.standard_normal((3, 6)))


@given(COUNTS, SEEDS)
def test_the_scores_of_many_students_are_what_plain_loops_give(
    counts: list[int], seed: int
) -> None:
    students, probes = drawn(counts, seed)
    points, starts = np.concatenate(students), np.cumsum(counts) - counts
    found = scores(probes @ points.T, starts, probes @ centroids_of(points, starts).T)
    expected = [[plainly(own, probe) for own in students] for probe in probes]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    alone = np.stack([score_of(own, probes) for own in students], axis=1)
    np.testing.assert_allclose(alone, expected, atol=1e-5)


@given(SEEDS)
def test_with_one_recording_the_score_is_the_cosine(seed: int) -> None:
    (own,), probes = drawn([1], seed)
    np.testing.assert_allclose(score_of(own, probes), (probes @ own.T)[:, 0], atol=1e-6)


@given(st.integers(2, 7), SEEDS)
def test_a_recording_is_scored_against_the_others(count: int, seed: int) -> None:
    (own,), _ = drawn([count], seed)
    expected = [plainly(np.delete(own, at, 0), own[at]) for at in range(count)]
    np.testing.assert_allclose(among_themselves(own), expected, atol=1e-5)


def test_between_takes_of_two_manners_a_voice_may_be_nearer_the_centroid_than_any_take() -> None:
    manners, middle = np.eye(2, dtype=np.float32), unit(np.ones((1, 2)))
    (found,) = score_of(manners, middle)
    assert found == pytest.approx((np.sqrt(0.5) + 1) / 2)
    assert found > (middle @ manners.T).max() + 0.1


def test_recordings_that_cancel_each_other_have_no_centroid_to_be_near_to() -> None:
    points = unit(np.random.default_rng(0).standard_normal((1, 192)))
    probes = unit(np.random.default_rng(1).standard_normal((50, 192)))
    # Opposite up to rounding: what is left of the sum points anywhere.
    found = score_of(np.concatenate((points, np.float32(1 - 1e-7) * -points)), probes)
    np.testing.assert_allclose(found, np.abs(probes @ points[0]) / 2, atol=1e-3)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_minus_infinity_and_nobody_elses_matter(number: float) -> None:
    highest, middle = np.array([[0.9, number, 0.7, 0.9], [0.9, 0.9, 0.7, number]], np.float32)
    assert combined(highest, middle).tolist() == pytest.approx([0.9, -np.inf, 0.7, -np.inf])
    cosines = np.array([0.9, number, 0.7], np.float32)
    found = scores(cosines, np.array([0, 2]), np.array([np.nan, 0.7], np.float32))
    assert found.tolist() == pytest.approx([-np.inf, 0.7])


def test_a_point_that_is_no_number_is_like_nobody_and_nobody_is_like_it() -> None:
    (own, other), probes = drawn([3, 2], 0)
    broken = np.where(np.arange(3)[:, None] == 1, np.nan, own).astype(np.float32)
    assert np.isneginf(score_of(broken, probes)).all()
    assert np.isneginf(score_of(other, broken)).tolist() == [False, True, False]


def test_it_stands_on_numpy_alone() -> None:
    tree = ast.parse(Path(score.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {"__future__", "numpy", "numpy.typing"}
