"""What a cheap microphone adds below every voice does not change who is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.rehearsal import RECORDINGS, VOICES
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder
from kaimen.voice.score import score_of

STUDENTS = ("anning", "bowen", "chenxi")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def hum(samples: Samples) -> Samples:
    at = np.arange(len(samples)) / SAMPLE_RATE
    return samples + np.float32(0.01) * np.sin(2 * np.pi * 50 * at).astype(np.float32)


def offset(samples: Samples) -> Samples:
    return samples + np.float32(0.1)


@pytest.mark.parametrize(("disturbed", "least"), [(offset, 0.01), (hum, 0.03)])
@pytest.mark.parametrize("student", STUDENTS)
def test_an_offset_and_mains_hum_hardly_change_a_score(
    student: str, disturbed: object, least: float, encoder: Encoder, tmp_path: Path
) -> None:
    probe, *others = sorted((RECORDINGS / student).glob("phrase-*.mp3"))
    enrolled = np.stack([encoder.embed(main_phrase(read(path)).samples) for path in others])

    def score(samples: Samples) -> float:
        soundfile.write(tmp_path / "probe.wav", samples, SAMPLE_RATE, subtype="FLOAT")
        point = encoder.embed(main_phrase(read(tmp_path / "probe.wav")).samples)
        return float(score_of(enrolled, point[np.newaxis])[0])

    clean, _ = soundfile.read(probe, dtype="float32")
    assert abs(score(disturbed(clean)) - score(clean)) < least  # type: ignore[operator]


def tight(samples: Samples) -> Samples:
    """What was said and nothing around it, up to a second."""
    phrase = main_phrase(samples)
    return samples[phrase.start : min(phrase.end, phrase.start + SAMPLE_RATE)]


@pytest.mark.parametrize("disturbed", [offset, hum, tight])
def test_every_phrase_that_comes_with_kaimen_is_heard(disturbed: object, tmp_path: Path) -> None:
    paths = sorted([*RECORDINGS.glob("*/*.mp3"), *VOICES.glob("*/*/*.mp3")])[::4]
    heard = 0
    for path in paths:
        sound = disturbed(read(path))  # type: ignore[operator]
        soundfile.write(tmp_path / "a.wav", sound, SAMPLE_RATE, subtype="FLOAT")
        phrase = main_phrase(read(tmp_path / "a.wav"))
        heard += phrase.seconds >= 0.8 * main_phrase(tight(read(path))).seconds
    assert heard >= 0.98 * len(paths)
