"""What is done to a clip, one thing at a time: all others are switched off."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from kaimen_train.data import augment
from kaimen_train.data.augment import Augmenter, rooms
from kaimen_train.data.corpus import Clips
from tests.sounds import noise, spoken

FRAMES = 60
LENGTH = (FRAMES - 1) * features.HOP + features.WINDOW  # samples that make so many frames
CLIP = spoken(LENGTH / SAMPLE_RATE)

Make = Callable[..., Augmenter]


def clips_of(*sounds: Samples) -> Clips:
    ends = np.cumsum([len(sound) for sound in sounds])
    starts = ends - [len(sound) for sound in sounds]
    samples = np.int16(np.concatenate(sounds) * 32767)
    return Clips(samples, starts, ends, [{"speaker": str(n)} for n in range(len(sounds))])


@pytest.fixture
def make() -> Make:
    """An augmenter from a seed."""
    noises = clips_of(noise(0.2, -20, seed=1), noise(2.0, -10, seed=2))
    voices = clips_of(spoken(0.4, 100), spoken(0.9, 200), spoken(1.5, 260))
    echo = np.zeros(2_000, np.float32)
    echo[[0, 700, 1_500]] = np.sqrt((0.7, 0.2, 0.1))

    def with_seed(seed: int) -> Augmenter:
        return Augmenter(noises, voices, [echo], np.random.default_rng(seed))

    return with_seed


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is switched off; a test switches one thing on."""
    for name in ("IN_A_ROOM", "IN_NOISE", "MICROPHONE"):
        monkeypatch.setattr(augment, name, 0.0)
    monkeypatch.setattr(augment, "COVERED", (0, 0))


def at_the_gate(clip: Samples) -> np.ndarray:
    return features.level_free(features.log_mel(clip))


@pytest.mark.parametrize("frames", [60, 150])
@pytest.mark.parametrize("seconds", [0.01, 0.3, 0.62, 3.0])
def test_any_clip_gives_finite_features_of_the_length_asked(
    make: Make, frames: int, seconds: float
) -> None:
    augmenter = make(0)
    for _ in range(20):
        values = augmenter(spoken(seconds), frames)
        assert values.shape == (frames, features.MELS)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


def test_silence_gives_finite_features(make: Make) -> None:
    augmenter = make(0)
    for _ in range(20):
        assert np.isfinite(augmenter(np.zeros(LENGTH, np.float32), FRAMES)).all()


def test_the_same_state_gives_the_same_features(make: Make) -> None:
    first, second = make(5), make(5)
    for _ in range(5):
        np.testing.assert_array_equal(first(CLIP, FRAMES), second(CLIP, FRAMES))


def test_no_two_draws_are_alike(make: Make) -> None:
    augmenter = make(0)
    drawn = [augmenter(CLIP, FRAMES) for _ in range(8)]
    assert not any(np.array_equal(one, other) for one, other in pairwise(drawn))


def test_a_clip_is_not_changed_itself(make: Make) -> None:
    clip = CLIP.copy()
    augmenter = make(0)
    for _ in range(10):
        augmenter(clip, FRAMES)
    np.testing.assert_array_equal(clip, CLIP)


@pytest.mark.parametrize("seed", range(6))
def test_how_loud_a_clip_is_changes_nothing(make: Make, seed: int) -> None:
    # Noise follows the level of the voice, so that the same draws give the same features.
    clip = CLIP + noise(LENGTH / SAMPLE_RATE, -40)  # nowhere as faint as the features' floor
    loud, faint = (make(seed)(sound, FRAMES) for sound in (3 * clip, clip))
    np.testing.assert_allclose(loud, faint, atol=0.01)


def test_what_is_not_covered_has_no_level(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "COVERED", (0, 0))
    augmenter = make(0)
    for _ in range(10):
        assert augmenter(CLIP, FRAMES).mean() == pytest.approx(0, abs=1e-4)


@pytest.mark.usefixtures("nothing")
def test_with_nothing_changed_the_features_are_those_at_the_gate(make: Make) -> None:
    np.testing.assert_allclose(make(0)(CLIP, FRAMES), at_the_gate(CLIP), atol=1e-5)


