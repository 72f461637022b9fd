"""An MP3 of too few bits for its channels is named, and no other file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.enrollment.judging import Judge
from kaimen.rehearsal import RECORDINGS
from kaimen.sound.bit_rate import TOO_FEW, has_too_few_bits
from kaimen.voice import SMALL
from kaimen.voice.encoder import Encoder
from tests.sound.made_files import Maker, needs_programs

VOICE = RECORDINGS / "anning" / "phrase-1.mp3"


@needs_programs
@pytest.mark.parametrize(
    ("rate", "channels", "kbits", "too_few"),
    [(44100, 2, 64, True), (48000, 2, 64, True), (48000, 2, 96, False), (44100, 2, 128, False),
     (48000, 1, 64, False), (16000, 2, 64, False), (8000, 1, 16, False)],
)  # fmt: skip
def test_stereo_of_64_kbits_at_a_high_sampling_rate_has_too_few_bits(
    tmp_path: Path, rate: int, channels: int, kbits: int, too_few: bool
) -> None:
    options = ("-ar", rate, "-ac", channels, "-b:a", f"{kbits}k")
    content = Maker(tmp_path).ffmpeg("phrase.mp3", *options).read_bytes()
    assert has_too_few_bits(content) is too_few


@needs_programs
def test_of_a_variable_bit_rate_the_highest_counts(tmp_path: Path) -> None:
    options = ("-ar", 44100, "-ac", 2, "-q:a", 4)
    assert not has_too_few_bits(Maker(tmp_path).ffmpeg("phrase.mp3", *options).read_bytes())


def test_what_is_no_mp3_has_no_bit_rate(tmp_path: Path) -> None:
    path = tmp_path / "phrase.flac"
    soundfile.write(path, np.zeros(1000), 16_000)
    assert not has_too_few_bits(path.read_bytes())
    assert not has_too_few_bits(b"ID3")
    assert not has_too_few_bits(b"")


@needs_programs
def test_enroll_remarks_on_it(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    options = ("-i", VOICE, "-map", 1, "-ar", 44100, "-ac", 2, "-b:a")
    hear = Judge.by(Encoder(SMALL)).hear
    assert TOO_FEW in hear(maker.ffmpeg("low.mp3", *options, "64k").read_bytes()).remarks
    assert TOO_FEW not in hear(maker.ffmpeg("high.mp3", *options, "128k").read_bytes()).remarks
