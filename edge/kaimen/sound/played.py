"""A recording in a microphone's place: played in its own time, for trying out a whole gate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import Recording, read


class Played:
    """Gives blocks when a microphone would have heard them; ends with the recording."""

    floor: float | None = None  # a room is learned by listening, as by a microphone
    overruns = 0

    def __init__(self, sound: Samples, name: str = "a recording") -> None:
        self.name = name
        self.began = 0.0  # monotonic seconds at which its first sample was heard
        self._recording = Recording(sound)

    @classmethod
    def open(cls, path: Path) -> Played:
        """Open it from a file, as long as a stream may be. Raises RecordingError."""
        return cls(read(path, longest=None), str(path))

    @property
    def seconds(self) -> float:
        """Return how long it lasts."""
        return self._recording.seconds

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks of shape (BLOCK,), each as soon as its last sample was heard."""
        self.began = time.monotonic()
        heard = 0
        for block in self._recording.blocks():
            heard += len(block)
            time.sleep(max(0.0, self.began + heard / SAMPLE_RATE - time.monotonic()))
            yield block
