"""Two tries, claims, checks and challenges: what becomes of a phrase, and what is remembered."""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.access.checks import Checks
from kaimen.access.decision import (
    Check,
    Decision,
    Retry,
    Thresholds,
    Verdict,
    decide,
    one_voice,
    pooled_point,
    refuse,
    refuse_for_nearer,
    stay_shut,
)
from kaimen.access.lockout import Lockout
from kaimen.access.policy import AGAIN, ASKED, CLAIM, FEWEST, AccessPolicy
from kaimen.calibration.calibration import GREY
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.match import Match
from kaimen.settings.roster import Rule
from kaimen.voice.encoder import Encoder
from kaimen.voice.utterance import Utterance
from tests.sounds import in_a_room, silence, spoken

LI, WANG, NOBODY = np.eye(3, 4, dtype=np.float32)
PASSED = Check("phrase", 0.9, 0.8, 0.7)
DOUBTFUL = Check("phrase", 0.75, 0.8, 0.7)
BARELY = Check("phrase", 0.81, 0.8, 0.7)
OTHER_WORDS = Check("phrase", 0.2, 0.8, 0.7)
REPLAYED = Check("replay", -0.5, -0.1)
MAYBE_REPLAYED = Check("loudspeaker", -1.0, 0.0, -2.0)
THRESHOLDS = Thresholds(0.6, 0.3, retry=Retry(0.62, 0.55, 0.4))
VOICE = spoken(0.6)


def like(student: np.ndarray, score: float, turn: float = 0.0) -> np.ndarray:
    """A point of this score with a student, and of none with others.

    What is not the student in it, turned by an angle, is another noise.
    """
    rest = np.sin(turn) * NOBODY + np.cos(turn) * np.eye(4)[3]
    return (score * student + np.sqrt(1 - score**2) * rest).astype(np.float32)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Played:
    """Checks whose answers are given beforehand, and that remember what they were asked.

    They look at what they are given: a sound, and thresholds of a door that may open.
    """

    def __init__(self, *answers: Sequence[Check], words: Sequence[str] = ()) -> None:
        self.answers = [tuple(answer) for answer in answers]
        self.asked: list[tuple[str, str]] = []
        self.kept: list[tuple[str, str]] = []
        self.rehearsed: list[Utterance] = []
        self._words = list(words)
        self.mistaken = False
        self._replay = False  # whether it is looked for, by the fingerprints of what is said

    recording = Checks.recording
    said_again = Checks.said_again

    def of(self, heard: Utterance, student: str, thresholds: Thresholds, word: str = "") -> Any:
        assert heard.samples.size and thresholds.armed
        self.asked.append((student, word))
        return self.answers.pop(0) if self.answers else (PASSED,)

    def words(self, student: str) -> list[str]:
        return self._words if student == "Li" else []

    def word_voiceprints(self, student: str, word: str) -> list[np.ndarray]:
        return [LI] if student == "Li" and word in self._words else []

    def another_word(self, heard: Utterance, student: str, word: str) -> bool:
        assert heard.samples.size
        return self.mistaken or student != "Li" or word not in self._words

    def remember(self, heard: Utterance, student: str, word: str = "") -> None:
        assert heard.samples.size
        self.kept.append((student, word))

    def rehearse(self, heard: Utterance) -> None:
        self.rehearsed.append(heard)


class Door:
    """An access policy, asked with points in place of sound."""

    def __init__(self, checks: Played | None = None, **more: Any) -> None:
        gallery = Gallery("encoder", 4)
        gallery.enroll("Li", [LI])
        gallery.enroll("Wang", [WANG])
        growing = more.pop("growing", None)
        self.clock = Clock()
        self.policy = AccessPolicy(
            gallery,
            more.pop("thresholds", THRESHOLDS),
            checks=cast(Checks, checks),
            retry=more.pop("retry", True),
            clock=self.clock,
            growing=None if growing is None else growing(gallery),
            draw=more.pop("draw", random.Random(0)),
            **more,
        )

    def heard(self, point: np.ndarray, sound: np.ndarray = VOICE) -> Utterance:
        class OnePoint:
            def embed(self, phrase: np.ndarray) -> np.ndarray:
                return point

        return Utterance(sound, cast(Encoder, OnePoint()))

    def say(self, point: np.ndarray, sound: np.ndarray = VOICE) -> Decision:
        heard = self.heard(point, sound)
        found = self.policy.decide(heard)
        self.policy.answered(found, heard)
        return found.decision


