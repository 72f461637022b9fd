"""Errors of a biometric system, against constructions that count one score after another."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen_train.evaluation.metrics import (
    det_curve,
    equal_error_rate,
    interval_of_equal_error_rate,
    minimum_cost,
    misses_at,
    threshold_at,
)

# Whole numbers have ties, and survive transforms without a rounding that would make new ones.
WHOLE = st.lists(st.integers(-40, 40), min_size=1, max_size=40)
COSINES = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60)


def slow_points(targets: list, strangers: list) -> list[tuple[Fraction, Fraction]]:
    """(missed, let in) at every threshold, from one that all pass to one that nobody does."""
    return [
        (
            Fraction(sum(score < threshold for score in targets), len(targets)),
            Fraction(sum(score >= threshold for score in strangers), len(strangers)),
        )
        for threshold in [*sorted({*targets, *strangers}), float("inf")]
    ]


def slow_equal_error_rate(targets: list, strangers: list) -> Fraction:
    """Where the straight lines between neighbouring points cross the diagonal."""
    points = slow_points(targets, strangers)
    for (missed, let_in), (more, fewer) in pairwise(points):
        if more >= fewer:
            gap, closes = let_in - missed, (let_in - missed) - (fewer - more)
            return missed + gap / closes * (more - missed)
    raise AssertionError("the last threshold misses all and lets nobody in")


def slow_minimum_cost(targets: list, strangers: list, p_target: Fraction) -> Fraction:
    costs = [p_target * m + (1 - p_target) * f for m, f in slow_points(targets, strangers)]
    return min(costs) / min(p_target, 1 - p_target)


@given(WHOLE, WHOLE)
def test_the_curve_counts_who_is_missed_and_who_is_let_in(targets: list, strangers: list) -> None:
    thresholds, missed, let_in = det_curve(np.array(targets), np.array(strangers))
    assert thresholds.tolist() == [*sorted({*targets, *strangers}), np.inf]
    expected = np.array(slow_points(targets, strangers), float)
    np.testing.assert_allclose(np.stack((missed, let_in), 1), expected, atol=1e-12)


@given(WHOLE, WHOLE)
def test_the_equal_error_rate_is_where_the_two_errors_cross(targets: list, strangers: list) -> None:
    found = equal_error_rate(np.array(targets), np.array(strangers))
    assert found == pytest.approx(float(slow_equal_error_rate(targets, strangers)), abs=1e-9)


@given(WHOLE, WHOLE, st.sampled_from([Fraction(1, 100), Fraction(1, 2), Fraction(9, 10)]))
def test_the_minimum_cost_is_that_of_the_best_threshold(
    targets: list, strangers: list, p_target: Fraction
) -> None:
    found = minimum_cost(np.array(targets), np.array(strangers), float(p_target))
    assert found == pytest.approx(float(slow_minimum_cost(targets, strangers, p_target)), abs=1e-9)


def test_a_small_example_by_hand() -> None:
    targets = np.array([0.3, 0.6, 0.8, 0.9])
    strangers = np.array([0.1, 0.2, 0.4, 0.7])
    # At 0.6 one of four is missed (0.3) and one of four is let in (0.7).
    assert equal_error_rate(targets, strangers) == pytest.approx(0.25)
    # At 0.8 nobody is let in, two of four are missed: 0.01 * 0.5, over 0.01.
    assert minimum_cost(targets, strangers) == pytest.approx(0.5)


def test_between_two_thresholds_the_error_lies_on_the_line() -> None:
    # At 2 nobody is missed and one of two is let in; at 3 all are missed, nobody is let in.
    assert equal_error_rate(np.array([2, 2]), np.array([1, 2])) == pytest.approx(1 / 3)


@given(WHOLE)
def test_perfectly_apart_means_no_errors(scores: list) -> None:
    strangers = np.array(scores)
    targets = strangers + (strangers.max() - strangers.min() + 1)
    assert equal_error_rate(targets, strangers) == pytest.approx(0, abs=1e-12)
    assert minimum_cost(targets, strangers) == pytest.approx(0, abs=1e-12)


@given(WHOLE)
def test_the_same_scores_on_both_sides_mean_one_half(scores: list) -> None:
    assert equal_error_rate(np.array(scores), np.array(scores)) == pytest.approx(0.5)


def test_the_same_distribution_on_both_sides_means_about_one_half() -> None:
    targets, strangers = np.random.default_rng(0).normal(size=(2, 20_000))
    assert equal_error_rate(targets, strangers) == pytest.approx(0.5, abs=0.02)


def test_two_normal_distributions_meet_where_theory_says() -> None:
    targets, strangers = np.random.default_rng(1).normal(size=(2, 100_000))
    # Two deviations apart, the threshold is one from each: 1 - Phi(1).
    assert equal_error_rate(targets + 2, strangers) == pytest.approx(0.15866, abs=0.005)


@pytest.mark.parametrize(
    "change",
    [lambda x: 5 * x - 3, lambda x: x**3, lambda x: np.exp(x / 10)],
    ids=["line", "cube", "exponential"],
)
@given(targets=WHOLE, strangers=WHOLE)
def test_only_the_order_of_scores_matters(
    change: Callable[[np.ndarray], np.ndarray], targets: list, strangers: list
) -> None:
    plain = np.array(targets, float), np.array(strangers, float)
    changed = tuple(map(change, plain))
    assert equal_error_rate(*changed) == equal_error_rate(*plain)
    assert minimum_cost(*changed) == minimum_cost(*plain)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@given(scores=COSINES, share=st.floats(0, 1))
def test_a_threshold_lets_in_at_most_the_share(
    kind: type[np.floating], scores: list[float], share: float
) -> None:
    strangers = np.array(scores, kind)
    assert np.mean(strangers >= threshold_at(strangers, share)) <= share


@given(COSINES, st.integers(0, 16))
def test_no_lower_threshold_would_do(scores: list[float], sixteenths: int) -> None:
    strangers = np.array(scores)
    share = sixteenths / 16
    lower = np.unique(strangers[strangers < threshold_at(strangers, share)])
    assert all(np.mean(strangers >= each) > share for each in lower)


def test_among_equal_scores_nobody_is_let_in_rather_than_all() -> None:
    strangers = np.array([0.5] * 10 + [0.1] * 10, np.float32)
    threshold = threshold_at(strangers, 0.25)
    assert not np.any(strangers >= threshold)
    assert threshold == pytest.approx(0.5)


def test_all_may_pass_where_the_share_is_one() -> None:
    assert threshold_at(np.array([0.2, 0.4]), 1.0) == -np.inf


@pytest.mark.parametrize(("targets", "strangers"), [([], [1.0]), ([1.0], []), ([], [])])
@pytest.mark.parametrize("measure", [det_curve, equal_error_rate, minimum_cost])
def test_a_curve_without_scores_of_a_kind_is_refused(
    measure: Callable, targets: list[float], strangers: list[float]
) -> None:
    with pytest.raises(ValueError, match="both kinds"):
        measure(np.array(targets), np.array(strangers))


@given(WHOLE, WHOLE)
def test_misses_are_those_of_the_best_threshold_that_is_allowed(
    targets: list, strangers: list
) -> None:
    shares = [0.0, 0.25, 0.5, 1.0]
    found = misses_at(np.array(targets, float), np.array(strangers, float), np.array(shares))
    points = slow_points(targets, strangers)
    fewest = [min(missed for missed, let_in in points if let_in <= share) for share in shares]
    np.testing.assert_allclose(found, np.array(fewest, float), atol=1e-12)


def trials(spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores of all pairs of 10 speakers' 6 takes, and who is on both sides."""
    random = np.random.default_rng(0)
    who = np.repeat(np.arange(10), 6)
    first, second = np.triu_indices(len(who), 1)
    first, second = who[first], who[second]
    same = first == second
    return same + spread * random.normal(size=len(same)), same, first, second


def test_the_interval_brackets_the_equal_error_rate() -> None:
    scores, same, first, second = trials(spread=0.5)
    low, high = interval_of_equal_error_rate(scores, first, second)
    assert 0 < low < equal_error_rate(scores[same], scores[~same]) < high < 0.5


def test_perfectly_apart_there_is_no_interval() -> None:
    scores, _, first, second = trials(spread=0.0)
    assert interval_of_equal_error_rate(scores, first, second) == (0, 0)
