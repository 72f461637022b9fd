"""Leaving one out, in blocks on all cores, against plain loops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.access.decision import ALIKE
from kaimen.calibration.leave_one_out import BLOCK, CLAIMS, LeftOut, leave_one_out, leave_two_out
from kaimen.voice.score import score_of
from tests.gallery.points import school, unit


def scored(enrolled: np.ndarray, probe: np.ndarray) -> float:
    return float(score_of(enrolled, probe[np.newaxis])[0])


def slowly(students: list[np.ndarray]) -> tuple[list[float], list[float], list[list[float]]]:
    """Strangers, own and every claim, one comparison at a time."""
    strangers, own, claims = [], [], []
    for mine in students:
        for number, probe in enumerate(mine):
            rest = np.delete(mine, number, axis=0)
            own.append(scored(rest, probe) if len(rest) else np.nan)
            others = [scored(theirs, probe) for theirs in students if theirs is not mine]
            strangers.append(max(others, default=-np.inf))
            claims.append(others)
    return strangers, own, claims


def compare(found: LeftOut, students: list[np.ndarray]) -> None:
    strangers, own, claims = slowly(students)
    np.testing.assert_allclose(found.strangers, strangers, atol=1e-5)
    np.testing.assert_allclose(found.own, own, atol=1e-5)
    assert found.claims.shape == (len(own), min(CLAIMS, len(students) - 1))
    for drawn, every in zip(found.claims, claims, strict=True):
        gaps = np.abs(drawn[:, None] - np.array(every)[None, :]) if every else np.zeros((0, 1))
        assert (gaps.min(axis=1) < 1e-5).all()
        if len(students) - 1 <= CLAIMS:
            np.testing.assert_allclose(sorted(drawn), sorted(every), atol=1e-5)


@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=8), seed=st.integers(0, 1000))
def test_it_is_what_plain_loops_give(counts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    students = [unit(random.standard_normal((count, 5))) for count in counts]
    compare(leave_one_out(np.concatenate(students), np.array(counts)), students)


def test_in_more_recordings_than_a_block_it_is_what_plain_loops_give() -> None:
    points = school(60, 5, 16)
    assert points[..., 0].size > 2 * BLOCK
    found = leave_one_out(points.reshape(-1, 16), np.full(60, 5))
    compare(found, list(points))


def test_the_blocks_can_be_followed() -> None:
    followed = []

    def track(items: Iterable[LeftOut], what: str, total: int) -> Iterator[LeftOut]:
        for item in items:
            followed.append((what, total))
            yield item

    leave_one_out(school(60, 5, 16).reshape(-1, 16), np.full(60, 5), track)
    assert followed == [("leaving one out", 3)] * 3


def test_what_is_no_number_is_missed_as_at_the_gate_and_is_nobodys_best() -> None:
    points = school(4, 3, 8)
    points[1, 2, 5] = np.nan
    flat, counts = points.reshape(-1, 8), np.full(4, 3)
    found, pairs = leave_one_out(flat, counts), leave_two_out(flat, counts)
    theirs = slice(3, 6)
    # Their student is not known again by any recording: at the gate nothing would open.
    assert np.isneginf(found.own[theirs]).all()
    assert np.isfinite(np.delete(found.own, theirs)).all()
    assert np.isneginf(found.strangers[5])
    without = leave_one_out(np.delete(points, 1, axis=0).reshape(-1, 8), np.full(3, 3))
    others = np.delete(found.strangers, theirs)
    np.testing.assert_allclose(others, without.strangers, atol=1e-6)
    assert not np.isnan(found.claims).any()
    assert np.isneginf(pairs.own[pairs.first == 3]).all()  # the one that is left is no number


@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=8), seed=st.integers(0, 1000))
def test_two_tries_as_one_are_what_plain_loops_give(counts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    students = [unit(random.standard_normal((count, 5))) for count in counts]
    found = leave_two_out(np.concatenate(students), np.array(counts))
    strangers, own, alike, first, start = [], [], [], [], 0
    for mine in students:
        others = [theirs for theirs in students if theirs is not mine]
        for number, (one, other) in enumerate(pairwise(mine)):
            both = unit(one + other)
            rest = np.delete(mine, (number, number + 1), axis=0)
            own.append(scored(rest, both) if len(rest) else np.nan)
            scores = [scored(theirs, both) for theirs in others]
            strangers.append(max(scores, default=-np.inf))
            alike.append(one @ other >= ALIKE)
            first.append(start + number)
        start += len(mine)
    np.testing.assert_array_equal(found.first, first)
    np.testing.assert_array_equal(found.one_voice, alike)
    np.testing.assert_allclose(found.strangers, strangers, atol=1e-5)
    np.testing.assert_allclose(found.own, own, atol=1e-5)


def test_of_many_pairs_some_are_chosen_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaimen.calibration.leave_one_out.PAIRS", 30)
    found = leave_two_out(school(60, 3, 8).reshape(-1, 8), np.full(60, 3))
    assert len(found.first) == len(found.strangers) == 30
    assert found.first[0] == 0 and found.first[-1] == 178
    assert np.diff(found.first).max() < 12