def test_a_rehearsal_checks_and_decides_nothing() -> None:
    played = Played()
    for door in (Door(), Door(played)):
        heard = door.heard(like(LI, 0.7))
        door.policy.rehearse(heard)
        assert door.say(like(LI, 0.5)).verdict is Verdict.RETRY
    assert played.rehearsed == [heard] and played.asked == [("Li", "")]


def test_a_clear_voice_opens_at_once() -> None:
    assert Door().say(like(LI, 0.7)).student == "Li"


def test_who_is_nearly_known_is_asked_once_more_and_judged_by_both() -> None:
    door = Door()
    one, other = like(LI, 0.5), like(LI, 0.51, turn=1.2)
    first = door.say(one)
    assert first.verdict is Verdict.RETRY
    assert first.reason == (
        "a voice that is nearly known, 0.120 too low: "
        "the threshold of a first try is 0.620; say it once more"
    )
    second = door.say(other)
    assert second.student == "Li"
    assert second.pooled == second.score == pytest.approx(pooled_point(one, other)[0])
    assert second.reason == "Li at 0.578 in two tries, the threshold of two tries is 0.550"


def test_what_both_tries_have_in_common_is_no_better_in_two() -> None:
    door = Door()
    door.say(like(LI, 0.5))
    second = door.say(like(LI, 0.51))
    assert second.verdict is Verdict.UNKNOWN
    assert second.reason == (
        "a voice nobody has in two tries, 0.045 too low: the threshold of two tries is 0.550"
    )


def test_the_same_recording_twice_is_no_second_try() -> None:
    checks = Played()
    checks._replay = True
    said, played = spoken(1.2), in_a_room(0.7 * spoken(1.2), level=-60.0)
    for again in (said, played):
        door = Door(checks, lockout=Lockout(free=0, clock=Clock()))
        assert door.say(like(LI, 0.5), said).verdict is Verdict.RETRY
        second = door.say(like(LI, 0.51, turn=1.2), again)
        assert second.verdict is Verdict.REFUSED and second.pooled is None
        assert "heard before: a recording" in second.reason
        refused = door.say(like(LI, 0.9))  # and it was a try
        assert refused.wait and refused == refuse(THRESHOLDS.anybody, refused.wait)
    door = Door(checks)
    door.say(like(LI, 0.5), said)
    assert door.say(like(LI, 0.51, turn=1.2), spoken(1.2, pitch=171.0)).student == "Li"


def test_a_second_try_may_be_enough_alone() -> None:
    door = Door()
    door.say(like(LI, 0.5))
    second = door.say(like(LI, 0.7))
    assert (second.student, second.pooled) == ("Li", None)


def test_a_try_that_was_nearest_to_another_counts_as_well() -> None:
    door = Door()
    first = 0.5 * LI + 0.52 * WANG
    first += np.sqrt(1 - first @ first) * NOBODY
    assert door.say(first).nearest[0].student == "Wang"
    second = door.say(like(LI, 0.6, turn=np.pi / 2))
    assert second.student == "Li"
    assert second.pooled is not None
    door = Door(Played([DOUBTFUL], [BARELY]))
    door.say(first)
    assert door.say(like(LI, 0.6, turn=np.pi / 2)).opens  # what was doubtful of Wang is not Li's


