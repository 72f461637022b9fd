"""From scores to one answer."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.access.decision import (
    ALIKE,
    ANOTHER,
    Check,
    Decision,
    Thresholds,
    Verdict,
    decide,
    one_voice,
    pooled_point,
    refuse,
    refuse_for_another,
    refuse_for_nearer,
    stay_shut,
)
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


LI = (Match("Li", 0.5), Match("Wang", 0.4))
UNLIKE = Check("phrase", 0.2, 0.4, 0.3)


@pytest.mark.parametrize(
    ("decision", "cause"),
    [
        (stay_shut("it is not armed"), "shut"),
        (refuse(0.6, 3.2), "wait"),
        (Decision(Verdict.RETRY, 0.4, LI, ask=("北京",)), "asked"),
        (Decision(Verdict.RETRY, 0.4, (), wanted="more"), "more"),
        (decide([], 0.6), "nobody"),
        (decide([], 0.6, claim="Li"), "may not"),
        (decide(LI, 0.4), "open"),
        (refuse_for_another(decide(LI[1:], 0.4, claim="Wang"), [Match("Li", 0.6)]), "another"),
        (Decision(Verdict.UNKNOWN, 0.4, LI, checks=(UNLIKE,)), "phrase"),
        (decide(LI, 0.6), "far"),
        (decide(LI, inf), "not armed"),
    ],
)
def test_a_program_is_told_the_cause_in_a_word(decision: Decision, cause: str) -> None:
    assert decision.cause == cause


def test_who_is_not_heard_is_told_until_when() -> None:
    refused = refuse(0.6, 3.2)
    assert refused == Decision(Verdict.REFUSED, 0.6, (), wait=3.2)
    assert refused.reason == "too many unknown voices; the door hears again in 4 s"


def test_a_door_that_stays_shut_says_why() -> None:
    shut = stay_shut("the watcher ended")
    assert shut == Decision(Verdict.REFUSED, inf, (), shut="the watcher ended")
    assert shut.reason == "the door stays shut: the watcher ended"


def test_who_is_asked_for_words_is_told_which() -> None:
    asking = Decision(Verdict.RETRY, 0.4, LI, ask=("北京", "上海"))
    assert asking.reason == "Li is asked to say: 北京, 上海"


def test_a_score_that_is_no_number_is_not_said_to_be_too_low() -> None:
    assert decide([Match("Li", nan)], 0.6).reason == "a voice nobody has, the threshold is 0.600"


def test_two_tries_are_judged_by_their_mean_and_never_doubtful() -> None:
    both = Check("phrase", 0.75, 0.8, 0.7).with_try(Check("phrase", 0.79, 0.8, 0.7))
    assert both == Check("phrase", 0.77, 0.8)
    assert not both.passed and not both.doubtful


def test_a_check_is_doubtful_from_its_grey_on() -> None:
    found = [Check("phrase", score, 0.8, 0.7).doubtful for score in (0.69, 0.7, 0.79, 0.8)]
    assert found == [False, True, True, False]


@pytest.mark.parametrize(
    ("best", "opens"), [(ANOTHER, True), (0.01 + ANOTHER, False), (-inf, True)]
)
def test_a_claim_gives_way_to_a_voice_that_is_clearly_nearer(best: float, opens: bool) -> None:
    claimed = decide([Match("Li", 0.0)], -0.1, claim="Li")
    found = refuse_for_another(claimed, [Match("Li", 0.9), Match("Wang", best)])
    assert found.verdict is (Verdict.OPEN if opens else Verdict.UNKNOWN)
    assert found.another == (None if opens else best)
    assert refuse_for_another(claimed, [Match("Li", 0.9)]) == claimed


@pytest.mark.parametrize("refuse_for", [refuse_for_another, refuse_for_nearer])
def test_who_is_turned_away_is_so_whoever_else_is_near(refuse_for: Any) -> None:
    turned_away = decide([Match("Li", 0.3)], 0.4, claim="Li")
    assert refuse_for(turned_away, [Match("Wang", 0.9)]) == turned_away


def test_two_points_are_of_one_voice_from_a_cosine_on() -> None:
    first = np.array([1.0, 0.0], np.float32)
    for cosine, alike in ((ALIKE + 0.001, True), (ALIKE - 0.001, False)):
        second = np.array([cosine, (1 - cosine**2) ** 0.5], np.float32)
        assert one_voice(first, second) == alike
    others = np.array([[1, 0], [-1, 0], [ALIKE, 0]], np.float32)
    np.testing.assert_array_equal(one_voice(first[np.newaxis], others), [True, False, True])


def test_what_two_tries_have_in_common_is_of_unit_length() -> None:
    both = pooled_point(np.eye(3, dtype=np.float32)[:2], np.eye(3, dtype=np.float32)[[0, 2]])
    np.testing.assert_allclose(both, [[1, 0, 0], [0, 0.5**0.5, 0.5**0.5]], atol=1e-6)
    apart = pooled_point(np.float32([0.96, 0.28]), np.float32([-0.96, 0.28]))
    np.testing.assert_allclose(apart, [0, 1], atol=1e-6)
    opposite = pooled_point(np.eye(3, dtype=np.float32)[0], -np.eye(3, dtype=np.float32)[0])
    np.testing.assert_array_equal(opposite, np.zeros(3))


def test_either_threshold_arms_a_door() -> None:
    assert not Thresholds().armed
    assert Thresholds(anybody=0.6).armed and Thresholds(claimed=0.6).armed
