"""Recordings of half an hour: how much memory it takes to read them.

``python -m tests.sound.long_files`` prints it, each file read by a program of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read
from tests.sounds import in_a_room, silence

PHRASE = RECORDINGS / "anning" / "phrase-1.mp3"
SECONDS = 29.8 * 60
PHRASES_EVERY = 60  # seconds
FORMS = {
    "MP3, 320 kbit/s": ("mp3", "-b:a", "320k"),
    "MP3, 128 kbit/s, no length in it": ("mp3", "-b:a", "128k", "-write_xing", "0"),
    "FLAC": ("flac",),
    "M4A": ("m4a", "-c:a", "aac"),
    "Opus": ("opus", "-c:a", "libopus"),
    "WAV": ("wav",),
    "WAV, never finished": ("wav",),
}


def made(folder: Path, name: str, seconds: float) -> Path:
    """Make a file of 44.1 kHz and two channels: a phrase each minute in a quiet room."""
    suffix, *options = FORMS[name]
    source, path = folder / "source.wav", folder / f"long.{suffix}"
    phrase = read(PHRASE)
    minute = in_a_room(phrase, silence(PHRASES_EVERY - len(phrase) / SAMPLE_RATE))
    soundfile.write(source, np.stack((minute, minute / 2), axis=1), SAMPLE_RATE)
    command = ["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", source, "-t", seconds]
    command += ["-ar", 44_100, *options, path]
    subprocess.run([str(each) for each in command], check=True)
    if name == "WAV, never finished":
        with path.open("r+b") as file:
            at = file.read(4096).index(b"data") + 4
            for place in (4, at):
                file.seek(place)
                file.write(bytes(4))
    return path


def peak(command: Sequence[str | Path]) -> tuple[int, float, int]:
    """Run a command; return its exit code, seconds and peak resident memory in MiB."""
    began = time.perf_counter()
    running = subprocess.Popen([str(each) for each in command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    return running.returncode, time.perf_counter() - began, used.ru_maxrss >> 10


def reading(path: Path) -> list[str | Path]:
    """Return the command that reads a file."""
    program = "import sys; from kaimen.sound.recording import read; read(sys.argv[1], longest=None)"
    return [sys.executable, "-c", program, path]


def main() -> None:
    """Print what reading and ``kaimen listen`` take for each form."""
    if shutil.which("ffmpeg") is None:
        sys.exit("ffmpeg is needed")
    print("| long files | MB | read, s | MiB | `listen`, s | MiB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "kaimen.toml"
        config.write_text(
            f'[gallery]\npath = "{folder}/gallery.sqlite"\nkey = "{folder}/key"\n'
            "[door]\nmock = true\nlease = 0.05\n"
        )
        program = [sys.executable, "-m", "kaimen.cli.main"]
        takes = sorted(PHRASE.parent.glob("phrase-[1-5].mp3"))
        enroll = [*program, "enroll", "--student", "anning", *takes, "--config", config]
        subprocess.run(enroll, check=True, stdout=subprocess.DEVNULL)
        listen = [*program, "listen", "--config", config]
        _row("one phrase", PHRASE, listen)
        for form in FORMS:
            path = made(folder, form, SECONDS)
            _row(form, path, listen)
            path.unlink()


def _row(form: str, path: Path, listen: Sequence[str | Path]) -> None:
    read_code, read_seconds, read_memory = peak(reading(path))
    code, seconds, memory = peak([*listen, path])
    assert read_code == code == 0, form
    size = path.stat().st_size / 1e6
    row = (form, f"{size:.1f}", round(read_seconds), read_memory, round(seconds), memory)
    print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