def test_there_is_no_third_try() -> None:
    door = Door()
    verdicts = [door.say(like(LI, 0.5)).verdict for _ in range(3)]
    assert verdicts == [Verdict.RETRY, Verdict.UNKNOWN, Verdict.RETRY]


def test_two_tries_are_of_one_person() -> None:
    door = Door()
    door.say(like(LI, 0.5))
    other = door.say(like(WANG, 0.6, turn=np.pi / 2))
    assert other.verdict is Verdict.RETRY  # a first try of their own
    assert other.pooled is None


def test_a_try_is_forgotten_after_a_while() -> None:
    door = Door()
    for later, opens in ((AGAIN, True), (AGAIN + 0.01, False)):
        door.say(like(LI, 0.5))
        door.clock.now += later
        assert door.say(like(LI, 0.6)).opens is opens


def test_a_cough_between_two_tries_is_no_try() -> None:
    door = Door()
    door.say(like(LI, 0.5))
    assert door.say(NOBODY, silence(0.5)).verdict is Verdict.UNKNOWN
    assert door.say(like(LI, 0.6)).opens  # 0.55 with the one before


def test_a_stream_that_begins_anew_knows_of_no_try() -> None:
    door = Door()
    door.say(like(LI, 0.5))
    door.policy.forget()
    assert door.say(like(LI, 0.6)).verdict is Verdict.RETRY


def test_without_retry_the_threshold_of_one_try_holds() -> None:
    door = Door(retry=False)
    assert door.say(like(LI, 0.61)).reason == "Li at 0.610, the threshold is 0.600"
    assert door.say(like(LI, 0.59)).verdict is Verdict.UNKNOWN
    assert (
        AccessPolicy(door.policy.gallery, THRESHOLDS)
        .decide(door.heard(like(LI, 0.61)))
        .decision.opens
    )


def test_whose_score_just_reaches_the_grey_is_asked_once_more() -> None:
    nearly = like(LI, 0.5)
    score = Door().say(nearly).score
    assert score is not None
    for grey, verdict in ((score, Verdict.RETRY), (score + 1e-9, Verdict.UNKNOWN)):
        thresholds = Thresholds(0.6, 0.3, retry=Retry(0.62, 0.55, grey))
        assert Door(thresholds=thresholds).say(nearly).verdict is verdict


def test_two_tries_are_of_one_claim() -> None:
    for before, again, opens in (("Li", "Li", False), (None, "Li", True), ("Li", None, True)):
        door = Door(Played([DOUBTFUL], [BARELY]))
        for claim in (before, again):
            if claim is not None:
                door.policy.claim(claim)
            decision = door.say(like(LI, 0.7))
        assert decision.opens is opens


TRIES = st.tuples(st.floats(0, 1, width=32), st.floats(0, np.pi))


@given(st.lists(TRIES, min_size=1, max_size=4))
def test_nothing_opens_below_the_thresholds(tries: list[tuple[float, float]]) -> None:
    door, before = Door(), None
    for score, turn in tries:
        point = like(LI, score, turn)
        decision = door.say(point)
        if decision.opens and score < 0.62:
            assert before is not None and one_voice(before, point)
            assert pooled_point(before, point)[0] >= 0.55 - 1e-6
        before = point if decision.verdict is Verdict.RETRY else None


# Checks


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([PASSED], Verdict.OPEN),
        ([PASSED, OTHER_WORDS], Verdict.UNKNOWN),
        ([PASSED, REPLAYED], Verdict.REFUSED),
        ([MAYBE_REPLAYED], Verdict.RETRY),
        ([DOUBTFUL], Verdict.RETRY),
        ([Check("phrase", np.nan, 0.8, 0.7)], Verdict.UNKNOWN),
        ([], Verdict.OPEN),
    ],
)
def test_checks_only_keep_shut(checks: list[Check], verdict: Verdict) -> None:
    played = Played(checks)
    assert Door(played).say(like(LI, 0.7)).verdict is verdict
    assert played.kept == ([("Li", "")] if verdict is Verdict.OPEN else [])


