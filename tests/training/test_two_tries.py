"""What two tries are said to buy is what an access policy does on the same visits."""

from __future__ import annotations

from itertools import permutations
from typing import cast

import numpy as np
import pytest

from kaimen.access.decision import Retry, Thresholds, Verdict
from kaimen.access.policy import AccessPolicy
from kaimen.calibration.thresholds import GREY
from kaimen.gallery.gallery import Gallery
from kaimen.voice.encoder import Encoder
from kaimen.voice.utterance import Utterance
from kaimen_train.evaluation.protocols import TextTakes
from kaimen_train.evaluation.two_tries import compare
from tests.gallery.points import school
from tests.sounds import spoken

STUDENTS, TAKES, SIZE = 12, 6, 8
ENROLL, VISIT = range(1, 4), range(4, 7)
VOICE = spoken(0.6)


@pytest.fixture
def said() -> TextTakes:
    points = school(STUDENTS, TAKES, SIZE, spread=0.7, seed=2)
    takes = {
        f"student {number:02}": {take + 1: point for take, point in enumerate(own)}
        for number, own in enumerate(points)
    }
    return TextTakes("phrase", takes)


def opens(said: TextTakes, left_out: str | None, retry: Retry) -> list[tuple[str, str | None]]:
    """Who came, and whom the gate took them for, of each visit of two takes."""
    gallery = Gallery("encoder", SIZE)
    for name in said.takes:
        if name != left_out:
            gallery.enroll(name, [said.takes[name][take] for take in ENROLL])
    found = []
    for name in said.takes if left_out is None else [left_out]:
        for pair in permutations(VISIT, 2):
            policy = AccessPolicy(gallery, Thresholds(retry.first, retry=retry), retry=True)
            student = None
            for take in pair:
                heard = Utterance(VOICE, cast(Encoder, OnePoint(said.takes[name][take])))
                decided = policy.decide(heard)
                policy.answered(decided, heard)
                student = student or decided.decision.student
                if decided.decision.verdict is not Verdict.RETRY:
                    break  # nobody is asked for a second try
            found.append((name, student))
    return found


class OnePoint:
    def __init__(self, point: np.ndarray) -> None:
        self.point = point

    def embed(self, phrase: np.ndarray) -> np.ndarray:
        return self.point


def test_the_figures_are_those_of_a_gate(said: TextTakes) -> None:
    (*_, found) = compare([said], ENROLL, VISIT)
    retry = Retry(found["first"], found["pooled"], found["first"] - GREY)
    visits = opens(said, None, retry)
    assert found["visits"] == len(visits) == STUDENTS * 6
    assert 0 < found["fnir_two_tries"] < found["fnir_one_try"] < 1
    missed = np.mean([student != name for name, student in visits])
    assert missed == pytest.approx(found["fnir_two_tries"], abs=1e-9)
    strangers = [student for name in said.takes for _, student in opens(said, name, retry)]
    let_in = np.mean([student is not None for student in strangers])
    # Two takes have one score together, in whichever order they came.
    assert let_in == pytest.approx(found["fpir"], abs=2 / len(strangers))


def test_an_interval_holds_what_it_is_of(said: TextTakes) -> None:
    for each in compare([said], ENROLL, VISIT):
        low, high = each["interval"]
        assert each["less"] == 1 - each["fnir_two_tries"] / each["fnir_one_try"]
        assert low <= each["less"] <= high


@pytest.mark.slow
def test_only_who_says_a_text_often_enough_is_tried(said: TextTakes) -> None:
    seldom = {"once": {1: said.takes["student 00"][1]}}
    more = TextTakes("phrase", {**said.takes, **seldom})
    assert compare([more], ENROLL, VISIT) == compare([said], ENROLL, VISIT)
    assert compare([TextTakes("phrase", seldom)], ENROLL, VISIT) == []
