"""Files as encoders write them, and as accidents leave them: made by ffmpeg and lame.

A file's length is held against what ffmpeg decodes of it: of a joined one, of the files it was
joined from; of one with junk around it, of the file without. There ffmpeg itself loses or adds.

``python -m tests.sound.made_files`` prints what becomes of them, by kind.
"""

from __future__ import annotations

import math
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.errors import RecordingError
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read
from kaimen_train.evaluation import amr as amr_nb
from tests.sounds import in_a_room, noise, silence, spoken

PROGRAMS = ("ffmpeg", "lame")
needs_programs = pytest.mark.skipif(
    any(shutil.which(program) is None for program in PROGRAMS),
    reason="ffmpeg and lame are not installed",
)
SOUND = in_a_room(silence(0.3), noise(0.3, -20), silence(0.3), spoken(1.1), silence(0.5))
RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
SOUND_SECONDS = len(SOUND) / SAMPLE_RATE
LESS = 0xFFFF_FFFF
VOICES = ("anning", "bowen")


@dataclass(frozen=True)
class Made:
    """A file, and the files that it was joined from; itself if it was not."""

    kind: str
    path: Path
    parts: tuple[Path, ...]
    seconds: float | None = None  # of the sound that it was made of, where that is all it holds


@dataclass(frozen=True)
class Result:
    """What became of a file."""

    made: Made
    late: float  # seconds by which it is read longer than ffmpeg decodes it
    refusal: str  # why it was not read; empty: it was
    early: float = math.inf  # seconds by which its own sound is longer than it is read

    @property
    def off(self) -> float:
        """Seconds by which it differs from ffmpeg's length and from its own sound's."""
        return min(abs(self.late), abs(self.early))