def test_what_failed_is_said() -> None:
    door = Door(Played([OTHER_WORDS], [REPLAYED]))
    words, replay = door.say(like(LI, 0.7)).reason, door.say(like(LI, 0.7)).reason
    assert words.startswith(
        "the voice is known, but these are not the words that were enrolled (0.200"
    )
    assert "heard before: a recording" in replay


def test_a_stranger_is_not_even_checked() -> None:
    played = Played()
    Door(played).say(NOBODY)
    assert played.asked == []


def test_two_doubtful_tries_are_judged_by_their_mean() -> None:
    better = Check("phrase", 0.86, 0.8, 0.7)
    for second, opens in ((better, True), (BARELY, False)):
        door = Door(Played([DOUBTFUL], [second]))
        assert door.say(like(LI, 0.7)).verdict is Verdict.RETRY
        assert door.say(like(LI, 0.7)).opens is opens


def test_a_doubtful_voice_whose_words_are_wrong_is_not_asked_again() -> None:
    assert Door(Played([OTHER_WORDS])).say(like(LI, 0.5)).verdict is Verdict.UNKNOWN


def test_a_recording_counts_as_a_try() -> None:
    lockout = Lockout(free=1, clock=Clock())
    door = Door(Played([REPLAYED], [REPLAYED]), lockout=lockout)
    assert door.say(like(LI, 0.7)).verdict is Verdict.REFUSED
    assert lockout.wait() == 0
    door.say(like(LI, 0.7))
    assert lockout.wait() > 0


def test_being_asked_again_counts_as_none() -> None:
    lockout = Lockout(free=0, clock=Clock())
    Door(lockout=lockout).say(like(LI, 0.5))
    assert lockout.wait() == 0


def test_who_is_asked_again_and_lets_another_try_begin_counts_as_unknown() -> None:
    lockout = Lockout(free=0, clock=Clock())
    door = Door(lockout=lockout)
    door.say(like(LI, 0.5))
    assert door.say(like(WANG, 0.5, turn=np.pi / 2)).verdict is Verdict.RETRY
    assert lockout.wait() > 0


# Policies


def test_a_door_that_wants_a_claim_asks_for_it() -> None:
    door = Door(policy="claim")
    decision = door.say(like(LI, 0.9))
    wanted = "this door wants to know first who you are"
    assert decision == Decision(Verdict.RETRY, 0.3, (), wanted=wanted)
    assert decision.reason == wanted
    door.policy.claim("Li")
    assert door.say(like(LI, 0.9)).student == "Li"
    door.policy.claim("Wang")
    assert not door.say(like(LI, 0.9)).opens


def test_who_came_in_by_another_way_is_waited_for_no_more() -> None:
    door = Door(policy="claim")
    door.policy.claim("Li")
    door.policy.withdraw_claim("Wang")  # somebody else
    assert door.say(like(LI, 0.9)).opens
    door.policy.claim("Li")
    door.policy.withdraw_claim("Li")
    door.policy.withdraw_claim("Li")
    assert door.say(like(LI, 0.9)).reason == "this door wants to know first who you are"
    door.policy.claim("Rene\u0301")
    door.policy.withdraw_claim("Ren\u00e9")
    assert door.say(like(LI, 0.9)).claim is None


def test_a_claim_is_good_for_one_phrase_and_ten_seconds() -> None:
    door = Door(policy="claim")
    for later, opens in ((CLAIM, True), (CLAIM + 0.01, False)):
        door.policy.claim("Li")
        door.clock.now += later
        assert door.say(like(LI, 0.9)).opens is opens
        assert not door.say(like(LI, 0.9)).opens


def test_a_claim_that_came_meanwhile_is_the_next_ones() -> None:
    door = Door()
    heard = door.heard(like(LI, 0.9))
    found = door.policy.decide(heard)
    door.policy.claim("Wang")
    door.policy.answered(found, heard)
    assert door.say(like(LI, 0.9)).claim == "Wang"


