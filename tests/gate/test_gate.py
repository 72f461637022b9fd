"""Sound goes in, the relay moves, answers come out; the encoder is played by a stand-in."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory

from kaimen.access.decision import Thresholds, Verdict
from kaimen.access.lockout import Lockout
from kaimen.access.policy import CLAIM, AccessPolicy
from kaimen.door.pins import mock_pins, trace
from kaimen.door.relay import PIN, Relay
from kaimen.gallery.gallery import Gallery
from kaimen.gate.gate import EARLY, Gate, seconds_into
from kaimen.settings.roster import Rule
from kaimen.sound.endpoint import HANGOVER
from kaimen.sound.recording import Recording
from kaimen.voice.encoder import Encoder
from kaimen.voice.features import log_mel
from tests.sounds import in_a_room, noise, silence, spoken

LI, WANG, STRANGER = np.eye(3, 4, dtype=np.float32)


class GivenPoints:
    """An encoder that gives out points in turn."""

    def __init__(self, *points: np.ndarray) -> None:
        self.points = list(points)
        self.heard: list[np.ndarray] = []

    def embed(self, phrase: np.ndarray) -> np.ndarray:
        self.heard.append(log_mel(phrase))
        return self.points.pop(0)


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    """Pins that remember."""
    factory = mock_pins()
    yield factory
    factory.reset()


@pytest.fixture
def relay(pins: MockFactory) -> Iterator[Relay]:
    """A relay with a lease that no test waits for."""
    with Relay(pins=pins, lease=60) as made:
        yield made


YEAR = datetime.datetime.now(datetime.UTC).year + 1  # enrolled this year, come in the next


def known() -> Gallery:
    gallery = Gallery("encoder", 4)
    gallery.enroll("Li", [LI], group="7a", consent=datetime.date(YEAR, 7, 31))
    gallery.enroll("Wang", [WANG], group="staff")
    return gallery


MONDAY = datetime.datetime(YEAR, 3, 1, 8, 0)
MONDAY -= datetime.timedelta(days=MONDAY.weekday())


def gate(relay: Relay, *points: np.ndarray, gallery: Gallery | None = None, **more: Any) -> Gate:
    ears: Any = GivenPoints(*points)
    policy = AccessPolicy(
        known() if gallery is None else gallery,
        more.pop("thresholds", Thresholds(0.6, 0.3)),
        now=lambda: more.get("now", MONDAY),
        roster=more.pop("roster", ()),
        lockout=more.pop("lockout", None),
        clock=more.pop("clock", time.monotonic),
    )
    return Gate(cast(Encoder, ears), policy, relay)


def states(pins: MockFactory) -> list[bool]:
    return [change.on for change in trace(pins, PIN)]


ONE = Recording(in_a_room(silence(0.5), spoken(0.6), silence(0.5)))
TWO = Recording(in_a_room(silence(0.5), spoken(0.6), silence(0.5), spoken(0.4), silence(0.5)))


def test_the_door_is_open_before_a_students_answer_is_given(
    relay: Relay, pins: MockFactory
) -> None:
    answers = gate(relay, LI).listen(ONE)
    assert states(pins) == [False]
    answer = next(answers)
    assert answer.decision.student == "Li"
    assert states(pins) == [False, True]
    assert list(answers) == []


def test_the_door_stays_shut_for_a_stranger(relay: Relay, pins: MockFactory) -> None:
    (answer,) = gate(relay, STRANGER).listen(ONE)
    assert not answer.decision.opens
    assert states(pins) == [False]


def test_the_door_stays_shut_in_an_empty_school(relay: Relay, pins: MockFactory) -> None:
    (answer,) = gate(relay, LI, gallery=Gallery("encoder", 4)).listen(ONE)
    assert answer.decision.reason == "nobody is enrolled who may enter now"
    assert states(pins) == [False]


def test_a_point_that_is_no_number_opens_nothing(relay: Relay, pins: MockFactory) -> None:
    (answer,) = gate(relay, np.full(4, np.nan, np.float32)).listen(ONE)
    assert not answer.decision.opens
    assert states(pins) == [False]


def test_every_phrase_gets_its_answer(relay: Relay) -> None:
    answers = list(gate(relay, WANG, STRANGER).listen(TWO))
    assert [answer.decision.student for answer in answers] == ["Wang", None]
    assert [round(seconds_into(a.phrase.start), 1) for a in answers] == [0.5, 1.6]


def test_the_encoder_hears_the_phrase_that_the_answer_is_about(relay: Relay) -> None:
    listening = gate(relay, LI)
    (answer,) = listening.listen(ONE)
    (heard,) = cast(GivenPoints, listening.encoder).heard
    np.testing.assert_array_equal(heard, log_mel(answer.phrase.samples))


def test_a_room_that_is_known_beforehand_is_no_part_of_the_phrase(relay: Relay) -> None:
    noisy = Recording(in_a_room(silence(0.5), spoken(0.6), silence(0.5), level=-45))
    (answer,) = gate(relay, LI).listen(noisy)
    assert seconds_into(answer.phrase.start) == pytest.approx(0.5, abs=0.02)


def test_the_latency_counts_the_wait_for_the_end_of_the_phrase(relay: Relay) -> None:
    (answer,) = gate(relay, LI).listen(ONE)
    assert answer.computed > 0
    assert answer.latency == answer.computed + answer.phrase.waited
    assert answer.phrase.waited == pytest.approx(EARLY, abs=0.021)


# How soon

ONE_BREATH = Recording(
    in_a_room(silence(0.5), spoken(0.6), silence(0.2), spoken(0.6), silence(0.5))
)


def test_who_stays_outside_is_told_when_the_end_of_the_phrase_is_certain(relay: Relay) -> None:
    listening = gate(relay, STRANGER)
    (answer,) = listening.listen(ONE)
    assert answer.phrase.waited == pytest.approx(HANGOVER)
    assert len(cast(GivenPoints, listening.encoder).heard) == 1  # what was looked at early is known


def test_who_was_let_in_and_goes_on_speaking_has_had_an_answer(
    relay: Relay, pins: MockFactory
) -> None:
    (answer,) = gate(relay, LI).listen(ONE_BREATH)
    assert answer.decision.student == "Li"
    assert answer.phrase.seconds == pytest.approx(0.6, abs=0.04)
    assert states(pins) == [False, True]


def test_who_is_not_known_by_half_a_phrase_may_be_by_the_whole(relay: Relay) -> None:
    (answer,) = gate(relay, STRANGER, LI).listen(ONE_BREATH)
    assert answer.decision.student == "Li"
    assert answer.phrase.seconds == pytest.approx(1.4, abs=0.04)


def test_a_word_too_short_to_know_somebody_by_opens_nothing_early(relay: Relay) -> None:
    short = Recording(in_a_room(silence(0.5), spoken(0.25), silence(0.5)))
    (answer,) = gate(relay, LI).listen(short)
    assert answer.phrase.waited == pytest.approx(HANGOVER)


def test_a_claim_is_not_used_up_by_half_a_phrase(relay: Relay) -> None:
    listening = gate(relay, LI, WANG)
    listening.claim("Wang")
    (answer,) = listening.listen(ONE_BREATH)
    assert (answer.decision.student, answer.decision.claim) == ("Wang", "Wang")


# Who tries again and again


class Clock:
    """Seconds, as told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_unknown_voices_nobody_is_heard_for_a_while(relay: Relay) -> None:
    clock = Clock()
    listening = gate(relay, *[STRANGER] * 4, LI, lockout=Lockout(clock=clock))
    for _ in range(4):
        (answer,) = listening.listen(ONE)
        assert answer.decision.verdict is Verdict.UNKNOWN
    (answer,) = listening.listen(ONE)
    assert answer.decision.verdict is Verdict.REFUSED
    assert answer.decision.reason == "too many unknown voices; the door hears again in 30 s"
    clock.now += 31
    (answer,) = listening.listen(ONE)
    assert answer.decision.student == "Li"


