"""Campaigns against a gate that grows: what is counted, and that the product's guard decides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.registry.grown import A_MONTH, MONTH, MOST
from kaimen_train.evaluation import campaigns as measured
from tests.gallery.points import school

TAKES = school(60, 6, 16, spread=0.45, seed=3)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "SCHOOL", 15)
    monkeypatch.setattr(measured, "STRANGERS", 20)
    monkeypatch.setattr(measured, "DISTURBED", 0.1)
    monkeypatch.setattr(measured, "FPIR", 0.05)


def test_without_the_card_nothing_of_an_attacker_is_taken_in() -> None:
    for drifts in (False, True):
        found = measured.campaigns(TAKES, 20, drifts=drifts)
        assert found["campaigns"] == 20
        assert found["taken_in"] == 0


def test_with_the_card_a_voice_that_drifts_is_taken_in() -> None:
    found = measured.campaigns(TAKES, 20, drifts=True, card=True)
    assert found["taken_in"] > 0
    assert found["imitated"] + found["could_at_first"] == 20


def test_who_could_walk_in_at_first_is_not_counted_as_walking_in_later() -> None:
    found = measured.campaigns(TAKES, 20, drifts=True, card=True)
    assert found["walked_in"] <= 20 - found["could_at_first"]


@given(st.lists(st.booleans(), min_size=1, max_size=365))
def test_a_year_takes_in_no_more_than_the_registry_would(passed: list[bool]) -> None:
    days = measured.months(np.array(passed))
    assert len(days) <= MOST
    assert all(passed[day] for day in days)
    for day in days:
        assert sum(day - MONTH.days < each <= day for each in days) <= A_MONTH
