"""What is no file, no whole file, or of a format that cannot be read here, and what is stereo."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.errors import RecordingTooLong, UnreadableRecording, UnsupportedFormat
from kaimen.sound import SAMPLE_RATE, libsndfile
from kaimen.sound.high_pass import HighPass
from kaimen.sound.recording import LONGEST_STREAM, phrases, read
from tests.sound.made_files import amr
from tests.sounds import in_a_room, noise, silence, spoken

VOICE = in_a_room(silence(0.5), spoken(1.0), silence(0.5))
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg is installed")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "phrase.wav"


def wav(path: Path, sound: np.ndarray = VOICE, **how: str) -> bytearray:
    soundfile.write(path, sound, SAMPLE_RATE, **how)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("of_riff", [None, 0, 0xFFFF_FFFF])
@pytest.mark.parametrize("of_data", [0, 0xFFFF_FFFF, 0x7FFF_F000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_a_wav_that_was_never_finished_is_read_to_its_end(
    path: Path, of_riff: int | None, of_data: int, subtype: str
) -> None:
    content = wav(path, subtype=subtype)
    if of_riff is not None:
        content[4:8] = struct.pack("<I", of_riff)
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", of_data)
    path.write_bytes(content)
    assert len(read(path)) == len(VOICE)


def test_a_wav_of_nothing_with_its_name_after_it_holds_no_sound(path: Path) -> None:
    path.write_bytes(wav(path, silence(0)) + b"LIST\x04\x00\x00\x00INFO")
    with pytest.raises(UnreadableRecording, match="no sound"):
        read(path)


def test_two_wavs_in_one_file_are_refused(path: Path) -> None:
    path.write_bytes(2 * wav(path))
    with pytest.raises(UnreadableRecording, match="two WAV files in one"):
        read(path)


def test_a_flac_that_was_cut_is_refused_and_not_shortened(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.tile(VOICE, 4), SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UnreadableRecording, match="damaged after"):
        read(path)


@pytest.mark.parametrize(("rate", "channels"), [(100, 1), (500_000, 1), (16_000, 9)])
def test_what_nobody_records_is_refused(path: Path, rate: int, channels: int) -> None:
    soundfile.write(path, np.zeros((1000, channels)), rate)
    with pytest.raises(UnreadableRecording, match="export it again at 16 or 48 kHz"):
        read(path)


SECOND = {
    "inverted": -VOICE,
    "half a millisecond later": np.roll(VOICE, SAMPLE_RATE // 2000),
    "dead": silence(len(VOICE) / SAMPLE_RATE),
    "hissing": noise(len(VOICE) / SAMPLE_RATE, -20, seed=1),
}


@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("turned", [False, True], ids=["left", "right"])
@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
def test_of_a_stereo_recording_the_voice_is_heard_at_its_own_level(
    tmp_path: Path, second: str, turned: bool, suffix: str
) -> None:
    channels = (VOICE, SECOND[second])
    both, alone = tmp_path / f"both{suffix}", tmp_path / f"alone{suffix}"
    soundfile.write(both, np.stack(channels[::-1] if turned else channels, axis=1), SAMPLE_RATE)
    soundfile.write(alone, VOICE, SAMPLE_RATE)
    (heard,), (expected,) = phrases(read(both)), phrases(read(alone))
    level = 20 * np.log10(np.std(heard.samples) / np.std(expected.samples))
    assert abs(level) < 1
    assert heard.seconds == pytest.approx(expected.seconds, abs=0.05)


def no_files(folder: Path) -> dict[str, Path]:
    """Things in a folder that are no files of a disk."""
    os.mkfifo(folder / "fifo.mp3")
    (folder / "zero.mp3").symlink_to("/dev/zero")
    (folder / "null.wav").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(folder / "s.wav"))
    return {name: folder / name for name in ("fifo.mp3", "zero.mp3", "null.wav", "s.wav")}


@pytest.mark.parametrize("name", ["fifo.mp3", "zero.mp3", "null.wav", "s.wav"])
@pytest.mark.parametrize("longest", [30.0, None])
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, name: str, longest: float | None
) -> None:
    with pytest.raises(UnreadableRecording, match="a pipe, a device or a socket, not a file"):
        read(no_files(tmp_path)[name], longest=longest)


def test_a_path_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(UnreadableRecording, match="correct the path"):
        read("a\0b.wav")


@pytest.mark.slow
def test_hours_of_silence_in_a_small_file_are_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "night.flac"
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        for _ in range(6):
            file.write(np.zeros(3600 * SAMPLE_RATE, np.int16))
    assert path.stat().st_size < 2 << 20
    with pytest.raises(RecordingTooLong, match="cut out the phrase"):
        read(path)
    sentence, kilobytes = read_apart(path)
    assert f"longer than {LONGEST_STREAM / 60:g} min" in sentence
    assert kilobytes < MOST_MEMORY


MOST_MEMORY = 200 << 10  # KiB of a process that reads a stream


def read_apart(path: Path) -> tuple[str, int]:
    """Seconds that a process of its own reads, or its error; and its memory in KiB at most."""
    program = (
        "import sys; from kaimen.sound.recording import read\n"
        "try: print(len(read(sys.argv[1], longest=None)) / 16000)\n"
        "except ValueError as error: print(error)\n"
        # Not ru_maxrss, which begins with that of whoever forked.
        "status = open('/proc/self/status').read()\n"
        "print(status.partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    said, kilobytes = done.stdout.splitlines()
    return said, int(kilobytes)


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize(
    "coded",
    [("mp3", "-b:a", "128k"), ("flac",), ("wav",), ("wav", "-f", "wav", "-"), ("m4a",),
     ("opus", "-b:a", "64k")],
    ids=" ".join,
)  # fmt: skip
def test_half_an_hour_in_stereo_is_read_in_bounded_memory(
    tmp_path: Path, coded: tuple[str, ...]
) -> None:
    path = tmp_path / f"long.{coded[0]}"
    rate = 16_000 if coded[-1] == "-" else 44_100  # an unfinished file is held in memory
    source = f"anoisesrc=a=0.1:r={rate}:d=1790,aformat=channel_layouts=stereo"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *coded[1:]]
    if coded[-1] == "-":
        with path.open("wb") as piped:
            subprocess.run(command, stdout=piped, check=True)
        content = bytearray(path.read_bytes())
        at = content.index(b"data") + 4
        content[at : at + 4] = bytes(4)
        path.write_bytes(content)
    else:
        subprocess.run([*command, path], check=True)
    seconds, kilobytes = read_apart(path)
    assert float(seconds) == pytest.approx(1790, abs=0.1)
    assert kilobytes < MOST_MEMORY


@pytest.mark.parametrize("second", [0, 1])
def test_of_a_long_stereo_recording_the_channel_is_heard_that_speaks_late(
    path: Path, second: int
) -> None:
    voice = in_a_room(silence(70), VOICE)
    channels = [in_a_room(silence(len(voice) / SAMPLE_RATE)), voice]
    wav(path, np.stack((channels[second], channels[1 - second]), axis=1))
    heard = read(path, longest=None)
    np.testing.assert_allclose(heard, HighPass(SAMPLE_RATE)(voice), atol=2 / 32_768)


M4A = b"\x00\x00\x00\x20ftypM4A " + bytes(500)
WEBM = b"\x1aE\xdf\xa3" + bytes(500)


@pytest.mark.parametrize(
    ("name", "content"),
    [("M4A", M4A), ("3GP", b"\x00\x00\x00\x20ftyp3gp4" + bytes(500)), ("WebM", WEBM),
     ("AMR", amr(1.0)), ("AAC", b"\xff\xf1\x50\x80" + bytes(500))],
)  # fmt: skip
def test_where_nothing_can_decode_a_format_it_is_named_with_what_to_install(
    tmp_path: Path, name: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    path = tmp_path / "phrase.mp3"  # whatever it is called
    path.write_bytes(content)
    with pytest.raises(UnsupportedFormat) as raised:
        read(path)
    assert raised.value.reason == (
        f"{name} cannot be read here; install ffmpeg or 'kaimen[formats]', "
        "or convert it to WAV, FLAC or MP3"
    )


@pytest.mark.parametrize("by", ["library", "program"])
@pytest.mark.parametrize("content", [M4A, WEBM, M4A[:40]])
def test_a_broken_file_of_another_format_is_refused(
    tmp_path: Path, content: bytes, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "program":
        if shutil.which("ffmpeg") is None:
            pytest.skip("no ffmpeg is installed")
        monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "phrase.m4a"
    path.write_bytes(content)
    with pytest.raises(UnreadableRecording, match="cannot be decoded"):
        read(path)


@needs_ffmpeg
@pytest.mark.parametrize("by", ["library", "program"])
def test_in_another_format_too_what_nobody_records_is_refused(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, path = tmp_path / "many.wav", tmp_path / "many.mka"
    soundfile.write(source, np.zeros((SAMPLE_RATE, 16)), SAMPLE_RATE)
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "pcm_s16le", path], check=True)
    if by == "program":
        monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UnreadableRecording, match="export it again at 16 or 48 kHz"):
        read(path)


@needs_ffmpeg
@pytest.mark.parametrize("by", ["library", "program"])
@pytest.mark.parametrize("form", ["m4a", "webm"])
def test_what_phones_and_browsers_record_is_read_in_stereo(
    tmp_path: Path, form: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, path = tmp_path / "both.wav", tmp_path / f"phrase.{form}"
    soundfile.write(both, np.stack((silence(2), VOICE), axis=1), SAMPLE_RATE)
    subprocess.run(["ffmpeg", "-v", "error", "-i", both, "-b:a", "128k", path], check=True)
    if by == "program":
        monkeypatch.setitem(sys.modules, "av", None)
    (phrase,) = phrases(read(path))
    assert phrase.seconds == pytest.approx(1.0, abs=0.1)  # AAC spreads the edges
    with pytest.raises(RecordingTooLong):
        read(path, longest=1.0)


def test_a_long_file_is_decoded_in_blocks(path: Path) -> None:
    wav(path, np.zeros((3 * SAMPLE_RATE, 2)))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        lengths = [len(block) for _, block in libsndfile.blocks(descriptor)]
    finally:
        os.close(descriptor)
    assert max(lengths) <= libsndfile.TOGETHER < sum(lengths) == 3 * SAMPLE_RATE
