"""A recording in a microphone's place: played in its own time, for trying out a whole gate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from edge.sound import SAMPLE_RATE, Samples
from edge.sound.recording import Recording


class Played:
    """Gives blocks when a microphone would have heard them; ends with the recording."""

    floor: float | None = None  # a room is learned by listening, as by a microphone
    overruns = 0

    def __init__(self, path: Path) -> None:
        """Raises RecordingError."""
        self.name = str(path)
        self._recording = Recording.open(path)
        self.began = 0.0  # monotonic seconds at which its first sample was heard

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks of shape (BLOCK,), each as soon as its last sample was heard."""
        self.began = time.monotonic()
        heard = 0
        for block in self._recording.blocks():
            heard += len(block)
            time.sleep(max(0.0, self.began + heard / SAMPLE_RATE - time.monotonic()))
            yield block
