"""Simulated replays: repeatable, as loud and as noisy as asked, and of two families."""

from __future__ import annotations

import numpy as np
import pytest

from kaimen.acoustics import filters
from kaimen.acoustics.codecs import NONE
from kaimen.acoustics.devices import (
    BENDS,
    CODECS,
    FAMILIES,
    KINDS,
    RESONANCE,
    Device,
    device,
    devices,
    gates,
)
from kaimen.acoustics.replays import AROUND, PEAK, live, replayed
from kaimen.acoustics.rooms import Room
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase
from tests.sounds import noise, spoken, tone

SAID = spoken(0.8)
QUIET = round(AROUND * SAMPLE_RATE)


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def lows(one: Device) -> float:
    """Decibels by which 150 Hz lie below 1.5 kHz."""
    parts = (one.loudspeaker.before, one.loudspeaker.after)
    gains = np.prod([np.abs(np.fft.rfft(part, filters.POINTS)) for part in parts], axis=0)
    at = [round(hertz * filters.POINTS / SAMPLE_RATE) for hertz in (150, 1_500)]
    return float(20 * np.log10(gains[at[0]] / gains[at[1]]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_replay_is_repeatable_finite_and_in_range(kind: str, family: str) -> None:
    first, again = (replayed(SAID, device(drawn(), kind, family), 25.0, drawn(1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert first.shape == (len(SAID) + 2 * QUIET,)
    assert np.isfinite(first).all()
    assert np.abs(first).max() <= PEAK + 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_a_live_phrase_is_repeatable_finite_and_in_range(family: str) -> None:
    first, again = (live(SAID, gates(drawn(), 1, family)[0], 25.0, drawn(1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert first.shape == (len(SAID) + 2 * QUIET,)
    assert np.isfinite(first).all()
    assert np.abs(first).max() <= PEAK + 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_both_are_as_loud_as_speech_and_found_by_the_endpointing(seed: int) -> None:
    random = drawn(seed)
    (gate,) = gates(random, 1, "training")
    (one,) = devices(random, 1, "training")
    for heard in (live(SAID, gate, 25.0, random), replayed(SAID, one, 25.0, random, gate=gate)):
        phrase = main_phrase(heard)
        assert 0.5 < phrase.seconds < 1.6
        assert -45 < 20 * np.log10(np.std(heard[QUIET:-QUIET])) < -12


@pytest.mark.parametrize("snr", [10.0, 20.0, 30.0])
def test_noise_is_as_far_below_the_phrase_as_asked(snr: float) -> None:
    (gate,) = gates(drawn(), 1, "training")
    heard = live(SAID, gate, snr, drawn(1))
    noisy = np.mean(heard[: QUIET - 400] ** 2)
    spoken_to = np.sum(heard**2) - noisy * len(heard)
    assert 10 * np.log10(spoken_to / len(SAID) / noisy) == pytest.approx(snr, abs=2)


def test_a_replay_brings_the_noise_of_its_recording() -> None:
    random = drawn()
    (gate,) = gates(random, 1, "training")
    (one,) = devices(random, 1, "training")
    before = [
        sound[: QUIET - 400].std() / sound[QUIET:-QUIET].std()
        for sound in (live(SAID, gate, 70.0, drawn(1)), replayed(SAID, one, 70.0, drawn(1)))
    ]
    assert before[1] > 2 * before[0]


def test_all_kinds_come_in_turn() -> None:
    made = devices(drawn(), 6, "test")
    assert [one.kind for one in made] == [*KINDS, "phone", "laptop"]
    assert {one.family for one in made} == {"test"}


def test_the_lower_a_loudspeaker_resonates_the_more_lows_it_plays() -> None:
    played = [
        np.mean([lows(device(drawn(seed), kind, "test")) for seed in range(10)]) for kind in KINDS
    ]
    assert played == sorted(played)
    assert played[0] < played[-1] - 30
    limits = [RESONANCE[kind] for kind in KINDS]
    assert limits == sorted(limits, reverse=True)


@pytest.mark.parametrize("bend", sorted(BENDS))
def test_a_driven_loudspeaker_adds_harmonics(bend: str) -> None:
    family = "training" if bend == "tanh" else "test"
    one = next(each for each in devices(drawn(), 1, family) if each.loudspeaker.bend == bend)
    heard = one.loudspeaker(tone(1_000, 1.0))
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    third = spectrum[2_990:3_010].max() / spectrum[990:1_010].max()
    assert 0.001 < third < 0.5


def test_the_families_share_no_room_codec_filter_or_distortion() -> None:
    training, test = (devices(drawn(), 60, family) for family in FAMILIES)
    assert {one.codec for one in training} & {one.codec for one in test} <= {NONE}
    assert {one.loudspeaker.bend for one in training}.isdisjoint(
        one.loudspeaker.bend for one in test
    )
    rooms, others = ([one.recorded_by.room for one in each] for each in (training, test))
    assert not [room for room in rooms if 0.25 <= room.absorption <= 0.39]
    assert all(0.25 <= room.absorption <= 0.39 for room in others)
    assert max(room.size[0] for room in rooms) < min(room.size[0] for room in others)


@pytest.mark.parametrize("make", [devices, gates])
def test_a_family_that_is_none_is_said(make: object) -> None:
    with pytest.raises(ValueError, match="there are training and test"):
        make(drawn(), 1, "holiday")


@pytest.mark.parametrize("codec", [*CODECS["training"], *CODECS["test"]], ids=lambda c: c.name)
def test_a_codec_keeps_length_and_most_of_the_sound(codec: object) -> None:
    sound = SAID + noise(0.8, -50)
    heard: Samples = codec(sound)
    assert heard.shape == sound.shape
    assert heard.dtype == np.float32
    assert np.corrcoef(np.abs(sound), np.abs(heard))[0, 1] > 0.8
    assert np.array_equal(heard, sound) == (codec == NONE)


def test_a_bare_room_rings_longer_and_a_near_mouth_is_drier() -> None:
    bare, furnished = Room((5.0, 4.0, 2.8), 0.15), Room((5.0, 4.0, 2.8), 0.6)
    assert bare.decay > 2 * furnished.decay

    def direct(room: Room, distance: float) -> float:
        answers = [room.answer(distance, drawn(seed)) for seed in range(20)]
        return float(np.mean([answer[0] ** 2 / np.sum(answer**2) for answer in answers]))

    assert direct(bare, 0.2) < direct(furnished, 0.2)
    assert direct(bare, 0.2) > direct(bare, 1.0)


def test_a_room_decays_as_its_formula_says() -> None:
    room = Room((6.0, 4.5, 3.0), 0.2)
    answers = [room.answer(1.0, drawn(seed)) for seed in range(40)]
    late = np.mean([answer[1_000:5_000].reshape(4, -1) ** 2 for answer in answers], axis=(0, 2))
    fallen = 10 * np.log10(late[0] / late[3])  # in 3,000 samples
    assert fallen == pytest.approx(60 * 3_000 / SAMPLE_RATE / room.decay, rel=0.1)


def test_a_curve_becomes_a_filter_with_these_gains() -> None:
    response = filters.curve((100, 1_000, 8_000), (-6.0, 0.0, 3.0))
    gains = 20 * np.log10(np.abs(response[[0, 256, 2_048]]))  # 0, 1,000 and 8,000 Hz
    np.testing.assert_allclose(gains, (-6.0, 0.0, 3.0), atol=0.1)


def test_what_a_filter_answers_has_its_gains_and_comes_at_once() -> None:
    response = filters.butterworth_high_pass(700, 4)
    taps = filters.answer(response)
    gains = np.abs(np.fft.rfft(taps, filters.POINTS))
    wanted = 20 * np.log10(np.abs(response[[38, 179, 1_000]]))
    np.testing.assert_allclose(20 * np.log10(gains[[38, 179, 1_000]]), wanted, atol=0.5)
    assert np.argmax(np.abs(taps)) < 3


def test_a_butterworth_filter_is_3_db_down_at_its_corner() -> None:
    response = filters.butterworth_high_pass(1_000, 4)
    assert 20 * np.log10(abs(response[256])) == pytest.approx(-3.01, abs=0.05)
    assert 20 * np.log10(abs(response[128])) == pytest.approx(-24.1, abs=0.5)


def test_convolving_is_what_it_is() -> None:
    sound, taps = noise(0.05, -10), noise(0.01, -10, seed=1)
    expected = np.convolve(np.convolve(sound, taps), taps)[: len(sound)]
    np.testing.assert_allclose(filters.convolve(sound, taps, taps), expected, atol=1e-4)