def test_every_look_at_a_strangers_words_in_one_breath_is_a_try() -> None:
    lockout = Lockout(free=3, clock=Clock())
    door = Door(lockout=lockout)
    stranger = door.heard(NOBODY)
    for looks in range(3):
        assert door.policy.may_look, looks
        door.policy.looked(door.policy.decide(stranger), stranger)
    assert not door.policy.may_look
    door.policy.claim("Li")
    assert door.policy.may_look
    door.policy.withdraw_claim("Li")
    door.policy.answered(door.policy.decide(stranger), stranger)
    assert lockout.tries.count == 4 and lockout.wait()
    assert not door.policy.may_look  # none is free any more
    assert Door().policy.may_look


def test_looks_that_were_followed_by_a_student_count_as_they_were() -> None:
    lockout = Lockout(free=3, clock=Clock())
    door = Door(lockout=lockout)
    stranger, cough = door.heard(NOBODY), door.heard(NOBODY, silence(0.5))
    door.policy.looked(door.policy.decide(cough), cough)  # no voice: no try
    door.policy.looked(door.policy.decide(stranger), stranger)
    door.say(like(LI, 0.5))  # asked for once more
    assert lockout.tries.count == 1
    door.policy.looked(door.policy.decide(stranger), stranger)
    door.policy.forget()  # another stream
    for count in (2, 3):
        door.say(NOBODY)
        assert lockout.tries.count == count


def test_a_claim_is_refused_where_another_student_is_clearly_nearer() -> None:
    door = Door(policy="claim")
    for own, claimed, opens in [(0.89, 0.4, False), (0.6, 0.45, False), (0.5, 0.45, True)]:
        rest = np.sqrt(1 - own**2 - claimed**2)
        point = np.array([own, claimed, rest, 0.0], np.float32)
        door.policy.claim("Wang")
        decision = door.say(point)
        assert decision.opens is opens, decision.reason
        if not opens:
            assert "nearer to another student's" in decision.reason
            assert "Li" not in decision.reason
        door.policy.claim("Li")
        assert door.say(point).opens


def test_whoever_may_not_enter_now_is_another_student_too() -> None:
    only_wang = (Rule(("staff",)),)
    door = Door(policy="claim", roster=only_wang, now=lambda: EARLY)
    door.policy.gallery.describe("Wang", group="staff")
    door.policy.claim("Wang")
    assert not door.say(np.array([0.8, 0.45, 0.0, np.sqrt(1 - 0.64 - 0.2025)], np.float32)).opens
    door.policy.claim("Wang")
    assert door.say(like(WANG, 0.9)).opens


def test_who_may_not_enter_now_is_not_let_in_by_a_claim_either() -> None:
    door = of_staff()
    door.policy.claim("Li")
    assert door.say(like(LI, 0.9)).cause == "may not"


EARLY = datetime.datetime(9000, 1, 5, 7, 0)


def of_staff(**more: Any) -> Door:
    """A door for Wang alone, whose threshold is low: so few may enter."""
    low = Thresholds(0.4, 0.3, retry=Retry(0.45, 0.4, 0.3))
    door = Door(thresholds=low, roster=(Rule(("staff",)),), now=lambda: EARLY, **more)
    door.policy.gallery.describe("Wang", group="staff")
    return door


def between(li: float, wang: float) -> np.ndarray:
    return np.array([li, wang, 0.0, np.sqrt(1 - li**2 - wang**2)], np.float32)


@pytest.mark.parametrize("retry", [False, True])
def test_a_student_off_the_roster_stays_outside_though_the_threshold_is_lower(retry: bool) -> None:
    door = of_staff(retry=retry)
    assert door.say(between(0.45, 0.6)).student == "Wang"
    away = door.say(between(0.7, 0.6))
    assert away.verdict is Verdict.UNKNOWN
    assert away.cause == "not now"
    assert away.reason == "the voice is nearer to a student's who may not enter now, by 0.100"
    assert "Li" not in away.told(nearest=True)
    assert door.say(between(0.7, 0.6)).verdict is Verdict.UNKNOWN  # nor by a second try


