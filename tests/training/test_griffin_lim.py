"""Spectrograms become sound again."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from kaimen.voice.encoder import Encoder
from kaimen_train.autoencoder.griffin_lim import (
    PEAK,
    griffin_lim,
    magnitudes_of,
    sound,
    sound_of,
    spectra_of,
)
from tests.sounds import pitch_of, spoken, tone


def test_frames_are_those_of_the_features() -> None:
    heard = spoken(0.5)
    spectra = spectra_of(heard)
    energies = np.log(np.abs(spectra) ** 2 @ features.filterbank() + features.FLOOR)
    np.testing.assert_allclose(energies, features.log_mel(heard), atol=1e-3)


def test_spectra_that_belong_to_a_sound_give_it_back() -> None:
    heard = spoken(0.3)
    again = sound_of(spectra_of(heard))
    inside = slice(features.WINDOW, len(again) - features.WINDOW)
    np.testing.assert_allclose(again[inside], heard[: len(again)][inside], atol=1e-5)


@pytest.mark.parametrize("hertz", [220, 1_000, 3_300])
def test_a_tone_comes_back_with_its_pitch(hertz: float) -> None:
    again = sound(features.log_mel(tone(hertz, 0.5)))
    # No nearer than a mel band is wide.
    width = features.mel(np.array([hertz - 50.0, hertz + 50.0]))
    band = 100 / (width[1] - width[0]) * 45
    assert pitch_of(again) == pytest.approx(hertz, abs=band)
    assert np.abs(again).max() == pytest.approx(PEAK)


def convergence(magnitudes: np.ndarray, samples: Samples) -> float:
    """How far a sound's magnitudes are from those wanted, relative to them (Frobenius norm)."""
    apart = np.linalg.norm(np.abs(spectra_of(samples)) - magnitudes)
    return float(apart / np.linalg.norm(magnitudes))


def test_every_further_iteration_brings_magnitudes_nearer() -> None:
    wanted = magnitudes_of(features.log_mel(spoken(0.5)))
    apart = [convergence(wanted, griffin_lim(wanted, count)) for count in (0, 5, 20, 60)]
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] < 0.5 * apart[0]
    assert convergence(np.abs(spectra_of(spoken(0.5))), spoken(0.5)) == 0


def test_what_is_heard_again_is_near_for_the_encoder() -> None:
    heard = spoken(1.0, pitch=180)
    encoder = Encoder()
    again = sound(features.log_mel(heard))
    assert len(again) == (len(features.log_mel(heard)) - 1) * features.HOP + features.WINDOW
    assert encoder.embed(again) @ encoder.embed(heard) > 0.8


def test_the_ends_of_a_sound_are_not_louder_than_the_rest() -> None:
    swelling = spoken(0.8)
    swelling *= np.hanning(len(swelling)).astype(np.float32)
    again = sound(features.log_mel(swelling))
    assert np.abs(again[: features.HOP]).max() < 0.1 * PEAK
    assert np.abs(again[-features.HOP :]).max() < 0.1 * PEAK
    assert np.sqrt(np.mean(again**2)) > 0.05 * PEAK


def test_silence_is_no_error() -> None:
    again = sound(np.full((20, features.MELS), np.log(features.FLOOR), np.float32))
    assert np.isfinite(again).all()
    assert len(again) / SAMPLE_RATE == pytest.approx(0.215)
