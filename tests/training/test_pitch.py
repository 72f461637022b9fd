"""Pitches are found, led from one voice to another, and heard again."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from kaimen.sound.quality import voiced_seconds
from kaimen.voice import features
from kaimen_train.autoencoder.griffin_lim import sound
from kaimen_train.autoencoder.pitch import between, contour, source
from tests.sounds import noise, pitch_of, spoken


@pytest.mark.parametrize("pitch", [90, 140, 220, 310])
def test_the_pitch_of_a_voice_is_found(pitch: float) -> None:
    found = contour(spoken(0.6, pitch=pitch))
    assert len(found) == len(features.log_mel(spoken(0.6, pitch=pitch)))
    assert np.mean(found > 0) > 0.6
    assert np.median(found[found > 0]) == pytest.approx(pitch, rel=0.08)


def test_noise_has_none() -> None:
    assert np.mean(contour(noise(0.6, -20.0)) > 0) < 0.1


def test_the_way_leads_from_one_to_the_other_by_ratios() -> None:
    low, high = np.full(10, 100.0), np.full(20, 400.0)
    low[:2] = 0
    np.testing.assert_allclose(between(low, high, 0.0, 10), low)
    np.testing.assert_allclose(between(low, high, 1.0, 20), high)
    half = between(low, high, 0.5, 15)
    np.testing.assert_allclose(half[half > 0], 200)
    assert (half > 0).all()  # a half is enough


def test_where_neither_is_voiced_nothing_is() -> None:
    assert not between(np.zeros(5), np.zeros(9), 0.3, 7).any()
    np.testing.assert_allclose(between(np.zeros(5), np.full(9, 120.0), 0.7, 7), 120)


def test_a_source_is_as_even_as_its_pitch_allows() -> None:
    heard = source(np.full(100, 200.0))
    power = np.abs(np.fft.rfft(heard[:16_000])) ** 2
    bands = [power[low : low + 1_000].sum() for low in range(0, 7_000, 1_000)]
    assert max(bands) < 4 * min(bands)
    assert pitch_of(heard) % 200 == pytest.approx(0, abs=2)


def test_what_is_whispered_is_sung_at_the_pitch_that_is_asked_for() -> None:
    picture = features.log_mel(spoken(0.8, pitch=180))
    for pitch in (110.0, 240.0):
        sung = sound(picture, contour=np.full(len(picture), pitch))
        found = contour(sung)
        assert np.median(found[found > 0]) == pytest.approx(pitch, rel=0.05)
        assert voiced_seconds(sung) > 0.3
        # And it is still the same picture, but for what tells pitches apart.
        wide = [
            np.log(np.exp(each).reshape(len(each), 8, -1).mean(axis=2)).ravel()
            for each in (features.log_mel(sung), picture)
        ]
        assert np.corrcoef(*wide)[0, 1] > 0.8
