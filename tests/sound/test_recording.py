"""Files become sound, or one sentence that says why not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import (
    BrokenSamples,
    NoSpeech,
    RecordingError,
    RecordingTooLong,
    SeveralPhrases,
    UnreadableRecording,
)
from kaimen.sound import BLOCK, SAMPLE_RATE
from kaimen.sound.endpoint import HANGOVER
from kaimen.sound.high_pass import HighPass
from kaimen.sound.recording import Recording, main_phrase, only_phrase, phrases, read
from tests.sounds import in_a_room, noise, pitch_of, silence, spoken, tone

WRITTEN = (".wav", ".flac", ".mp3", ".ogg")


def refusal(path: Path, kind: type[RecordingError], **options: Any) -> str:
    """What a person reads when ``path`` is refused, after its name; checks its form."""
    with pytest.raises(kind) as caught:
        read(path, **options)
    assert type(caught.value) is kind
    assert caught.value.exit_code == 3
    assert caught.value.path == str(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{path}: ")


@pytest.mark.parametrize("suffix", WRITTEN)
def test_8_khz_stereo_becomes_16_khz_mono(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"phrase{suffix}"
    both = np.stack((tone(440, 1, 8000, height=0.3), tone(440, 1, 8000)), axis=1)
    soundfile.write(path, both, 8000)
    samples = read(path)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(SAMPLE_RATE, rel=0.02)
    middle = samples[2000:14000]
    assert pitch_of(middle) == pytest.approx(440, abs=2)
    # The louder of both channels; as power, since MP3 overshoots.
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, abs=0.02)


def test_of_a_wav_of_the_programs_own_kind_only_what_is_too_low_is_lost(tmp_path: Path) -> None:
    samples = noise(0.5, -20)
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "a.wav"), HighPass(SAMPLE_RATE)(samples))


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_an_offset_of_a_file_is_not_heard(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(rate, 0.1), rate, subtype="FLOAT")
    assert np.abs(read(tmp_path / "a.wav")).max() < 1e-5


def test_sound_never_leaves_full_scale(tmp_path: Path) -> None:
    loud = 4 * np.sign(tone(300, 0.5, 44100))
    soundfile.write(tmp_path / "a.wav", loud, 44100, subtype="FLOAT")
    assert np.abs(read(tmp_path / "a.wav")).max() == 1


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert "empty" in refusal(tmp_path / "a.wav", UnreadableRecording)


def test_a_header_without_sound_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", silence(0), SAMPLE_RATE)
    assert "no sound" in refusal(tmp_path / "a.wav", UnreadableRecording)


def test_text_named_mp3_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_text("open sesame\n" * 500)
    assert "not a sound file" in refusal(tmp_path / "a.mp3", UnreadableRecording)


def test_random_bytes_named_mp3_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(np.random.default_rng(0).bytes(20_000))
    assert "not a sound file" in refusal(tmp_path / "a.mp3", UnreadableRecording)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "a.wav", UnreadableRecording)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path, UnreadableRecording)


def test_a_file_used_as_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert "Not a directory" in refusal(tmp_path / "a.wav" / "b.wav", UnreadableRecording)


def test_a_name_longer_than_the_system_allows_is_refused(tmp_path: Path) -> None:
    assert "too long" in refusal(tmp_path / ("a" * 300), UnreadableRecording)


def test_a_forbidden_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, *_: Any) -> None:  # root may read everything
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a.wav").touch()
    monkeypatch.setattr(os, "open", forbidden)
    assert "permission" in refusal(tmp_path / "a.wav", UnreadableRecording)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_no_numbers_are_refused(
    tmp_path: Path, broken: float, channels: int
) -> None:
    samples = np.zeros((4000, channels), np.float32)
    samples[1000] = broken
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    assert "not numbers" in refusal(tmp_path / "a.wav", BrokenSamples)


def test_infinities_that_cancel_out_are_refused(tmp_path: Path) -> None:
    samples = np.zeros((4000, 2), np.float32)
    samples[1000] = np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    assert "not numbers" in refusal(tmp_path / "a.wav", BrokenSamples)


def test_a_recording_longer_than_a_phrase_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", silence(1.01), SAMPLE_RATE)
    assert "kaimen listen" in refusal(tmp_path / "a.wav", RecordingTooLong, longest=1.0)


def test_a_recording_of_just_the_longest_length_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", silence(1), SAMPLE_RATE)
    assert len(read(tmp_path / "a.wav", longest=1.0)) == SAMPLE_RATE


def test_without_a_limit_any_length_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", silence(40), SAMPLE_RATE)
    assert len(read(tmp_path / "a.wav", longest=None)) == 40 * SAMPLE_RATE


def test_an_interruption_while_a_file_is_decoded_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, noise(300.0, -20.0), SAMPLE_RATE)

    def interrupted(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGALRM, interrupted)
    try:
        for milliseconds in range(1, 11):
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
                for _ in range(10):
                    read(path, longest=None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


@pytest.mark.parametrize("suffix", WRITTEN)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_truncated_file_gives_what_is_left_or_is_refused(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = tmp_path / f"phrase{suffix}"
    soundfile.write(path, tone(440, 1), SAMPLE_RATE)
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    try:
        samples = read(path)
    except RecordingError:
        refusal(path, UnreadableRecording)
    else:
        assert 0 < len(samples) < SAMPLE_RATE


@given(st.integers(0, 5000))
def test_a_recording_is_played_whole_then_silent_for_longer_than_the_hangover(
    length: int,
) -> None:
    samples = np.full(length, 0.5, np.float32)
    blocks = list(Recording(samples).blocks())
    assert {block.shape for block in blocks} == {(BLOCK,)}
    played = np.concatenate(blocks)
    np.testing.assert_array_equal(played[:length], samples)
    assert not played[length:].any()
    assert len(played) - length > HANGOVER * SAMPLE_RATE


def test_the_floor_of_a_recording_is_its_quietest_moment() -> None:
    quiet = in_a_room(spoken(1), silence(0.5), spoken(1), level=-65)
    loud = in_a_room(spoken(1), silence(0.5), spoken(1), level=-50)
    difference = Recording(loud).floor - Recording(quiet).floor  # type: ignore[operator]
    assert difference == pytest.approx(15, abs=2)


def test_a_recording_too_short_to_tell_has_no_floor() -> None:
    assert Recording(noise(0.03, -50)).floor is None


def test_a_phrase_that_lasts_to_the_end_of_its_file_is_found() -> None:
    (phrase,) = phrases(in_a_room(silence(0.5), spoken(0.8)))
    assert phrase.end / SAMPLE_RATE == pytest.approx(1.3, abs=0.02)


def test_the_main_phrase_is_the_longest() -> None:
    sound = in_a_room(silence(0.5), spoken(0.4), silence(0.7), spoken(1), silence(0.7), spoken(0.3))
    assert main_phrase(sound).seconds == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("pause", [0.35, 0.5])
def test_a_phrase_with_a_pause_in_it_is_one_phrase_of_a_recording(pause: float) -> None:
    sound = in_a_room(silence(0.5), spoken(0.6), silence(pause), spoken(0.5), silence(0.5))
    assert len(phrases(sound)) == 2  # at the gate
    phrase = only_phrase(sound)
    assert phrase.start / SAMPLE_RATE == pytest.approx(0.5, abs=0.02)
    assert phrase.seconds == pytest.approx(0.6 + pause + 0.5, abs=0.04)
    part = sound[phrase.first : phrase.first + len(phrase.samples)]
    np.testing.assert_array_equal(phrase.samples, part)


def test_a_faint_sound_after_a_phrase_is_no_part_of_it() -> None:
    faint = 0.03 * spoken(0.4)
    sound = in_a_room(silence(0.5), spoken(0.6), silence(0.4), faint, silence(0.5), level=-80)
    assert len(phrases(sound)) == 2
    assert only_phrase(sound).seconds == pytest.approx(0.6, abs=0.04)


def test_two_phrases_are_refused_where_there_must_be_one() -> None:
    sound = in_a_room(silence(0.5), spoken(0.6), silence(0.7), spoken(0.5), silence(0.5))
    assert main_phrase(sound).seconds == pytest.approx(0.6, abs=0.04)
    with pytest.raises(SeveralPhrases, match="record it again"):
        only_phrase(sound)


def test_a_knock_long_before_a_phrase_is_no_other_phrase() -> None:
    knock = noise(0.25, -20)
    sound = in_a_room(silence(0.3), knock, silence(0.8), spoken(0.6), silence(0.5))
    assert only_phrase(sound).seconds == pytest.approx(0.6, abs=0.04)


CUT = {
    "to a voice": in_a_room(spoken(1.0)),
    "to a hiss at its end": np.concatenate((spoken(0.5), noise(0.3, -31))),
    "to a hiss at its beginning": np.concatenate((noise(0.3, -31), spoken(0.5))),
    "and put between digital silence": np.pad(in_a_room(spoken(1.0)), 4800),
    "and put after a moment of digital silence": np.pad(in_a_room(spoken(1.0)), (160, 0)),
}


@pytest.mark.parametrize("cut", CUT)
def test_a_word_that_is_cut_tightly_is_all_there(cut: str) -> None:
    sound = CUT[cut]
    (speech,) = np.nonzero(sound)
    phrase = main_phrase(sound)
    assert phrase.first <= speech[0] + 0.03 * SAMPLE_RATE
    assert phrase.first + len(phrase.samples) >= speech[-1] - 0.03 * SAMPLE_RATE


def test_a_voice_that_hardly_stands_out_of_a_noise_is_heard_in_a_recording() -> None:
    voice = noise(0.6, -29)  # 11 dB above the room: too little to begin a phrase in a stream
    (phrase,) = phrases(in_a_room(silence(0.7), voice, silence(0.7), level=-40))
    assert phrase.start / SAMPLE_RATE == pytest.approx(0.7, abs=0.03)
    assert phrase.end / SAMPLE_RATE >= 1.27  # the noise after it may go on as its echo


@pytest.mark.parametrize("level", [-50, -20])
@pytest.mark.parametrize("length", [1, 5])
def test_steady_noise_alone_is_no_phrase_of_a_recording(level: float, length: float) -> None:
    assert phrases(noise(length, level)) == []


@pytest.mark.parametrize("sound", [silence(1), noise(1, -75), silence(0)], ids=["0", "room", "no"])
def test_a_recording_without_a_phrase_is_refused(sound: np.ndarray) -> None:
    with pytest.raises(NoSpeech, match="speak closer") as caught:
        main_phrase(sound)
    assert caught.value.exit_code == 3


def test_a_refusal_can_be_given_its_file_later() -> None:
    error = NoSpeech("no phrase is heard in it").at("li.mp3")
    assert isinstance(error, NoSpeech)
    assert str(error) == "li.mp3: no phrase is heard in it"