@pytest.mark.usefixtures("nothing")
def test_of_a_long_clip_a_piece_is_heard(make: Make) -> None:
    long = noise((LENGTH + 20) / SAMPLE_RATE, -20)
    pieces = np.stack([at_the_gate(long[start:][:LENGTH]) for start in range(21)])
    augmenter = make(0)
    heard = set()
    for _ in range(9):
        apart = np.abs(pieces - augmenter(long, FRAMES)).max(axis=(1, 2))
        assert apart.min() < 1e-4
        heard.add(int(apart.argmin()))
    assert len(heard) > 3


@pytest.mark.usefixtures("nothing")
def test_a_short_clip_is_said_again(make: Make) -> None:
    short = CLIP[: LENGTH // 2]
    values = make(0)(short, FRAMES)
    have = 1 + (len(short) - features.WINDOW) // features.HOP
    np.testing.assert_array_equal(values[have:], values[: FRAMES - have])


@pytest.mark.usefixtures("nothing")
def test_a_microphone_is_a_curve_over_pitch_that_stays(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augment, "MICROPHONE", 4.0)
    curve = make(0)(CLIP, FRAMES) - at_the_gate(CLIP)
    assert curve.std(axis=0).max() < 1e-4  # the same in all frames
    assert curve.mean(axis=0).std() > 0.05  # but not the same in all mels


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("seed", range(5))
def test_one_band_and_one_stretch_are_covered(
    make: Make, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(augment, "COVERED", (8, 10))
    values, plain = make(seed)(CLIP, FRAMES), at_the_gate(CLIP)
    covered = np.abs(values - plain) > 1e-4
    assert not values[covered].any()
    times, mels = np.flatnonzero(covered.all(axis=1)), np.flatnonzero(covered.all(axis=0))
    for places, most in ((times, 10), (mels, 8)):
        assert len(places) <= most
        assert np.all(np.diff(places) == 1)
    covered[times] = False
    covered[:, mels] = False
    assert not covered.any()


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("among_voices", [0.0, 1.0])
@pytest.mark.parametrize("snr", [3.0, 20.0])
def test_noise_is_as_faint_as_was_drawn(
    make: Make, monkeypatch: pytest.MonkeyPatch, among_voices: float, snr: float
) -> None:
    heard: list[Samples] = []

    def listen(sound: Samples) -> np.ndarray:
        heard.append(sound)
        return np.zeros((FRAMES, features.MELS), np.float32)

    monkeypatch.setattr(augment, "IN_NOISE", 1.0)
    monkeypatch.setattr(augment, "AMONG_VOICES", among_voices)
    monkeypatch.setattr(augment, "SNR", (snr, snr))
    monkeypatch.setattr(features, "log_mel", listen)
    augmenter = make(0)
    for _ in range(5):
        augmenter(CLIP, FRAMES)
    for sound in heard:
        assert 20 * np.log10(CLIP.std() / (sound - CLIP).std()) == pytest.approx(snr, abs=0.1)


@pytest.mark.usefixtures("nothing")
def test_a_room_answers(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "IN_A_ROOM", 1.0)
    augmenter = make(0)
    (room,) = augmenter.rooms
    answered = np.convolve(CLIP, room)[: len(CLIP)].astype(np.float32)
    np.testing.assert_allclose(augmenter(CLIP, FRAMES), at_the_gate(answered), atol=0.02)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rooms are only three."""
    pytest.importorskip("pyroomacoustics")
    monkeypatch.setattr(augment, "ROOMS", 3)


@pytest.mark.usefixtures("three")
def test_rooms_have_unit_energy_and_the_direct_sound_first(tmp_path: Path) -> None:
    built = rooms(tmp_path)
    assert len(built) == 3
    for answer in built:
        assert answer.dtype == np.float32
        assert np.sum(answer**2) == pytest.approx(1, abs=1e-4)
        assert np.argmax(np.abs(answer)) <= 8
        assert 8 < len(answer) <= 0.5 * SAMPLE_RATE


@pytest.mark.usefixtures("three")
def test_rooms_are_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = rooms(tmp_path)
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)  # importing it fails
    for one, again in zip(built, rooms(tmp_path), strict=True):
        np.testing.assert_array_equal(one, again)


@pytest.mark.usefixtures("three")
def test_another_seed_builds_other_rooms(tmp_path: Path) -> None:
    first, second = (rooms(tmp_path, seed) for seed in (1, 2))
    assert not any(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