class Maker:
    """Makes files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source.wav"
        soundfile.write(self.source, np.stack((SOUND, SOUND / 2), axis=1), SAMPLE_RATE)

    def ffmpeg(self, name: str, *options: object, pipe: bool = False) -> Path:
        """Encode the sound; into a pipe, which an encoder cannot go back in."""
        path = self.folder / name
        command = ["ffmpeg", "-v", "error", "-y", "-i", self.source, *options]
        done = subprocess.run(
            [*map(str, command), "pipe:1" if pipe else str(path)], capture_output=True, check=True
        )
        if pipe:
            path.write_bytes(done.stdout)
        return path

    def lame(self, name: str, *options: object) -> Path:
        """Encode the sound by lame."""
        path = self.folder / name
        command = ["lame", "--quiet", *map(str, options), str(self.source), str(path)]
        subprocess.run(command, capture_output=True, check=True)
        return path

    def written(self, name: str, content: bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(content)
        return path


def made(folder: Path) -> Iterator[Made]:
    """Make all files."""
    maker = Maker(folder)
    for kind, files in (
        ("MP3, each rate", _mp3s_of_each_rate),
        ("MP3, tags and checksums", _mp3s_with_tags),
        ("MP3, a wrong length", _mp3s_with_a_wrong_length),
        ("WAV, each coding", _wavs_of_each_coding),
        ("WAV, a wrong length", _wavs_with_a_wrong_length),
        ("FLAC", _flacs),
        ("Ogg (Vorbis, Opus, FLAC)", _oggs),
        ("AIFF, CAF, AU", _others_of_libsndfile),
        ("M4A, 3GP, AAC, WebM, WMA, AMR", _of_phones),
    ):
        for path in files(maker):
            # Of what says too few frames, ffmpeg keeps silence that the encoder put after it.
            seconds = SOUND_SECONDS if path.name == "count-1.mp3" else None
            yield Made(kind, path, (path,), seconds)
    right = folder / "right.mp3"
    junk = np.random.default_rng(0).bytes(3000)
    for name, content in (
        ("before", junk + right.read_bytes()),
        ("after", right.read_bytes() + junk),
    ):
        yield Made("MP3, junk around it", maker.written(f"{name}.mp3", content), (right,))
    whole = sorted(folder.glob("joinable*"))
    for first, second in [(each, each) for each in whole] + [
        (folder / "joinable-vbr.mp3", folder / "joinable-8.mp3"),
        (folder / "joinable-pipe.mp3", folder / "joinable-vbr.mp3"),
    ]:
        content = first.read_bytes() + second.read_bytes()
        path = maker.written(f"{first.stem}-{second.stem}-joined{first.suffix}", content)
        yield Made("joined of two", path, (first, second))
    for path in whole:
        content = path.read_bytes()
        for share in (0.3, 0.7, 0.99):
            cut = content[: round(len(content) * share)]
            path_of_cut = maker.written(f"{path.stem}-{share}{path.suffix}", cut)
            yield Made("cut", path_of_cut, (path_of_cut,))


def _mp3s_of_each_rate(maker: Maker) -> Iterator[Path]:
    for at, rate in enumerate(RATES):
        channels = 1 + at % 2
        form = ("-ar", rate, "-ac", channels, "-c:a", "libmp3lame")
        yield maker.ffmpeg(f"cbr-{rate}.mp3", *form, "-b:a", "64k")
        yield maker.ffmpeg(f"vbr-{rate}.mp3", *form, "-q:a", 4)
        yield maker.ffmpeg(f"vbr-pipe-{rate}.mp3", *form, "-q:a", 4, "-f", "mp3", pipe=True)
        yield maker.ffmpeg(f"none-{rate}.mp3", *form, "-q:a", 7, "-write_xing", 0)
        yield maker.lame(f"abr-{rate}.mp3", "--abr", 56, "--resample", rate / 1000)


def _mp3s_with_tags(maker: Maker) -> Iterator[Path]:
    named = ("--tt", "phrase", "--ta", "李")
    picture = maker.written("picture.jpg", b"\xff\xd8\xff\xe0" + b"\xff\xfb\x90\xc0" * 9000)
    yield maker.lame("id3v1.mp3", "--id3v1-only", *named)
    yield maker.lame("id3v2.mp3", "--id3v2-only", "--pad-id3v2-size", 20_000, *named)
    yield maker.lame("both-tags.mp3", "--add-id3v2", *named, "-V", 2)
    yield maker.lame("picture.mp3", "--ti", picture, *named)
    yield maker.lame("checksums.mp3", "-p", "-V", 4)
    yield maker.lame("checksums-stereo.mp3", "-p", "-b", 128, "-m", "j")
    yield maker.lame("free-of-info.mp3", "-t", "-V", 4)
    yield maker.lame("padded.mp3", "-b", 320, "-m", "s", "--resample", 48)


def _mp3s_with_a_wrong_length(maker: Maker) -> Iterator[Path]:
    content = maker.lame("right.mp3", "-V", 4).read_bytes()
    for count in (0, 1, 30, 100_000, LESS):
        yield maker.written(f"count-{count}.mp3", with_count(content, count))
    yield maker.lame("joinable-vbr.mp3", "-V", 5)
    yield maker.lame("joinable-8.mp3", "-b", 16, "--resample", 8, "-m", "m")
    yield maker.ffmpeg("joinable-pipe.mp3", "-ac", 1, "-q:a", 6, "-write_xing", 0)


def with_count(content: bytes, count: int) -> bytes:
    """An MP3 whose header says that it has so many frames."""
    at = next(place for mark in (b"Xing", b"Info") if (place := content.find(mark)) >= 0) + 8
    return content[:at] + struct.pack(">I", count) + content[at + 4 :]


def _wavs_of_each_coding(maker: Maker) -> Iterator[Path]:
    for coding in (
        "pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le",
        "pcm_mulaw", "pcm_alaw", "adpcm_ms", "adpcm_ima_wav",
    ):  # fmt: skip
        for channels, rate in ((1, 8000), (2, 44100)):
            form = ("-ac", channels, "-ar", rate, "-c:a", coding)
            yield maker.ffmpeg(f"{coding}-{channels}.wav", *form)
    yield maker.ffmpeg("extensible-6.wav", "-ac", 6, "-c:a", "pcm_s24le")
    yield maker.ffmpeg("rf64.wav", "-rf64", "always", "-c:a", "pcm_s16le")
    yield maker.ffmpeg("mp3-inside.wav", "-c:a", "libmp3lame")
    yield maker.ffmpeg("named.wav", "-metadata", "title=phrase", "-write_bext", 1)


def _wavs_with_a_wrong_length(maker: Maker) -> Iterator[Path]:
    for coding in ("pcm_s16le", "pcm_f32le", "pcm_mulaw"):
        content = maker.ffmpeg(f"joinable-{coding}.wav", "-c:a", coding).read_bytes()
        at = content.index(b"data") + 4
        length = len(content) - at - 4
        for name, of_riff, of_data in (
            ("zeros", 0, 0), ("zero", at + length - 4, 0), ("most", LESS, LESS),
            ("most-data", at + length - 4, LESS), ("twice", 2 * length, 2 * length),
            ("riff-zero", 0, length),
        ):  # fmt: skip
            changed = bytearray(content)
            changed[4:8], changed[at : at + 4] = (
                struct.pack("<I", each) for each in (of_riff, of_data)
            )
            yield maker.written(f"{name}-{coding}.wav", changed)
        form = ("-c:a", coding, "-f", "wav")
        yield maker.ffmpeg(f"pipe-{coding}.wav", *form, pipe=True)


def _flacs(maker: Maker) -> Iterator[Path]:
    for rate in (8000, 16000, 44100, 48000, 96000):
        for form in ("s16", "s32"):
            yield maker.ffmpeg(f"{form}-{rate}.flac", "-ar", rate, "-sample_fmt", form)
    yield maker.ffmpeg("joinable.flac")
    yield maker.ffmpeg("pipe.flac", "-f", "flac", pipe=True)


def _oggs(maker: Maker) -> Iterator[Path]:
    for rate in (8000, 16000, 44100, 48000):
        for channels in (1, 2):
            form = ("-ar", rate, "-ac", channels)
            yield maker.ffmpeg(f"vorbis-{rate}-{channels}.ogg", *form, "-c:a", "libvorbis")
        opus = ("-ar", 48000 if rate == 44100 else rate, "-c:a", "libopus")
        yield maker.ffmpeg(f"opus-{rate}.opus", *opus, "-b:a", "24k")
        yield maker.ffmpeg(f"pipe-{rate}.opus", *opus, "-f", "ogg", pipe=True)
    yield maker.ffmpeg("flac.oga", "-c:a", "flac")
    yield maker.ffmpeg("joinable.ogg", "-c:a", "libvorbis")
    yield maker.ffmpeg("joinable.opus", "-c:a", "libopus")


def _others_of_libsndfile(maker: Maker) -> Iterator[Path]:
    yield maker.ffmpeg("16.aiff")
    yield maker.ffmpeg("24.aif", "-c:a", "pcm_s24be")
    yield maker.ffmpeg("16.caf")
    yield maker.ffmpeg("pipe.au", "-f", "au", pipe=True)
    yield maker.ffmpeg("alaw.au", "-c:a", "pcm_alaw")


def _of_phones(maker: Maker) -> Iterator[Path]:
    for rate in (8000, 16000, 44100, 48000):
        for channels in (1, 2):
            form = ("-ar", rate, "-ac", channels, "-c:a", "aac")
            yield maker.ffmpeg(f"aac-{rate}-{channels}.m4a", *form)
    yield maker.ffmpeg("fast.m4a", "-c:a", "aac", "-movflags", "+faststart")
    yield maker.ffmpeg("pieces.m4a", "-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov")
    yield maker.ffmpeg("lossless.m4a", "-c:a", "alac")
    yield maker.ffmpeg("phone.3gp", "-c:a", "aac", "-ar", 16000, "-ac", 1)
    yield maker.ffmpeg("joinable.aac", "-c:a", "aac")
    yield maker.ffmpeg("opus.webm", "-c:a", "libopus")
    yield maker.ffmpeg("vorbis.webm", "-c:a", "libvorbis")
    yield maker.ffmpeg("pipe.webm", "-c:a", "libopus", "-f", "webm", pipe=True)
    yield maker.ffmpeg("sound.wma")
    yield maker.written("phone.amr", amr(2.0))
    for bit_rate in amr_nb.BIT_RATES:
        for voice in VOICES:
            sound = read(RECORDINGS / voice / "phrase-1.mp3")
            yield amr_nb.write(maker.folder / f"{voice}-{bit_rate}.amr", sound, bit_rate)


def amr(seconds: float) -> bytes:
    """An AMR of so many seconds: nobody's voice, of the lowest rate."""
    draw = np.random.default_rng(0)
    return b"#!AMR\n" + b"".join(b"\x04" + draw.bytes(12) for _ in range(round(seconds * 50)))


