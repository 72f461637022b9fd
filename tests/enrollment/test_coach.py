"""The coach at takes of the demonstration class, and at takes that somebody spoilt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kaimen.enrollment import coach as coach_module
from kaimen.enrollment.advice import Advice
from kaimen.enrollment.at_microphone import HeardLevel, takes_at
from kaimen.enrollment.coach import EXTRA, Coach, TakeJudgement
from kaimen.errors import NoSpeech
from kaimen.sound import Samples
from kaimen.sound.recording import Recording
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models
from tests.sounds import noise
from tests.voices import said, take, takes_of

THRESHOLD = 0.65


@pytest.fixture(scope="module")
def models() -> Models:
    return Models.shipped(Encoder(SHIPPED))


def heard(coach: Coach, sound: Samples) -> list[TakeJudgement]:
    """What the coach says of each take, as long as it listens."""
    events = takes_at(Recording(sound), coach)
    return [each for each in events if isinstance(each, TakeJudgement)]


def advice(judged: Sequence[TakeJudgement]) -> list[Advice]:
    return [each.advice for each in judged]


def test_five_good_takes_are_enough(models: Models) -> None:
    coach = Coach(models, THRESHOLD)
    judged = heard(coach, said(*takes_of("anning")))
    assert advice(judged) == [Advice.NEXT] * 4 + [Advice.DONE]
    assert [each.progress for each in judged] == [20, 40, 60, 80, 100]
    assert judged[-1].complete
    assert judged[-1].chance is not None
    assert judged[-1].chance < 0.1
    assert len(coach.judged().usable) == 5


def test_another_voice_is_no_take_and_the_others_go_on(models: Models) -> None:
    own = takes_of("anning")
    judged = heard(Coach(models, THRESHOLD), said(*own[:2], take("bowen", 1), *own[2:]))
    assert advice(judged)[2] is Advice.SAME_VOICE
    assert judged[-1].complete


def test_where_the_first_take_was_another_s_it_is_outvoted(models: Models) -> None:
    coach = Coach(models, THRESHOLD)
    judged = heard(coach, said(take("bowen", 1), *takes_of("anning")))
    assert judged[-1].complete
    points = np.stack([each.recorded.voiceprint for each in coach.takes])
    assert (points @ points.T).min() > 0.5


def test_other_words_are_no_take(models: Models) -> None:
    judged = heard(
        Coach(models, THRESHOLD),
        said(*takes_of("anning", 2), take("anning", 1, "other"), *takes_of("anning")[2:]),
    )
    assert advice(judged)[2] in (Advice.SAME_WORDS, Advice.SAME_VOICE)
    assert not judged[2].kept


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (np.clip(20 * take("anning", 1), -1, 1), {Advice.FURTHER}),
        (take("anning", 1) * 0.004, {Advice.LOUDER, Advice.CLOSER, Advice.SPEAK}),
        (noise(1.0, -20.0), {Advice.SPEAK, Advice.QUIETER, Advice.WHOLE}),
    ],
    ids=["too loud", "too quiet", "no voice"],
)
def test_what_is_spoilt_is_said_once_more_with_one_piece_of_advice(
    models: Models, spoilt: Samples, expected: set[Advice]
) -> None:
    judgement = Coach(models, THRESHOLD).judge(said(spoilt))
    assert not judgement.kept
    assert judgement.reason
    assert judgement.progress == 0
    assert judgement.advice in expected


def test_of_takes_that_promise_little_more_are_asked_for_and_then_it_ends(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coach_module, "chance_of_rejection", lambda *_: 0.5)
    coach = Coach(models, THRESHOLD)
    judged = heard(coach, said(*takes_of("anning", 7)))
    assert advice(judged)[4:] == [Advice.MORE] * EXTRA + [Advice.DONE]
    assert len(coach.judged().usable) == 5 + EXTRA


def test_takes_are_compared_with_those_they_are_added_to(models: Models) -> None:
    before = Coach(models, THRESHOLD)
    heard(before, said(*takes_of("anning")))
    points = np.stack([each.recorded.voiceprint for each in before.takes])
    assert not Coach(models, THRESHOLD, before=points).judge(said(take("bowen", 1))).kept
    one = Coach(models, THRESHOLD, before=points, wanted=1)
    assert one.judge(said(take("anning", 6))).complete


def test_a_sound_that_ends_too_early_says_that_nothing_is_kept(models: Models) -> None:
    with pytest.raises(NoSpeech, match="nothing is kept"):
        heard(Coach(models, THRESHOLD), said(*takes_of("anning", 2)))


def test_nobody_is_waited_for_without_end(models: Models) -> None:
    coach = Coach(models, THRESHOLD)
    with pytest.raises(NoSpeech, match="nobody spoke"):
        heard(coach, noise(70.0, -70.0))


def test_levels_come_ten_times_a_second(models: Models) -> None:
    events = takes_at(Recording(said(*takes_of("anning"))), Coach(models, THRESHOLD))
    levels = [each for each in events if isinstance(each, HeardLevel)]
    assert max(each.level for each in levels) > -30
    assert any(each.speaking for each in levels)


@pytest.mark.parametrize("each", Advice)
def test_advice_is_one_sentence_of_a_line_in_each_language(each: Advice) -> None:
    for text in (each.english, each.chinese):
        cells = sum(1 + (ord(letter) > 0x2E7F) for letter in text)
        assert cells <= 60
        assert text[-1] in ".。"
