"""A gate whose microphone hears the WAVs of a folder, each as soon as it is there, else a room.

``python -m tests.spoken_gate FOLDER CONFIG``: files are heard in the order of their names, in their
own time; FOLDER/trace is what the relay's pin did.
"""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from kaimen.cli.main import main
from kaimen.door.client import Door
from kaimen.gate import loan
from kaimen.sound import SAMPLE_RATE, Samples, microphone
from tests.door.bench import opened
from tests.portaudio import FakePortAudio, device

ROOM = -70.0  # dB


def say(folder: Path, name: str, sound: Samples) -> None:
    """Let a gate hear a sound, in one piece."""
    written = folder / f".{name}"
    soundfile.write(written, sound, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    written.replace(folder / f"{name}.wav")


class SpokenPortAudio(FakePortAudio):
    """Plays what is in a folder, in its own time, until it is closed."""

    folder: Path

    def __enter__(self) -> SpokenPortAudio:
        threading.Thread(target=self.play).start()
        return self

    def play(self) -> None:
        size = self.opened["blocksize"]
        random = np.random.default_rng(0)
        said: set[str] = set()
        sound: Samples = np.zeros(0, np.float32)
        began, heard = time.monotonic(), 0
        while not self.closed:
            if len(sound) < size:
                new = sorted({path.name for path in self.folder.glob("*.wav")} - said)
                if new:
                    said.add(new[0])
                    read, _ = soundfile.read(self.folder / new[0], dtype="float32")
                    sound = np.concatenate((sound, read))
            block = np.resize(sound[:size], size) if len(sound) else np.zeros(size, np.float32)
            sound = sound[size:]
            block = block + random.standard_normal(size).astype(np.float32) * np.float32(
                10 ** (ROOM / 20)
            )
            self.opened["callback"](block.reshape(size, 1), size, None, self.status)
            heard += size
            time.sleep(max(0.0, began + heard / SAMPLE_RATE - time.monotonic()))


def _run(folder: Path, config: str) -> int:
    microphone.PATIENCE = loan.HANGING = 60.0  # on a busy machine nobody is gone
    fake: Any = SpokenPortAudio(device(0, "USB Microphone", SAMPLE_RATE))
    fake.folder = folder
    sys.modules["sounddevice"] = fake
    Door.open = opened  # type: ignore[method-assign]
    Door.start = partial(Door.start, trace=folder / "trace")  # type: ignore[method-assign]
    return main(["run", "--json", "--config", config])


if __name__ == "__main__":
    sys.exit(_run(Path(sys.argv[1]), sys.argv[2]))