def decoded(path: Path) -> float:
    """Seconds of sound that ffmpeg decodes of a file."""
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-map", "0:a:0"]
    command += ["-ac", "1", "-ar", "16000", "-f", "s16le", "pipe:1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return len(done.stdout) / 2 / SAMPLE_RATE


def result_of(file: Made) -> Result:
    """Read a file, and hold its length against ffmpeg's."""
    try:
        heard = len(read(file.path)) / SAMPLE_RATE
    except RecordingError as error:
        return Result(file, 0.0, error.reason)
    early = math.inf if file.seconds is None else file.seconds - heard
    return Result(file, heard - sum(map(decoded, file.parts)), "", early)


def main() -> None:
    """Print the results as a table."""
    if any(shutil.which(program) is None for program in PROGRAMS):
        sys.exit("ffmpeg and lame are needed")
    kinds: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for file in made(Path(folder)):
            kinds.setdefault(file.kind, []).append(result_of(file))
    print("| kind | files | read | most off, ms | refused |\n|---|---|---|---|---|")
    for kind, results in kinds.items():
        late = [1000 * each.off for each in results if not each.refusal]
        refused = len(results) - len(late)
        print(f"| {kind} | {len(results)} | {len(late)} | {max(late):.1f} | {refused} |")
    for each in chain.from_iterable(kinds.values()):
        if each.refusal:
            print(f"{each.made.path.name}: {each.refusal}", file=sys.stderr)


if __name__ == "__main__":
    main()