def test_a_student_who_scores_a_rounding_higher_among_all_is_no_other_student() -> None:
    opened = decide([Match("Wang", 0.9)], 0.4)
    assert refuse_for_nearer(opened, [Match("Wang", 0.9000001)]) == opened
    assert refuse_for_nearer(opened, [Match("Li", 0.9)]) == opened
    assert not refuse_for_nearer(opened, [Match("Li", 0.9000001)]).opens


def test_two_tries_together_are_of_whom_they_are_nearest_to_of_all() -> None:
    for own, other, opens in ((0.44, 0.0, True), (0.42, 0.44, False)):
        door = of_staff()
        rest = np.sqrt(1 - own**2 - other**2)
        tries = [np.array([other, own, part, sign * np.sqrt(rest**2 - part**2)], np.float32)
                 for part, sign in ((0.75, 1), (0.75, -1))]  # fmt: skip
        first, second = (door.say(each) for each in tries)
        assert first.verdict is Verdict.RETRY
        assert second.pooled is not None
        assert second.opens == opens


def test_who_consents_no_more_is_nobody_that_a_voice_is_compared_with() -> None:
    door = of_staff(retry=False)
    door.policy.gallery.describe("Li", consent=EARLY.date() - datetime.timedelta(days=1))
    assert door.say(between(0.7, 0.6)).student == "Wang"


def test_nobody_is_searched_for_more_often_than_needed_or_beside_what_was_calibrated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []
    nearest, claimed = Gallery.nearest, Gallery.claimed

    def noted(self: Gallery, probe: np.ndarray, count: int = 3, **how: Any) -> list[Match]:
        asked.append({"count": count, **how})
        return nearest(self, probe, count, **how)

    def noted_claim(self: Gallery, *whose: Any, **how: Any) -> list[Match]:
        asked.append(how)
        return claimed(self, *whose, **how)

    monkeypatch.setattr(Gallery, "nearest", noted)
    monkeypatch.setattr(Gallery, "claimed", noted_claim)
    everybody = {"day": EARLY.date(), "grown": 7}
    staff = {**everybody, "groups": frozenset({"staff"})}
    door = Door(now=lambda: EARLY, thresholds=replace(THRESHOLDS, grown=7))
    door.say(like(WANG, 0.9))
    assert asked == [{"count": 3, **everybody, "groups": None, "sure": 0.62}]
    door = of_staff()
    door.policy.thresholds = replace(door.policy.thresholds, grown=7)
    asked.clear()
    door.policy.claim("Wang")
    door.say(like(WANG, 0.9))
    assert asked == [staff, {"count": 2, **everybody}]
    door.say(like(WANG, 0.44))
    asked.clear()
    door.say(like(WANG, 0.44, turn=1.2))
    assert asked == [
        {"count": 3, **staff, "sure": 0.45},
        {"count": 3, **staff, "sure": 0.4},
        {"count": 1, **everybody},
    ]


WORDS = ["上海", "北京", "数字", "语音"]


def challenged(played: Played | None, **more: Any) -> tuple[Door, Decision]:
    door = Door(played, policy="challenge", **more)
    door.policy.claim("Li")
    return door, door.say(like(LI, 0.9))


def test_a_challenge_asks_for_words_in_an_order_of_its_own() -> None:
    played = Played(words=WORDS)
    door, asking = challenged(played)
    assert asking.verdict is Verdict.RETRY
    assert len(asking.ask) == ASKED and set(asking.ask) <= set(WORDS)
    said = list(asking.ask)
    for left in (2, 1):
        asking = door.say(like(LI, 0.9))
        assert list(asking.ask) == said[-left:]
    assert door.say(like(LI, 0.9)).student == "Li"
    assert played.asked == [("Li", "")] + [("Li", word) for word in said]
    assert played.kept == played.asked  # neither passphrase nor word opens a second time


