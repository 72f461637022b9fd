"""The features, against constructions that are slow and plain."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kaimen.errors import NoSpeech
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from tests.sounds import noise, spoken, tone

PHRASE = spoken(0.2) + noise(0.2, -60)
BANDS = pytest.mark.parametrize("bands", [features.COARSE, features.FINE])
SLOPES = st.floats(-10, 10, width=32)


def slow_triangles(bands: features.Bands = features.COARSE) -> np.ndarray:
    """Mel triangles over 257 bins, built one value at a time."""
    count, lowest, highest = {
        features.COARSE: (64, 60, 7600),
        features.FINE: (80, 20, 8000),
    }[bands]

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    low, high = mel(lowest), mel(highest)
    corners = [low + (high - low) * step / (count + 1) for step in range(count + 2)]
    weights = np.zeros((257, count))
    for triangle in range(count):
        left, middle, right = corners[triangle : triangle + 3]
        for bin_ in range(257):
            at = mel(bin_ * 16000 / 512)
            if left < at <= middle:
                weights[bin_, triangle] = (at - left) / (middle - left)
            elif middle < at < right:
                weights[bin_, triangle] = (right - at) / (right - middle)
    return weights


def slow_log_mel(samples: Samples, bands: features.Bands = features.COARSE) -> np.ndarray:
    """Log-mel energies from a discrete Fourier transform that is written out."""
    if bands is features.COARSE:
        window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)])
        floor = 1e-8
    else:  # Kaldi's feature-window.cc: "povey", and PreemphasizeInPlace
        turns = [2 * math.pi * n / 399 for n in range(400)]
        window = np.array([(0.5 - 0.5 * math.cos(turn)) ** 0.85 for turn in turns])
        floor = 1e-10
        before = np.concatenate(([0.0], samples[:-1].astype(np.float64)))
        samples = samples - 0.97 * before
    angles = 2 * np.pi * np.outer(np.arange(257), np.arange(400)) / 512
    rows = []
    start = 0
    while start + 400 <= len(samples):
        frame = samples[start : start + 400].astype(np.float64) * window
        power = (np.cos(angles) @ frame) ** 2 + (np.sin(angles) @ frame) ** 2
        rows.append(np.log(power @ slow_triangles(bands) + floor))
        start += 160
    return np.array(rows)


def slow_deltas(values: np.ndarray) -> np.ndarray:
    """The HTK Book, equation 5.16, one value at a time."""
    frames, width = values.shape
    slopes = np.zeros(values.shape)
    for frame in range(frames):
        for column in range(width):
            for step in (1, 2):
                ahead = values[min(frame + step, frames - 1), column]
                behind = values[max(frame - step, 0), column]
                slopes[frame, column] += step * (ahead - behind) / 10
    return slopes


@BANDS
def test_the_filters_are_the_triangles_of_the_definition(bands: features.Bands) -> None:
    np.testing.assert_allclose(features.filterbank(bands), slow_triangles(bands), atol=1e-6)


@BANDS
def test_every_filter_hears_something(bands: features.Bands) -> None:
    assert (features.filterbank(bands).sum(axis=0) > 0).all()


@BANDS
@pytest.mark.parametrize(
    "samples", [PHRASE, noise(0.1, -20), tone(1000, 0.1), np.zeros(800, np.float32)]
)
def test_log_mel_is_what_the_definition_gives(samples: Samples, bands: features.Bands) -> None:
    found = features.log_mel(samples, bands)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_log_mel(samples, bands), atol=5e-3)


@given(st.integers(400, 3000))
def test_there_is_a_frame_every_10_ms_while_25_ms_are_left(length: int) -> None:
    frames = features.log_mel(np.zeros(length, np.float32))
    assert frames.shape == (1 + (length - 400) // 160, 64)


def test_a_frame_hears_only_its_own_samples() -> None:
    samples = noise(0.1, -30)
    changed = samples.copy()
    changed[160 * 3 + 400 :] = 0  # after the fourth frame
    before, after = features.log_mel(samples), features.log_mel(changed)
    np.testing.assert_array_equal(before[:4], after[:4])
    assert not np.allclose(before[4:], after[4:])


@pytest.mark.parametrize("hertz", [1000, 2500, 5000])
def test_a_tone_is_loudest_in_the_filter_around_it(hertz: float) -> None:
    loudest = features.log_mel(tone(hertz, 0.1)).mean(axis=0).argmax()
    assert loudest == slow_triangles()[round(hertz / 31.25)].argmax()


@pytest.mark.parametrize("length", [0, 1, 399])
def test_less_than_one_frame_is_no_speech(length: int) -> None:
    with pytest.raises(NoSpeech, match="25 ms"):
        features.log_mel(np.zeros(length, np.float32))


@given(st.floats(0.05, 20))
def test_how_loud_a_phrase_was_is_taken_out(gain: float) -> None:
    samples = noise(0.2, -20)
    heard = features.level_free(features.log_mel(samples))
    louder = features.level_free(features.log_mel(samples * np.float32(gain)))
    np.testing.assert_allclose(louder, heard, atol=1e-3)


def test_what_is_free_of_level_has_no_mean() -> None:
    heard = features.level_free(features.log_mel(PHRASE))
    assert float(heard.mean(dtype=np.float64)) == pytest.approx(0, abs=1e-4)


def test_the_classic_39_are_cepstra_and_their_regressions() -> None:
    found = features.classic39(PHRASE)
    cepstra = scipy.fft.dct(slow_log_mel(PHRASE), type=2, norm="ortho", axis=1)[:, :13]
    first = slow_deltas(cepstra)
    assert found.shape == (len(cepstra), 39)
    np.testing.assert_allclose(found[:, :13], cepstra, atol=5e-3)
    np.testing.assert_allclose(found[:, 13:26], first, atol=5e-3)
    np.testing.assert_allclose(found[:, 26:], slow_deltas(first), atol=5e-3)


@given(arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=SLOPES))
def test_deltas_are_the_regression_formula(values: np.ndarray) -> None:
    np.testing.assert_allclose(features.deltas(values), slow_deltas(values), atol=1e-4)


@given(slope=SLOPES, height=SLOPES, frames=st.integers(5, 30))
def test_deltas_of_a_line_are_its_slope(slope: float, height: float, frames: int) -> None:
    line = (height + slope * np.arange(frames, dtype=np.float32))[:, np.newaxis].astype(np.float32)
    np.testing.assert_allclose(features.deltas(line)[2:-2], slope, atol=1e-3)


@given(have=st.integers(1, 300), frames=st.integers(1, 100))
def test_windows_have_the_length_asked_for_and_leave_no_frame_out(have: int, frames: int) -> None:
    numbered = np.arange(have, dtype=np.float32)[:, np.newaxis].repeat(2, axis=1)
    windows = features.fit_frames(numbered, frames)
    assert {window.shape for window in windows} == {(frames, 2)}
    assert set(np.concatenate(windows)[:, 0]) >= set(numbered[:frames, 0])
    assert set(np.concatenate(windows)[:, 0]) == set(numbered[:, 0])
    assert len(windows) == math.ceil(have / frames)
    assert windows[0][0, 0] == 0


def test_a_short_phrase_is_said_again_from_its_beginning() -> None:
    numbered = np.arange(3, dtype=np.float32)[:, np.newaxis]
    (window,) = features.fit_frames(numbered, 8)
    assert window[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_the_windows_of_a_long_phrase_are_whole_pieces_of_it() -> None:
    numbered = np.arange(25, dtype=np.float32)[:, np.newaxis]
    windows = features.fit_frames(numbered, 10)
    assert [window[0, 0] for window in windows] == [0, 8, 15]
    for window in windows:
        assert (np.diff(window[:, 0]) == 1).all()


def test_the_constants_survive_being_written_to_a_card() -> None:
    constants = features.constants()
    assert json.loads(json.dumps(constants)) == constants
    assert constants["sample_rate"] == SAMPLE_RATE


@BANDS
def test_bands_are_known_by_their_constants(bands: features.Bands) -> None:
    assert features.bands_of(features.constants(bands)) == bands
    assert features.log_mel(PHRASE, bands).shape[1] == bands.mels


def test_no_bands_have_constants_that_were_changed() -> None:
    with pytest.raises(ValueError, match="another program"):
        features.bands_of(features.constants() | {"mels": 65})


@pytest.mark.parametrize("of_old", ["preemphasis", "hann_power"])
def test_fine_bands_of_plain_spectra_are_no_bands_of_today(of_old: str) -> None:
    constants = features.constants(features.FINE)
    del constants[of_old]
    with pytest.raises(ValueError, match="another program"):
        features.bands_of(constants)
