"""From scores to one answer."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.access.decision import Check, Decision, Verdict, decide
from kaimen.gallery.match import Match

COSINES = st.floats(-1, 1, width=32)
MATCHES = st.lists(st.builds(Match, st.sampled_from("ABCDE"), COSINES), max_size=6)


@given(MATCHES, COSINES)
def test_the_door_opens_exactly_if_the_best_score_reaches_the_threshold(
    nearest: list[Match], threshold: float
) -> None:
    decision = decide(nearest, threshold)
    best = max((match.score for match in nearest), default=None)
    assert decision.opens is (best is not None and best >= threshold)
    assert decision.opens is (decision.verdict is Verdict.OPEN)
    assert decision.score == best
    assert decision.threshold == threshold


@given(MATCHES)
def test_the_nearest_are_given_best_first(nearest: list[Match]) -> None:
    scores = [match.score for match in decide(nearest, 0).nearest]
    assert scores == sorted((match.score for match in nearest), reverse=True)


def test_who_is_let_in_is_the_best_wherever_they_stand() -> None:
    decision = decide([Match("Li", 0.5), Match("Wang", 0.9), Match("Anna", 0.7)], 0.6)
    assert decision.student == "Wang"
    assert [match.student for match in decision.nearest] == ["Wang", "Anna", "Li"]


def test_nobody_is_let_in_below_the_threshold() -> None:
    assert decide([Match("Li", 0.5)], 0.6).student is None


def test_a_score_that_just_reaches_the_threshold_opens() -> None:
    assert decide([Match("Li", 0.6)], 0.6).opens


def test_of_two_equally_near_the_first_is_named() -> None:
    assert decide([Match("Li", 0.7), Match("Wang", 0.7)], 0.6).student == "Li"


@pytest.mark.parametrize("threshold", [-1.0, 0.5, nan])
def test_an_empty_gallery_opens_for_nobody(threshold: float) -> None:
    decision = decide([], threshold)
    assert decision.verdict is Verdict.UNKNOWN
    assert (decision.student, decision.score) == (None, None)


@pytest.mark.parametrize("score", [nan, -inf])
def test_a_score_that_is_no_number_opens_nothing(score: float) -> None:
    assert not decide([Match("Li", score)], -1.0).opens


def test_a_threshold_that_is_no_number_opens_nothing() -> None:
    assert not decide([Match("Li", 1.0)], nan).opens


@pytest.mark.parametrize(
    ("nearest", "reason"),
    [
        ([], "nobody is enrolled who may enter now"),
        ([Match("Li", 0.75)], "Li at 0.750, the threshold is 0.600"),
        ([Match("Li", 0.5)], "a voice nobody has, 0.100 too low: the threshold is 0.600"),
    ],
    ids=["empty", "open", "unknown"],
)
def test_the_reason_is_one_sentence(nearest: list[Match], reason: str) -> None:
    assert decide(nearest, 0.6).reason == reason


def test_who_is_turned_away_is_told_nobodys_name_unless_the_operator_asks() -> None:
    li = [Match("Li", 0.5), Match("Wang", 0.4)]
    unknown = decide(li, 0.6)
    words = Check("phrase", 0.2, 0.4, 0.3)
    for turned_away in (
        unknown,
        replace(unknown, verdict=Verdict.RETRY),
        replace(unknown, pooled=0.5),
        Decision(Verdict.UNKNOWN, 0.4, tuple(li), checks=(words,)),
        Decision(Verdict.RETRY, 0.4, tuple(li), checks=(words,)),
        Decision(Verdict.REFUSED, 0.4, tuple(li), checks=(Check("replay", -0.95, -0.6),)),
    ):
        assert "Li" not in turned_away.reason
        told = turned_away.told(nearest=True)
        assert "Li" in told and "Wang" not in told


def test_who_said_a_name_is_told_that_name() -> None:
    assert decide([Match("Li", 0.5)], 0.6, claim="Li").reason == (
        "claimed to be Li at 0.500, 0.100 too low: the threshold of a claim is 0.600"
    )


@pytest.mark.parametrize("threshold", [inf, nan])
def test_a_door_that_is_not_armed_says_so(threshold: float) -> None:
    reason = decide([Match("Li", 0.9)], threshold).reason
    assert reason == "no voice opens this door: it is not armed; run 'kaimen calibrate'"


def test_of_what_a_phrase_must_not_be_like_it_is_said_how_much_at_most() -> None:
    check = Check("replay", -0.95, -0.6)
    assert Decision(Verdict.REFUSED, 0.4, (Match("Li", 0.5),), checks=(check,)).reason == (
        "the voice is known, but it was heard before: a recording (0.950, at most 0.600 may be)"
    )
