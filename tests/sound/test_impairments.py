"""What costs score in a phrase is named with what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.rehearsal import RECORDINGS, VOICES
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.bandwidth import limited
from kaimen.sound.gain_steps import has_gain_step
from kaimen.sound.impairments import gap_share, impairments
from kaimen.sound.recording import main_phrase, read
from tests.sounds import tone

VOICE = RECORDINGS / "anning" / "phrase-1.mp3"


@pytest.fixture(scope="module")
def phrase() -> Samples:
    return main_phrase(read(VOICE)).samples


def with_gaps(phrase: Samples, every: float = 0.24, gap: float = 0.06) -> Samples:
    """Silence for ``gap`` seconds in each ``every``."""
    at = np.arange(len(phrase)) / SAMPLE_RATE % every
    return np.where(at < every - gap, phrase, 0).astype(np.float32)


def with_steps(phrase: Samples, decibels: float = 20, every: float = 0.3) -> Samples:
    """Turned down and up again, each time for so many seconds."""
    down = np.arange(len(phrase)) // round(every * SAMPLE_RATE) % 2
    return (phrase * 10 ** (-decibels * down / 20)).astype(np.float32)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: limited(x, 4_000), "above 4 kHz"),
        (lambda x: 0.01 * x, "very quiet"),
        (lambda x: np.clip(20 * x, -1, 1), "cut off"),
        (with_gaps, "gaps"),
        (with_steps, "turn off automatic gain"),
    ],
)
def test_each_is_named_alone(change: object, said: str, phrase: Samples) -> None:
    (sentence,) = impairments(change(phrase))  # type: ignore[operator]
    assert said in sentence and "; " in sentence


@pytest.mark.parametrize("path", [VOICE, *sorted(VOICES.glob("*/*/*.mp3"))[::30]], ids=str)
def test_nothing_is_said_of_good_recordings(path: Path) -> None:
    assert impairments(main_phrase(read(path)).samples) == ()


def test_a_gap_is_silence_between_speech_and_not_a_pause(phrase: Samples) -> None:
    assert gap_share(with_gaps(phrase)) > 0.1
    assert gap_share(phrase) == 0
    assert gap_share(np.zeros(0, np.float32)) == 0
    pause = np.zeros(SAMPLE_RATE // 2, np.float32)
    assert gap_share(np.concatenate((phrase, pause, phrase))) == 0


def test_most_voices_that_a_gain_turns_up_and_down_are_told() -> None:
    phrases = [main_phrase(read(path)).samples for path in sorted(RECORDINGS.glob("*/phrase-1.*"))]
    assert not any(map(has_gain_step, phrases))
    told = [has_gain_step(with_steps(phrase)) for phrase in phrases]
    assert np.mean(told) > 0.3


@given(st.lists(st.floats(-1, 1, width=32), max_size=2000))
def test_of_any_sound_it_is_said_whether_its_gain_jumps(sound: list[float]) -> None:
    assert has_gain_step(np.array(sound, np.float32)) in (True, False)


def test_silence_and_a_steady_tone_have_no_gain_step() -> None:
    assert not has_gain_step(np.zeros(SAMPLE_RATE, np.float32))
    assert not has_gain_step(tone(440, 1))
