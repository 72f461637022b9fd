"""Make the recordings of the demo: a small class of synthetic students, spoken by espeak-ng.

Run as ``python -m kaimen_train.evaluation.demo_voices``. The same versions of espeak-ng and of the
Python packages give the same files, byte for byte.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
import soxr

from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen_train.progress import track

OUT = Path("edge/kaimen/rehearsal/recordings")
TAKES = 7  # recordings of the passphrase for each voice
# Pinyin with tones, because espeak-ng 1.51 reads the tones of its characters as English
# numbers ("ma two") unless it is told that Latin letters are pinyin.
LANGUAGE = "cmn-latn-pinyin"
PASSPHRASE = "zhi1ma5 kai1men2"  # 芝麻开门
OTHERS = (
    "wo3yao4 jin4qu4",  # 我要进去
    "jin1tian1 tian1qi4hao3",  # 今天天气好
)
AMPLITUDE = 60  # of espeak-ng's 200: louder, some variants clip
# Variable bit rate, here about 32 kbit/s: a constant one this low leaves no room for the tag
# by which a decoder takes the encoder's silence off both ends, and no room is that silent.
COMPRESSION = 0.6  # 0 to 1

# How much takes of one voice differ.
SPEED = 0.05  # share
PITCH = 2  # units of espeak-ng
LEVEL = -26.0  # dB of full scale, RMS of the speech
LOUDNESS = 4.0  # dB around it
SNR = (25.0, 35.0)  # dB of speech over the room's noise
MARGIN = (0.2, 0.4)  # seconds of background before and after
SILENT = -40.0  # dB below the peak: what espeak-ng adds around the speech


@dataclass(frozen=True, slots=True)
class Voice:
    """A synthetic student."""

    name: str
    variant: str  # of espeak-ng --voices=variant
    pitch: int  # 0 to 99
    speed: int  # words a minute
    range: int  # percent of the variant's own rise and fall
    tract: float  # length of the vocal tract beside the variant's own


# Chosen so that every voice is far from the others for GE2E too (peers/ge2e.py).
# Variants that whisper or croak, or sound like robots or bad microphones, were left out.
VOICES = (
    # name, variant, pitch, speed, range, tract
    Voice("anning", "belinda", 60, 141, 142, 1.04),
    Voice("bowen", "Gene", 45, 152, 121, 1.09),
    Voice("chenxi", "f5", 56, 154, 104, 1.12),
    Voice("dezhi", "klatt5", 42, 145, 84, 1.09),
    Voice("fangfei", "steph", 34, 145, 148, 0.88),
    Voice("guangming", "norbert", 35, 145, 90, 0.94),
    Voice("haoran", "boris", 83, 165, 137, 0.89),
    Voice("jiayi", "Alicia", 34, 148, 149, 1.13),
    Voice("kaiwen", "benjamin", 39, 157, 75, 0.92),
    Voice("lanxin", "Annie", 30, 165, 135, 1.13),
    Voice("mingze", "Lee", 64, 165, 127, 1.12),
    Voice("ningjing", "f2", 37, 145, 102, 0.97),
    Voice("peilin", "shelby", 52, 139, 71, 1.01),
    Voice("qiming", "klatt3", 40, 153, 84, 0.90),
    Voice("ruifeng", "iven3", 77, 142, 115, 1.08),
    Voice("shuyao", "aunty", 32, 155, 81, 0.90),
    Voice("tianyu", "marcelo", 30, 142, 136, 0.91),
    Voice("weiming", "edward2", 80, 154, 94, 1.09),
)


def main() -> None:
    """Write every recording of every voice."""
    parser = argparse.ArgumentParser(
        prog="python -m kaimen_train.evaluation.demo_voices",
        description="Make the recordings of the demo with espeak-ng.",
        epilog="example: python -m kaimen_train.evaluation.demo_voices --out /tmp/recordings",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        metavar="FOLDER",
        help="where to write (default: %(default)s)",
    )
    out = parser.parse_args().out
    try:
        for voice in track(VOICES, "speaking"):
            record(voice, out / voice.name)
    except SettingsError as error:
        sys.exit(str(error))


def record(voice: Voice, folder: Path) -> None:
    """Write all recordings of a voice into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {f"phrase-{number}": PASSPHRASE for number in range(1, TAKES + 1)}
    said |= {f"other-{number}": text for number, text in enumerate(OTHERS, 1)}
    for stem, text in said.items():
        # Seeded by its name, so that one recording can change without the others.
        random = np.random.default_rng(crc32(f"{voice.name}/{stem}".encode()))
        soundfile.write(
            folder / f"{stem}.mp3",
            take(voice, text, random),
            SAMPLE_RATE,
            bitrate_mode="VARIABLE",
            compression_level=COMPRESSION,
        )


def take(voice: Voice, text: str, random: np.random.Generator) -> Samples:
    """Return a take of ``text`` in a room: float32 at 16 kHz, shape (samples,)."""
    speed = voice.speed * random.uniform(1 - SPEED, 1 + SPEED)
    speech = speak(voice, text, speed, voice.pitch + int(random.integers(-PITCH, PITCH + 1)))
    level = LEVEL + random.uniform(-LOUDNESS, LOUDNESS)
    speech *= 10 ** (level / 20) / np.sqrt(np.mean(speech**2))
    before, after = (round(random.uniform(*MARGIN) * SAMPLE_RATE) for _ in range(2))
    sound = np.pad(speech, (before, after))
    room = pink(len(sound), random) * 10 ** ((level - random.uniform(*SNR)) / 20)
    return np.clip(sound + room, -1, 1).astype(np.float32)


def speak(voice: Voice, text: str, speed: float, pitch: int) -> Samples:
    """Return the bare speech of espeak-ng at 16 kHz. Raises SettingsError where it is missing."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise SettingsError("espeak-ng is missing; install it with 'apt-get install espeak-ng'")
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch, "spoken.wav")
        command = [program, "-v", f"{LANGUAGE}+{voice.variant}", "-p", str(pitch)]
        # A longer tract is the sound played slower: ask for it as much faster.
        command += ["-s", str(round(speed * voice.tract)), "-a", str(AMPLITUDE), "-w", str(spoken)]
        command += ["-m", f'<prosody range="{voice.range}%">{text}</prosody>']
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        samples, rate = soundfile.read(spoken, dtype="float32")
    speech: Samples = soxr.resample(samples, rate / voice.tract, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(speech) > np.abs(speech).max() * 10 ** (SILENT / 20))
    return speech[loud[0] : loud[-1] + 1]


def pink(length: int, random: np.random.Generator) -> Samples:
    """Return noise with the same power in every octave above 40 Hz, RMS 1, shape (length,)."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(frequencies, 40)), length)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float32)


if __name__ == "__main__":
    main()
