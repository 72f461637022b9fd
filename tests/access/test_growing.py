"""What a gate may take in beside what enrolled a student, and what it never does."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from kaimen.access.decision import Check, Decision, Retry, Thresholds, Verdict
from kaimen.access.growing import APART, FAR, Growing
from kaimen.access.lockout import Lockout
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.match import Match
from tests.access.test_policy import LI, NOBODY, WANG, Door, Played, like

THRESHOLDS = Thresholds(0.6, 0.3, retry=Retry(0.62, 0.55, 0.4))
CHECKS = (
    Check("phrase", 0.9, 0.8, 0.7),
    Check("loudspeaker", 1.0, 0.0, -2.0),
    Check("replay", -0.01, -0.1),
)
OPENED = Decision(Verdict.OPEN, 0.3, (Match("Li", 0.7),), claim="Li", checks=CHECKS)


def growing() -> Growing:
    gallery = Gallery("encoder", 4)
    gallery.enroll("Li", [LI])
    gallery.enroll("Wang", [WANG])
    return Growing(gallery)


def picked(decision: Decision = OPENED, point: np.ndarray | None = None, **more: Any) -> list[str]:
    made = growing()
    point = like(LI, 0.7) if point is None else point
    lockout = more.get("lockout", Lockout())
    made.consider(decision, point, more.get("thresholds", THRESHOLDS), lockout)
    return [each.student for each in made.candidates()]


def test_a_clear_voice_that_said_who_it_is_and_passed_everything_is_taken_in() -> None:
    assert picked() == ["Li"]


def test_a_candidate_tells_what_it_scored_and_what_was_asked_for() -> None:
    made, point = growing(), like(LI, 0.7)
    made.consider(OPENED, point, THRESHOLDS, Lockout())
    (found,) = made.candidates()
    assert found.score == pytest.approx(0.7) and found.needed == pytest.approx(0.6 + FAR)
    np.testing.assert_array_equal(found.voiceprint, point)
    assert made.candidates() == []


def test_who_is_enrolled_alone_is_far_from_everybody() -> None:
    gallery = Gallery("encoder", 4)
    gallery.enroll("Li", [LI])
    made = Growing(gallery)
    made.consider(OPENED, like(LI, 0.7), THRESHOLDS, Lockout())
    assert [each.student for each in made.candidates()] == ["Li"]


@pytest.mark.parametrize(
    "change",
    [
        {"claim": None},
        {"claim": "Wang"},
        {"verdict": Verdict.RETRY},
        {"verdict": Verdict.UNKNOWN},
        {"pooled": 0.7},
        {"checks": ()},
        *({"checks": two} for two in itertools.combinations(CHECKS, 2)),
        {"checks": (*CHECKS[:2], Check("replay", -0.5, -0.1))},
        {"checks": (*CHECKS, Check("stored", 0.0, 1.0))},
    ],
)
def test_nothing_less_is(change: dict[str, Any]) -> None:
    assert picked(replace(OPENED, **change)) == []


def test_it_is_far_above_the_threshold_for_anybody_whatever_the_claims_is() -> None:
    assert picked(point=like(LI, 0.6 + FAR + 0.01)) == ["Li"]
    assert picked(point=like(LI, 0.6 + FAR - 0.01)) == []
    assert picked(thresholds=replace(THRESHOLDS, everybody=0.7 - FAR + 0.01)) == []
    assert picked(thresholds=Thresholds()) == []
    assert picked(thresholds=Thresholds(math.nan, 0.3)) == []


def test_it_is_far_from_every_other_student() -> None:
    for other, expected in ((0.7 - APART - 0.01, ["Li"]), (0.7 - APART + 0.01, [])):
        rest = math.sqrt(1 - 0.7**2 - other**2)
        assert picked(point=np.array([0.7, other, rest, 0], np.float32)) == expected


@pytest.mark.parametrize(("score", "other"), [(FAR, -1.0), (APART, 0.0)])
def test_what_is_just_far_enough_is_taken_in(score: float, other: float) -> None:
    class Nearest:
        def nearest_enrolled(self, probe: np.ndarray) -> list[Match]:
            return [Match("Li", score), Match("Wang", other)]

    made = Growing(cast(Gallery, Nearest()))
    made.consider(OPENED, LI, Thresholds(0.0, 0.0), Lockout())
    assert [each.student for each in made.candidates()] == ["Li"]


def test_it_is_not_while_unknown_voices_are_heard() -> None:
    lockout = Lockout(free=3, clock=lambda: 0.0)
    assert picked(lockout=lockout) == ["Li"]
    lockout.unknown()
    assert picked(lockout=lockout) == []
    lockout.opened()
    assert picked(lockout=lockout) == ["Li"]
    lockout.unknown(4)
    lockout.opened()  # by a claim
    assert lockout.wait() and picked(lockout=lockout) == []


def test_grown_voiceprints_are_no_base_for_further_ones() -> None:
    from datetime import UTC, datetime

    made = growing()
    gallery = made._gallery
    point = like(LI, 0.6 + FAR - 0.02)
    assert gallery.registry.grown.take_in("Li", point, "encoder", datetime.now(UTC))
    gallery._seen = None
    thresholds = replace(THRESHOLDS, grown=gallery.growth.latest)
    assert gallery.nearest(point, 1, grown=thresholds.grown)[0].score >= 0.6 + FAR
    made.consider(OPENED, point, thresholds, Lockout())
    assert made.candidates() == []


@pytest.mark.parametrize(
    ("before", "claim", "expected"),
    [
        (None, "Li", ["Li"]),
        (like(LI, 0.5, 1.0), "Li", []),  # nearly known, and asked once more
        (NOBODY, "Li", []),  # an unknown voice was heard
        (None, None, []),  # nobody said who comes
    ],
)
def test_a_door_lets_it_look_only_at_openings_of_one_try(
    before: np.ndarray | None, claim: str | None, expected: list[str]
) -> None:
    lockout = Lockout(free=3, clock=lambda: 0.0)
    door = Door(Played(*[CHECKS] * 3), growing=Growing, lockout=lockout)
    if before is not None:
        door.say(before)
    if claim is not None:
        door.policy.claim(claim)
    assert door.say(like(LI, 0.7)).opens
    assert door.policy._growing is not None
    assert [each.student for each in door.policy._growing.candidates()] == expected
