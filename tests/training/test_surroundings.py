"""What the large encoder hears in training: takes that share nothing but the voice."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from kaimen_train.data import surroundings
from kaimen_train.data.corpus import Clips
from kaimen_train.data.surroundings import (
    GROUPS,
    SIZE,
    SPEAKERS,
    TAKES,
    Pool,
    Surroundings,
    companded,
    narrow,
)
from tests.sounds import noise, spoken

VOICES = 20
WORDS = ("one", "two", "three", "four")


def clips_of(sounds: Sequence[Samples], labels: list[dict[str, str | float]]) -> Clips:
    ends = np.cumsum([len(each) for each in sounds])
    samples = np.concatenate([np.int16(each * 32767) for each in sounds])
    return Clips(samples, ends - [len(each) for each in sounds], ends, labels)


@pytest.fixture(scope="module")
def pool() -> Pool:
    sounds, labels = [], []
    for voice in range(VOICES):
        for word in WORDS:
            sounds.append(spoken(0.5, 100 + 10 * voice))
            labels.append(
                {"corpus": "commands", "speaker": f"v{voice}", "text": word, "speed": 1.0}
            )
    return Pool(clips_of(sounds, labels))


@pytest.fixture
def heard(pool: Pool) -> Surroundings:
    sounds = clips_of([noise(2.0, -30)], [{"corpus": "noise", "speaker": "", "text": "hiss"}])
    room = np.zeros(800, np.float32)
    room[[0, 300]] = 0.9, 0.4
    return Surroundings(pool, sounds, [room], np.random.default_rng(0))


def test_every_speaker_comes_twice_with_other_clips(pool: Pool) -> None:
    takes = pool.draw(np.random.default_rng(3), 1.0)
    assert len(takes) == SIZE == GROUPS * SPEAKERS * TAKES
    for (first, one), (second, other) in zip(takes[::2], takes[1::2], strict=True):
        assert first == second
        assert not set(one) & set(other)
        assert {pool.clips.labels[each]["speaker"] for each in one + other} == {f"v{first}"}


def test_the_same_step_hears_the_same(heard: Surroundings) -> None:
    def once() -> np.ndarray:
        heard.random = np.random.default_rng((1, 5))
        return np.stack([heard([0, 1], 100) for _ in range(8)])

    first = once()
    assert first.shape == (8, 100, features.FINE.mels)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, once())
    assert not np.array_equal(first[0], first[1])


def test_as_many_takes_are_of_a_narrow_band_as_were_asked_for(
    heard: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def narrowed(sound: Samples, lowest: float, highest: float) -> Samples:
        asked.append(len(sound))
        return sound

    monkeypatch.setattr(surroundings, "narrow", narrowed)
    for share, least, most in ((0.0, 0, 0), (0.6, 70, 110), (1.0, 150, 150)):
        asked.clear()
        for _ in range(150):
            replace(heard, narrow=share)([0], 100)
        assert least <= len(asked) <= most


def test_takes_are_of_the_speed_that_was_drawn(heard: Surroundings) -> None:
    lengths = {len(heard.joined([0, 1])) for _ in range(40)}
    assert min(lengths) < SAMPLE_RATE < max(lengths)
    assert max(lengths) < 1.3 * SAMPLE_RATE


def test_nothing_is_left_above_a_narrow_band() -> None:
    through = narrow(noise(1.0, -20), 200.0, 3_400.0)
    power = np.abs(np.fft.rfft(through)) ** 2
    hertz = np.fft.rfftfreq(len(through), 1 / SAMPLE_RATE)
    assert power[hertz > 4_000].sum() < 1e-3 * power.sum()
    assert power[hertz < 50].mean() < 0.2 * power[(hertz > 500) & (hertz < 3_000)].mean()


def test_companding_keeps_speech_and_adds_little() -> None:
    sound = spoken(0.5)
    apart = companded(sound) - np.clip(sound, -1, 1)
    assert 0 < np.std(apart) < 0.05 * np.std(sound)
