"""FNIR where few strangers get in: counted by hand, and by the tail of a known distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")

from scipy import stats

from kaimen_train.evaluation.metrics import threshold_at
from kaimen_train.evaluation.tail import Errors, Tail, counted_threshold

TRIALS = 100_000


def falling(scores: np.ndarray) -> np.ndarray:
    return np.sort(scores)[::-1]


@pytest.mark.parametrize("shape", [-0.4, -0.2, 0.0])
@pytest.mark.parametrize("share", [1e-3, 1e-4, 1e-5])
def test_a_tail_of_its_own_kind_gives_its_quantiles(shape: float, share: float) -> None:
    pareto = stats.genpareto(shape, loc=0.3, scale=0.1)
    drawn = falling(pareto.rvs(TRIALS, random_state=np.random.default_rng(1)))
    found = Tail.fit(drawn, np.ones(TRIALS)).threshold(share)
    assert found == pytest.approx(pareto.isf(share), rel=0.05)


def test_a_tail_of_another_kind_is_off_by_what_the_docs_say() -> None:
    drawn = falling(stats.norm.rvs(size=TRIALS, random_state=np.random.default_rng(1)))
    tail = Tail.fit(drawn, np.ones(TRIALS))
    for share, times in ((1e-4, 2), (1e-5, 5), (5e-7, 30)):
        assert share / times < stats.norm.sf(tail.threshold(share)) < share * times


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=300))
def test_a_tail_always_gives_a_threshold_that_rises_with_rarity(scores: list[float]) -> None:
    tail = Tail.fit(falling(np.array(scores)), np.ones(len(scores)))
    thresholds = [tail.threshold(tail.share * rarer) for rarer in (1, 0.1, 0.001)]
    assert np.isfinite(thresholds).all()
    assert thresholds == sorted(thresholds)
    assert thresholds[0] == pytest.approx(tail.start)


def test_weights_are_repetitions() -> None:
    random = np.random.default_rng(0)
    scores, often = falling(random.normal(size=2_000)), random.integers(0, 4, 2_000)
    weighed = Tail.fit(scores, often.astype(float), 0.1)
    repeated = np.repeat(scores, often)
    plain = Tail.fit(repeated, np.ones(len(repeated)), 0.1)
    assert weighed.threshold(1e-4) == pytest.approx(plain.threshold(1e-4), rel=0.02)


@given(
    st.lists(st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.01, 0.1, 0.5]),
)
def test_what_is_counted_is_what_the_other_protocols_count(
    scores: list[float], share: float
) -> None:
    drawn = falling(np.array(scores))
    assert counted_threshold(drawn, np.ones(len(drawn)), share) == threshold_at(drawn, share)


# Two students; three tries of each, and two of a stranger's against each.
SCORES = np.array([0.9, 0.5, 0.3, 0.8, 0.7, 0.35, 0.6, 0.1, 0.4, 0.2])
FIRST = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1])
SECOND = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])


def test_a_tiny_table_is_counted_by_hand() -> None:
    counted, _ = Errors(SCORES, FIRST, SECOND).fnir((0.5, 0.25, 0.1))
    # Two of four strangers' scores may pass: 0.6 and 0.4; of six students' 0.3 and 0.35 miss 0.2+.
    assert counted[0] == 0  # the threshold is just above 0.2
    assert counted[1] == pytest.approx(2 / 6)  # just above 0.4
    assert np.isnan(counted[2])  # a tenth of four trials is none that can be counted


def test_a_speaker_drawn_twice_counts_twice() -> None:
    errors = Errors(SCORES, FIRST, SECOND)
    counted, _ = errors.fnir((0.25,), np.array([2.0, 1.0, 1.0]))
    # Of six strangers' scores by weight one may pass: 0.6 counts two, and none is left to pass.
    assert counted[0] == pytest.approx((2 * 2 + 1) / 9)


def test_one_speaker_alone_has_no_errors() -> None:
    for found in Errors(SCORES, FIRST, SECOND).fnir((0.25,), np.array([3.0, 0.0, 0.0])):
        assert np.isnan(found).all()


def test_fitted_thresholds_are_never_below_counted_ones() -> None:
    random = np.random.default_rng(0)
    students, visitors = (random.integers(0, 30, 20_000) for _ in range(2))
    scores = random.normal(0.2, 0.1, 20_000) + 0.5 * (students == visitors)
    counted, fitted = Errors(scores, students, visitors).fnir((1e-3, 1e-4, 1e-5, 5e-7))
    assert not np.isnan(counted[:2]).any() and np.isnan(counted[2:]).all()
    assert counted[0] <= counted[1] <= fitted[2] <= fitted[3]


def test_the_interval_holds_the_figure_and_narrows_with_speakers() -> None:
    widths = []
    for speakers in (8, 60):
        random = np.random.default_rng(3)
        voices = random.normal(0, 0.1, speakers)
        first, second = np.divmod(np.arange(speakers**2), speakers)
        first, second = (np.tile(each, 20) for each in (first, second))
        means = np.where(first == second, 0.5 + voices[first], 0.0)
        errors = Errors(means + random.normal(0, 0.2, len(first)), first, second)
        ((low, high),) = errors.intervals((0.01,))
        assert low < errors.fnir((0.01,))[0][0] < high
        widths.append(high - low)
    assert widths[1] < 0.7 * widths[0]
