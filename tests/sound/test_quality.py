"""What is measured of a recording, against sounds that were made so."""

from __future__ import annotations

import numpy as np
import pytest

from kaimen.errors import NoSpeech
from kaimen.sound import Samples, quality
from kaimen.sound.recording import main_phrase
from tests.sounds import in_a_room, noise, silence, spoken, tone


def reference_voiced_seconds(phrase: Samples) -> float:
    """The same by its definition, a frame and a lag at a time."""
    coarse = phrase.reshape(-1, quality.COARSER).mean(axis=1)
    frames = np.lib.stride_tricks.sliding_window_view(coarse, quality.WINDOW)[:: quality.HOP]
    frames = frames.astype(np.float64) - frames.mean(axis=1, keepdims=True)
    energies = (frames**2).sum(axis=1)
    voiced = 0
    lags = range(quality.RATE // quality.HIGHEST_PITCH, quality.RATE // quality.LOWEST_PITCH)
    for frame, energy in zip(frames, energies, strict=True):
        if energy > energies.max() / 10 ** (quality.LOUD / 10):
            best = max(
                frame[lag:] @ frame[:-lag] / (quality.WINDOW - lag) * quality.WINDOW / energy
                for lag in lags
            )
            voiced += best > quality.PERIODIC
    return voiced * quality.HOP / quality.RATE


@pytest.mark.parametrize(
    "sound",
    [spoken(0.5), spoken(0.5, pitch=70), noise(0.5, -20), in_a_room(spoken(0.3), silence(0.2))],
    ids=["voice", "low voice", "hiss", "voice and room"],
)
def test_voice_is_what_repeats_itself_with_the_pitch(sound: Samples) -> None:
    assert quality.voiced_seconds(sound) == reference_voiced_seconds(sound)


@pytest.mark.parametrize("enough", [0.05, 0.2, 5.0])
def test_voice_is_not_counted_on_once_it_is_enough(enough: float) -> None:
    all_of_it = quality.voiced_seconds(spoken(1.0))
    found = quality.voiced_seconds(spoken(1.0), enough)
    assert min(enough, all_of_it) <= found <= all_of_it


def test_a_voice_is_voiced_and_hiss_is_not() -> None:
    assert quality.voiced_seconds(spoken(1.0)) > 0.8
    assert quality.voiced_seconds(noise(1.0, -20)) < 0.05
    assert quality.voiced_seconds(np.zeros(100, np.float32)) == 0


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0, 4.0])
def test_the_share_of_a_sine_that_is_cut_off(gain: float) -> None:
    """Of a sine, so much of the time is spent above a level: 1 - 2/pi asin(level)."""
    sine = np.clip(gain * tone(130, 1.0, height=1.0), -1, 1)
    level = min(1.0, quality.FULL_SCALE / gain)
    expected = 1 - 2 / np.pi * np.arcsin(level)
    assert quality.clipped_share(sine) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("decibels", [14.0, 20.0, 30.0])
def test_how_far_a_voice_stands_out_of_steady_noise(decibels: float) -> None:
    """White noise in white noise: the levels' difference is the ratio, and the noise adds."""
    loud = noise(1.0, -20.0, 1)
    sound = in_a_room(silence(0.5), loud, silence(0.5), level=-20.0 - decibels)
    found = quality.signal_to_noise(sound, main_phrase(sound))
    expected = 10 * np.log10(1 + 10 ** (decibels / 10))
    assert found == pytest.approx(expected, abs=1.0)


def test_a_recording_cut_close_to_the_phrase_is_measured_by_its_quietest_moment() -> None:
    quiet = in_a_room(spoken(0.4), silence(0.25), spoken(0.4), level=-80.0)
    loud = in_a_room(spoken(0.4), silence(0.25), spoken(0.4), level=-62.0)
    there, here = (quality.signal_to_noise(sound, main_phrase(sound)) for sound in (quiet, loud))
    assert there > here + 10


def test_digital_silence_around_a_phrase_is_no_room_and_no_error() -> None:
    sound = np.concatenate((silence(0.3), spoken(0.6), silence(0.3)))
    assert quality.signal_to_noise(sound, main_phrase(sound)) > quality.LEAST_SIGNAL_TO_NOISE


def require(sound: Samples) -> None:
    quality.require_good(sound, main_phrase(sound))


def test_a_good_recording_is_good() -> None:
    require(in_a_room(silence(0.3), spoken(0.8), silence(0.5)))


@pytest.mark.parametrize(
    ("sound", "error"),
    [
        (in_a_room(silence(0.3), noise(0.5, -20), silence(0.5)), NoSpeech),
        (np.clip(in_a_room(silence(0.3), 30 * spoken(0.8), silence(0.5)), -1, 1), quality.Clipped),
        (in_a_room(silence(2.2), spoken(0.8), silence(0.5), level=-44.0), quality.TooNoisy),
        (in_a_room(silence(0.3), spoken(0.13), silence(0.5)), quality.TooShort),
    ],
    ids=["no voice", "clipped", "noisy", "short"],
)
def test_a_bad_recording_is_refused_with_what_to_do(sound: Samples, error: type) -> None:
    with pytest.raises(error) as raised:
        require(sound)
    assert type(raised.value) is error and "record it" in str(raised.value)
