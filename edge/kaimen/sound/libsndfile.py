"""Sound as libsndfile decodes it, block by block and to the end of the stream."""

from __future__ import annotations

from collections.abc import Generator

import soundfile

from kaimen.errors import UnreadableRecording
from kaimen.sound import Samples

# The rate in Hz, and sound of shape (samples, channels).
Blocks = Generator[tuple[int, Samples], None, None]

RATES = range(4_000, 400_000)  # Hz
MOST_CHANNELS = 8
TOGETHER = 16_000  # samples of each channel decoded at a time: a long file never fills the memory

Undecodable = soundfile.LibsndfileError


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read on to its end: of one that can be sought, soundfile reads a header's."""

    def seekable(self) -> bool:
        return False


def require_recorded(rate: int, channels: int) -> None:
    """Refuse what nobody records, and what may be a damaged header. Raises UnreadableRecording."""
    if rate not in RATES or channels > MOST_CHANNELS:
        raise UnreadableRecording(
            f"{channels} channels at {rate} Hz are not recorded sound; "
            "export it again at 16 or 48 kHz"
        )


def blocks(descriptor: int) -> Blocks:
    """Yield the sound of an open file. Raises UnreadableRecording and Undecodable."""
    # By its number, not as an object: what is raised while libsndfile calls back into
    # Python is lost, Ctrl-C too.
    with _Stream(descriptor, closefd=False) as file:
        require_recorded(file.samplerate, file.channels)
        while len(block := file.read(TOGETHER, dtype="float32", always_2d=True)):
            yield file.samplerate, block