def test_who_says_who_they_are_need_not_wait(relay: Relay) -> None:
    lockout = Lockout(free=0, clock=Clock())
    lockout.unknown()
    listening = gate(relay, WANG, lockout=lockout)
    listening.claim("Wang")
    (answer,) = listening.listen(ONE)
    assert answer.decision.student == "Wang"


def test_what_is_no_voice_is_no_try(relay: Relay) -> None:
    lockout = Lockout(free=0, clock=Clock())
    hiss = Recording(in_a_room(silence(0.5), noise(0.6, -20), silence(0.5)))
    (answer,) = gate(relay, STRANGER, lockout=lockout).listen(hiss)
    assert answer.decision.verdict is Verdict.UNKNOWN
    assert lockout.wait() == 0


def test_silence_is_not_answered(relay: Relay) -> None:
    assert list(gate(relay).listen(Recording(silence(2)))) == []


def test_an_encoder_that_fails_leaves_the_door_shut(relay: Relay, pins: MockFactory) -> None:
    with pytest.raises(IndexError):  # the stand-in has no point to give
        list(gate(relay).listen(ONE))
    assert states(pins) == [False]


# Who says who they are

BETWEEN = np.array([0.5, 0.5, 0.5, 0.5], np.float32)  # 0.5 from everybody


