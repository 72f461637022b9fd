"""The predicted chance of being turned away."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.enrollment.chance import WEIGHTS, chance_by, chance_of_rejection, terms_of
from kaimen.enrollment.take_quality import TakeQuality

GOOD = TakeQuality(1.4, 0.9, -25.0, 30.0, 0.0)


def takes(spread: float, count: int = 5) -> np.ndarray:
    """Points around one direction, (count, 192)."""
    points = np.ones((count, 192)) + spread * np.random.default_rng(0).standard_normal((count, 192))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_who_says_it_alike_is_let_in_and_who_does_not_is_turned_away() -> None:
    assert chance_of_rejection(takes(0.2), [GOOD] * 5, 0.7) < 0.01
    assert chance_of_rejection(takes(2.0), [GOOD] * 5, 0.7) > 0.9


@given(st.floats(0.3, 0.9), st.floats(0.3, 0.9), st.floats(0.1, 2.0))
def test_a_higher_threshold_never_turns_away_less(one: float, other: float, spread: float) -> None:
    low, high = sorted((one, other))
    points = takes(spread)
    asked = [chance_of_rejection(points, [GOOD], each) for each in (low, high)]
    assert asked[0] <= asked[1]


@given(st.lists(st.floats(), min_size=len(WEIGHTS), max_size=len(WEIGHTS)))
def test_a_chance_is_between_none_and_certain_whatever_it_is_told(terms: list[float]) -> None:
    assert 0 <= chance_by(tuple(terms)) <= 1


@pytest.mark.parametrize("threshold", [-math.inf, -1.0, 1.0, math.inf])
def test_every_threshold_has_a_chance(threshold: float) -> None:
    found = chance_of_rejection(takes(0.5), [GOOD], threshold)
    assert found == pytest.approx(0 if threshold < 0 else 1, abs=1e-6)


def test_one_take_alone_promises_nothing() -> None:
    assert chance_of_rejection(takes(0.1, 1), [GOOD], 0.5) == 1


def test_each_term_has_its_weight() -> None:
    assert len(terms_of(takes(0.5), [GOOD], 0.7)) == len(WEIGHTS)
