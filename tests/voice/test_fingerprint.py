"""What was heard before is known again, by its phases; another take is not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaimen.acoustics.devices import devices
from kaimen.acoustics.replays import replayed
from kaimen.errors import NoSpeech
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.fingerprint import BINS, HEARD_BEFORE, coherences, fingerprint
from tests.sounds import noise, silence

SPEECH = Path(os.environ.get("KAIMEN_SPEECH", "../shared/speech"))


def babble(seconds: float, seed: int) -> Samples:
    """Noise that swells and whose colour changes all the time, as speech does."""
    random = np.random.default_rng(seed)
    pieces = []
    for _ in range(round(seconds / 0.1)):
        piece = random.standard_normal(SAMPLE_RATE // 10)
        taps = random.standard_normal(24) * np.exp(-np.arange(24) / 6)
        pieces.append(np.convolve(piece, taps, "same") * random.uniform(0.02, 0.3))
    return np.concatenate(pieces).astype(np.float32)


def played_back(sound: Samples, seed: int = 0) -> Samples:
    """Late, quieter, through a room and a small loudspeaker, with noise."""
    random = np.random.default_rng(seed)
    echoes = random.standard_normal(1600) * np.exp(-np.arange(1600) / 250)
    echoes[0] += 12
    small = np.convolve(sound, np.diff(np.hanning(12)), "same")
    heard = 0.2 * np.tanh(2 * np.convolve(small, echoes)[: len(sound)] / np.abs(small).max() / 12)
    late = np.concatenate((silence(0.013), heard.astype(np.float32), silence(0.05)))
    return late + noise(len(late) / SAMPLE_RATE, 20 * np.log10(np.std(heard)) - 15, seed)


PHRASE = babble(1.0, 1)


def test_a_recording_played_back_is_known_again() -> None:
    (coherence,) = coherences(played_back(PHRASE), [fingerprint(PHRASE)])
    assert coherence > 1.5 * HEARD_BEFORE


def test_another_sound_is_not() -> None:
    (coherence,) = coherences(babble(1.0, 2), [fingerprint(PHRASE)])
    assert coherence < HEARD_BEFORE


@pytest.mark.parametrize("cut", [slice(4000, None), slice(None, -5000), slice(2500, -2500)])
def test_a_part_of_it_is_known_too(cut: slice) -> None:
    (coherence,) = coherences(played_back(PHRASE)[cut], [fingerprint(PHRASE)])
    assert coherence > HEARD_BEFORE


def test_each_of_many_has_its_own_answer_whatever_its_length() -> None:
    others = [babble(0.5, 3), babble(1.6, 4), PHRASE, silence(0.3)]
    found = coherences(played_back(PHRASE), [fingerprint(each) for each in others])
    assert int(np.argmax(found)) == 2
    assert sum(each > HEARD_BEFORE for each in found) == 1
    (alone,) = coherences(played_back(PHRASE), [fingerprint(PHRASE)])
    assert found[2] == pytest.approx(alone, rel=0.3)  # who else is stored hardly matters


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30_000), st.lists(st.integers(1, 45_000), min_size=1, max_size=4))
def test_whatever_the_lengths_each_of_many_has_an_answer(heard: int, kept: list[int]) -> None:
    long = np.random.default_rng(0).normal(0, 0.1, 45_000).astype(np.float32)
    found = coherences(long[:heard], [fingerprint(long[:length]) for length in kept])
    assert len(found) == len(kept)
    assert np.isfinite(found).all()


def test_the_level_does_not_matter() -> None:
    quiet, loud = (coherences(played_back(PHRASE) * gain, [fingerprint(PHRASE)])[0]
                   for gain in (np.float32(0.01), np.float32(3)))  # fmt: skip
    assert quiet == pytest.approx(loud, abs=1e-3)


def test_a_fingerprint_is_small() -> None:
    made = fingerprint(PHRASE)
    assert made.dtype == np.uint8
    assert made.shape[1] == len(BINS)
    assert made.nbytes < 4_000


@pytest.mark.parametrize("sound", [silence(0.5), silence(0), silence(0.01), np.ones(3, np.float32)])
def test_next_to_nothing_is_like_nothing(sound: Samples) -> None:
    made = fingerprint(sound)
    assert coherences(sound, []) == []
    assert all(np.isfinite(coherences(PHRASE, [made])))
    assert all(np.isfinite(coherences(sound, [fingerprint(PHRASE)])))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_like_everything(value: float) -> None:
    broken = PHRASE.copy()
    broken[100] = value
    assert coherences(broken, [fingerprint(PHRASE)]) == [1.0]
    fingerprint(broken)  # and can be kept


@pytest.mark.slow
@pytest.mark.skipif(not SPEECH.exists(), reason=f"no real voices at {SPEECH}")
def test_other_takes_of_real_voices_are_not_known_and_replays_are() -> None:
    random = np.random.default_rng(0)
    replays = devices(random, 8, "test")
    fresh, found = [], []
    for text in ("北京", "数字", "语音"):
        files = sorted((SPEECH / "mandarin20/eval/m004").glob(f"{text}-*"))
        takes = [main_phrase(read(file)).samples for file in files]
        prints = [fingerprint(take) for take in takes]
        for place, take in enumerate(takes):
            fresh.append(max(coherences(take, prints[:place] + prints[place + 1 :])))
            heard = replayed(take, replays[place], 20, random)
            try:
                found.append(max(coherences(main_phrase(heard).samples, prints)))
            except NoSpeech:
                continue  # nor is it by the gate
    assert np.mean(np.array(fresh) < HEARD_BEFORE) == 1
    assert np.mean(np.array(found) >= HEARD_BEFORE) >= 0.95