def test_who_claims_to_be_somebody_is_compared_with_them_alone(
    relay: Relay, pins: MockFactory
) -> None:
    listening = gate(relay, BETWEEN, BETWEEN)
    (answer,) = listening.listen(ONE)
    assert not answer.decision.opens  # near to nobody by the threshold for all
    listening.claim("Wang")
    (answer,) = listening.listen(ONE)
    assert (answer.decision.student, answer.decision.claim) == ("Wang", "Wang")
    assert answer.decision.threshold == 0.3
    assert states(pins) == [False, True]


def test_a_wrong_claim_opens_nothing_even_for_a_student(relay: Relay, pins: MockFactory) -> None:
    listening = gate(relay, LI)
    listening.claim("Wang")
    (answer,) = listening.listen(ONE)
    assert not answer.decision.opens
    assert answer.decision.reason.startswith("claimed to be Wang at 0.000")
    assert states(pins) == [False]


def test_a_claim_to_be_nobody_opens_nothing(relay: Relay) -> None:
    listening = gate(relay, LI)
    listening.claim("Zhao")
    (answer,) = listening.listen(ONE)
    assert not answer.decision.opens
    assert answer.decision.reason == "Zhao is not enrolled, or may not enter now"


def test_a_claim_is_for_one_phrase(relay: Relay) -> None:
    listening = gate(relay, BETWEEN, BETWEEN)
    listening.claim("Wang")
    first, second = listening.listen(TWO)
    assert (first.decision.opens, second.decision.opens) == (True, False)
    assert second.decision.claim is None


def test_a_claim_does_not_wait_for_ever(relay: Relay) -> None:
    clock = Clock()
    listening = gate(relay, BETWEEN, clock=clock)
    listening.claim("Wang")
    clock.now += CLAIM + 1
    (answer,) = listening.listen(ONE)
    assert (answer.decision.claim, answer.decision.opens) == (None, False)


# Who may enter when

SCHOOL_DAYS = (Rule(("7a",), days=(0, 1, 2, 3, 4), opens=datetime.time(7)),)


@pytest.mark.parametrize("claim", [False, True])
@pytest.mark.parametrize(
    ("now", "point", "student"),
    [
        (MONDAY, LI, "Li"),
        (MONDAY.replace(hour=6), LI, None),
        (MONDAY + datetime.timedelta(days=5), LI, None),  # a Saturday
        (MONDAY, WANG, None),  # of a group that the roster does not name
        (MONDAY.replace(month=8, day=2), LI, None),  # consent is over
    ],
)
def test_only_who_is_on_the_roster_may_enter_when_it_says(
    relay: Relay,
    pins: MockFactory,
    now: datetime.datetime,
    point: np.ndarray,
    student: str | None,
    claim: bool,
) -> None:
    listening = gate(relay, point, roster=SCHOOL_DAYS, now=now)
    if claim:
        listening.claim("Li" if point is LI else "Wang")
    (answer,) = listening.listen(ONE)
    assert answer.decision.student == student
    assert states(pins) == [False] + [True] * (student is not None)


def test_a_gate_without_thresholds_opens_for_nobody(relay: Relay, pins: MockFactory) -> None:
    listening = gate(relay, LI, LI, thresholds=Thresholds())
    (answer,) = listening.listen(ONE)
    listening.claim("Li")
    (claimed,) = listening.listen(ONE)
    assert not answer.decision.opens
    assert not claimed.decision.opens
    assert states(pins) == [False]


BREATH = Recording(
    in_a_room(silence(0.5), *[spoken(0.42), silence(0.2)] * 6, silence(0.4))
)  # six words in one breath


def test_words_of_strangers_in_one_breath_count_one_by_one(relay: Relay) -> None:
    lockout = Lockout(free=10)
    listening = gate(relay, *[STRANGER] * 6, lockout=lockout)
    (answer,) = listening.listen(BREATH)
    assert not answer.decision.opens
    assert lockout.tries.count == 6
    assert listening.encoder.points == []  # type: ignore[attr-defined]


def test_a_breath_is_no_more_than_the_free_tries_and_its_end(relay: Relay) -> None:
    lockout = Lockout()
    listening = gate(relay, *[STRANGER] * 3, LI, LI, LI, lockout=lockout)
    (answer,) = listening.listen(BREATH)
    assert answer.decision.student == "Li"  # the fourth look is at the whole of it
    lockout = Lockout(free=0)
    listening = gate(relay, *[STRANGER] * 6, lockout=lockout)
    assert len(list(listening.listen(BREATH))) == 1 and lockout.tries.count == 1


def test_a_student_who_stops_in_the_middle_is_no_unknown_voice(relay: Relay) -> None:
    lockout = Lockout()
    (answer,) = gate(relay, STRANGER, LI, lockout=lockout).listen(
        Recording(in_a_room(silence(0.5), spoken(0.42), silence(0.2), spoken(0.42), silence(0.5)))
    )
    assert answer.decision.student == "Li" and lockout.tries.count == 0
