"""What is too low for a voice is taken away, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.sound import SAMPLE_RATE
from kaimen.sound.high_pass import HighPass
from tests.sounds import noise, tone

SOUND = noise(0.5, -20) + np.float32(0.1)


def passed(hertz: float, rate: int) -> float:
    """What a tone has lost, in dB, once it has lasted."""
    heard = HighPass(rate)(tone(hertz, 1, rate))[rate // 2 :]
    return float(20 * np.log10(np.std(heard) / np.std(tone(hertz, 1, rate)) + 1e-9))


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_hum_is_taken_away_and_the_lowest_voices_stay(rate: int) -> None:
    for hertz in (20, 50, 60):
        assert passed(hertz, rate) < -24.9
    assert passed(76, rate) == pytest.approx(-3, abs=0.2)
    for hertz in (100, 300, 3000):
        assert passed(hertz, rate) == pytest.approx(0, abs=0.15)


def test_an_offset_leaves_no_trace_not_even_where_the_stream_begins() -> None:
    without = SOUND - np.float32(0.1)
    np.testing.assert_allclose(
        HighPass(SAMPLE_RATE)(SOUND), HighPass(SAMPLE_RATE)(without), atol=1e-6
    )


@given(st.sets(st.integers(0, len(SOUND)), max_size=20))
def test_what_is_heard_does_not_depend_on_how_the_stream_is_cut(cuts: set[int]) -> None:
    high_pass = HighPass(SAMPLE_RATE)
    pieces = [high_pass(block) for block in np.split(SOUND, sorted(cuts))]
    np.testing.assert_allclose(np.concatenate(pieces), HighPass(SAMPLE_RATE)(SOUND), atol=1e-7)


def test_what_was_cut_off_can_still_be_told() -> None:
    loud = np.clip(tone(130, 0.5, height=3.0), -1, 1)
    heard = HighPass(SAMPLE_RATE)(loud)
    np.testing.assert_array_equal(np.abs(heard) >= 0.98, np.abs(loud) >= 0.98)


def test_samples_far_out_of_scale_do_not_outlive_their_moment() -> None:
    sound = tone(1000, 0.5)
    sound[100] = 1e30
    assert np.abs(HighPass(SAMPLE_RATE)(sound)[4000:]).max() < 0.6
