"""How high speech reaches is told by the sound, not by the rate of its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from kaimen.rehearsal import RECORDINGS, VOICES
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.bandwidth import band_of, band_of_most, highest_speech, limited
from kaimen.sound.recording import main_phrase, read
from tests.sounds import noise, silence

PATHS = [RECORDINGS / "anning" / "phrase-1.mp3", *sorted(VOICES.glob("*/*/*.mp3"))[::40]]


def band(samples: Samples) -> int | None:
    return band_of(highest_speech(main_phrase(samples).samples))


def sampled_at(samples: Samples, rate: int) -> Samples:
    return soxr.resample(soxr.resample(samples, SAMPLE_RATE, rate), rate, SAMPLE_RATE)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_a_voice_sampled_at_a_low_rate_is_narrow_whatever_its_rate_is_now(path: Path) -> None:
    sound = read(path)
    assert band(sound) is None
    assert band(sampled_at(sound, 8_000)) == 4_000
    assert band(sampled_at(sound, 11_025)) == 5_500
    assert band(0.4 * sampled_at(sound, 8_000)) == 4_000


def test_mp3_of_64_kbit_a_second_keeps_a_recording_wide(tmp_path: Path) -> None:
    soundfile.write(
        tmp_path / "a.mp3", read(PATHS[0]), SAMPLE_RATE,
        bitrate_mode="CONSTANT", compression_level=0.66,
    )  # fmt: skip
    assert band(read(tmp_path / "a.mp3")) is None


def test_the_noise_of_a_room_does_not_hide_what_was_cut_off() -> None:
    sound = read(PATHS[0])
    noisy = sound + noise(len(sound) / SAMPLE_RATE, -50.0)[: len(sound)]
    assert band(noisy) is None
    assert band(sampled_at(noisy, 8_000)) == 4_000


def test_silence_and_the_shortest_sound_are_called_wide() -> None:
    assert band_of(highest_speech(silence(0.5))) is None
    assert band_of(highest_speech(np.zeros(0, np.float32))) is None


def test_a_limited_sound_is_as_long_and_holds_nothing_above_the_band() -> None:
    sound = read(PATHS[0])
    for hertz in (4_000, 5_500):
        heard = limited(sound, hertz)
        assert heard.shape == sound.shape and heard.dtype == np.float32
        assert band(heard) == hertz


def test_the_band_of_a_school_is_that_of_most_recordings() -> None:
    assert band_of_most([]) is None
    assert band_of_most([4_000.0, 4_100.0, 8_000.0]) == 4_000
    assert band_of_most([4_000.0, 7_900.0, 8_000.0]) is None