def test_a_word_that_nobody_is_enrolled_with_any_more_opens_nothing() -> None:
    played = Played(words=WORDS)
    door, _ = challenged(played)
    played.word_voiceprints = lambda *_: []  # type: ignore[method-assign]
    assert door.say(like(LI, 0.9)).verdict is Verdict.UNKNOWN


def test_words_are_drawn_by_what_is_given_or_by_the_machines_own_chance() -> None:
    _, decision = challenged(Played(words=WORDS), draw=random.Random(3))
    assert list(decision.ask) == random.Random(3).sample(WORDS, ASKED)
    _, decision = challenged(Played(words=WORDS), draw=None)
    assert len(set(decision.ask)) == ASKED


@pytest.mark.parametrize("failing", ["voice", "words", "another"])
def test_a_challenge_that_is_failed_is_over(failing: str) -> None:
    played = Played([PASSED], [OTHER_WORDS] if failing == "words" else [PASSED], words=WORDS)
    played.mistaken = failing == "another"
    door, asking = challenged(played)
    failed = door.say(NOBODY if failing == "voice" else like(LI, 0.9))
    assert failed.verdict is Verdict.UNKNOWN and failed.claim == "Li"
    if failing == "another":
        assert failed.reason == f"asked to say {asking.ask[0]}, and said another word"
    assert door.say(like(LI, 0.9)).reason == "this door wants to know first who you are"


def test_a_cough_does_not_end_a_challenge() -> None:
    door, _ = challenged(Played(words=WORDS))
    assert not door.say(NOBODY, silence(0.5)).opens
    assert len(door.say(like(LI, 0.9)).ask) == 2


def test_a_challenge_does_not_wait_for_ever() -> None:
    door, _ = challenged(Played(words=WORDS))
    door.clock.now += AGAIN + 1
    assert door.say(like(LI, 0.9)).reason == "this door wants to know first who you are"


@pytest.mark.parametrize("played", [None, Played(words=WORDS[: FEWEST - 1])])
def test_who_has_no_words_cannot_be_challenged(played: Played | None) -> None:
    _, decision = challenged(played)
    assert decision.verdict is Verdict.UNKNOWN
    assert decision.reason == "enrolled with fewer than 2 words that this door could ask for"


def test_who_has_as_many_words_as_needed_is_asked_for_all_of_them() -> None:
    _, decision = challenged(Played(words=WORDS[:FEWEST]))
    assert sorted(decision.ask) == sorted(WORDS[:FEWEST])


def test_a_word_is_waited_for_as_long_as_a_second_try() -> None:
    door, _ = challenged(Played(words=WORDS))
    door.clock.now += AGAIN
    assert len(door.say(like(LI, 0.9)).ask) == 2


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"unwell": lambda: "the watcher died"}, "the watcher died"),
        ({"thresholds": Thresholds()}, "it is not armed"),
    ],
)
def test_a_door_that_stays_shut_looks_for_nobody(more: dict[str, Any], why: str) -> None:
    assert Door(**more).say(like(LI, 0.9)) == stay_shut(why)


def test_without_thresholds_no_policy_opens() -> None:
    for policy in ("voice", "claim", "challenge"):
        door = Door(Played(words=WORDS), policy=policy, thresholds=Thresholds())
        door.policy.claim("Li")
        assert not door.say(LI).opens


def test_only_who_a_second_try_can_help_is_asked_for_it() -> None:
    for score, verdict in ((0.70, Verdict.RETRY), (0.52, Verdict.UNKNOWN)):
        door = Door(thresholds=Thresholds(0.788, 0.6, retry=Retry(0.815, 0.79, 0.815 - GREY)))
        decision = door.say(like(LI, score))
        assert decision.verdict is verdict
        assert ("say it once more" in decision.reason) is (verdict is Verdict.RETRY)
        assert "Li" not in decision.reason
