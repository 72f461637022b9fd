"""How loud and how quiet a sound is."""

from __future__ import annotations

import numpy as np
import pytest

from kaimen.sound import SAMPLE_RATE
from kaimen.sound.loudness import SILENCE, Loudness, decibels, listened
from kaimen.sound.recording import Recording
from tests.sounds import in_a_room, noise, silence, spoken, tone


def test_a_sine_at_full_scale_is_three_decibels_below_it() -> None:
    found = Loudness.of(tone(1000, 1.0, height=1.0))
    assert found.level == found.floor == pytest.approx(-3.01, abs=0.1)
    assert found.peak == pytest.approx(0, abs=0.1)
    assert found.seconds == 1.0


def test_level_is_of_the_loud_moments_and_floor_of_the_quiet() -> None:
    found = Loudness.of(in_a_room(silence(1.0), tone(500, 1.0, height=0.1), level=-60.0))
    assert found.level == pytest.approx(-23, abs=0.5)
    assert found.floor == pytest.approx(-60, abs=1)
    assert found.stands_out and not found.mute and not found.too_loud


def test_nothing_at_all_is_silence() -> None:
    for sound in (silence(0.0), silence(0.001), silence(1.0)):
        found = Loudness.of(sound)
        assert found.mute and not found.stands_out
        assert found.level == found.floor == SILENCE
    assert decibels(silence(0.0)) == SILENCE


def test_what_is_cut_off_is_too_loud() -> None:
    assert Loudness.of(np.clip(10 * spoken(1.0), -1, 1)).too_loud
    assert not Loudness.of(spoken(1.0)).too_loud


def test_steady_noise_does_not_stand_out() -> None:
    assert not Loudness.of(noise(2.0, -30.0)).stands_out


def test_so_many_seconds_are_listened_to_or_what_there_is() -> None:
    shown: list[int] = []
    heard = listened(Recording(spoken(2.0)), 0.5, lambda block: shown.append(len(block)))
    assert len(heard) == sum(shown) == SAMPLE_RATE // 2
    assert len(listened(Recording(spoken(0.2)), 5.0)) < SAMPLE_RATE
