"""An MP3 is read to its last frame, whatever its header says of its length."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kaimen.sound import SAMPLE_RATE, Samples, mp3
from kaimen.sound.recording import phrases, read
from tests.sounds import in_a_room, noise, silence, spoken

INFO = (b"Xing", b"Info")


def encoded(sound: Samples, rate: int = SAMPLE_RATE, mode: str = "VARIABLE") -> bytes:
    """An MP3 with an info frame that says how long it is."""
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="MP3", bitrate_mode=mode, compression_level=0.4)
    return file.getvalue()


def without_length(content: bytes) -> bytes:
    """The same as an encoder writes it into a pipe."""
    (stream,) = mp3.streams(content)
    return b"".join(content[start:end] for start, end in stream.pieces)


def said(times: int) -> Samples:
    words = [part for _ in range(times) for part in (silence(1), spoken(0.9))]
    return in_a_room(silence(0.2), noise(0.3, -20), *words, silence(1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "day.mp3"


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_an_mp3_without_a_length_is_read_whole(path: Path, mode: str) -> None:
    sound = said(6)
    content = without_length(encoded(sound, mode=mode))
    assert not any(mark in content[:200] for mark in INFO)
    path.write_bytes(content)
    heard = read(path, longest=None)
    assert len(heard) == pytest.approx(len(sound), abs=0.1 * SAMPLE_RATE)
    assert sum(phrase.seconds > 0.5 for phrase in phrases(heard)) == 6


def test_two_mp3s_in_one_file_are_both_read(path: Path) -> None:
    sound = said(3)
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 60, 0]) + bytes(60 << 7)  # a picture between them
    path.write_bytes(encoded(sound) + tag + encoded(sound) + b"TAG" + bytes(125))
    heard = read(path, longest=None)
    assert len(heard) == 2 * len(sound)
    assert sum(phrase.seconds > 0.5 for phrase in phrases(heard)) == 6


def test_mp3s_of_different_rates_and_channels_in_one_file_are_all_read(path: Path) -> None:
    sound = said(1)
    both = np.stack((sound, sound), axis=1)
    path.write_bytes(encoded(both) + encoded(sound, 44_100) + encoded(sound, 8_000))
    seconds = len(sound) * (1 / SAMPLE_RATE + 1 / 44_100 + 1 / 8_000)
    assert len(read(path)) == pytest.approx(seconds * SAMPLE_RATE, abs=10)


@pytest.mark.parametrize("declared", [0, 1, 20, 10_000, 0xFFFF_FFFF])
def test_a_wrong_length_of_an_mp3_is_not_believed(path: Path, declared: int) -> None:
    sound = said(2)
    content = bytearray(encoded(sound))
    at = next(place for mark in INFO if (place := content.find(mark, 0, 200)) >= 0)
    content[at + 8 : at + 12] = declared.to_bytes(4, "big")
    path.write_bytes(content)
    assert len(read(path)) == pytest.approx(len(sound), abs=0.1 * SAMPLE_RATE)


def test_a_sound_mp3_is_read_as_it_always_was(path: Path) -> None:
    sound = said(1)
    content = encoded(sound)
    (stream,) = mp3.streams(content)
    mended, _ = soundfile.read(io.BytesIO(b"".join(stream.written(content))), dtype="float32")
    plain, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    np.testing.assert_array_equal(mended, plain)


def test_what_lies_between_frames_is_passed_over(path: Path) -> None:
    sound = said(1)
    content = without_length(encoded(sound))
    (stream,) = mp3.streams(content)
    middle = [end for _, end in _frames_of(content)][stream.frames // 2]
    junk = np.random.default_rng(0).bytes(5000)
    path.write_bytes(junk + content[:middle] + junk + content[middle:] + junk)
    assert len(read(path)) == pytest.approx(len(sound), abs=0.2 * SAMPLE_RATE)


def _frames_of(content: bytes) -> list[tuple[int, int]]:
    return [(frame.start, frame.end) for frame in mp3._frames(content)]


@given(st.binary(max_size=3000), st.integers(0, 4))
def test_of_any_bytes_what_is_found_lies_within_them(content: bytes, headers: int) -> None:
    content += (b"\xff\xfb\x10\xc0" + content[:100]) * headers
    for stream in mp3.streams(content):
        assert stream.frames > 0
        for start, end in stream.pieces:
            assert 0 <= start < len(content)
            assert end > start
