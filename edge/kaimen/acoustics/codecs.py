"""What coding a recording leaves in it: coded and decoded again in memory."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.stderr import silenced

LATE = 1105  # samples that MP3 lags behind where the file does not say so: LAME's 576, and 529


@dataclass(frozen=True, slots=True)
class Codec:
    """A lossy coding as soundfile offers it; without a container sound stays as it is."""

    name: str
    container: str = ""  # MP3, OGG or none
    subtype: str = ""
    level: float = 0.0  # soundfile's compression_level: 0 best, towards 1 smallest
    mode: str | None = None  # soundfile's bitrate_mode, of MP3

    def __call__(self, sound: Samples) -> Samples:
        """The sound after coding and decoding, as long as before."""
        if not self.container:
            return sound
        coded = io.BytesIO()
        with silenced():
            soundfile.write(
                coded,
                np.clip(sound, -1, 1),
                SAMPLE_RATE,
                format=self.container,
                subtype=self.subtype,
                compression_level=self.level,
                bitrate_mode=self.mode,
            )
            coded.seek(0)
            decoded, _ = soundfile.read(coded, dtype="float32")
        heard = np.zeros(len(sound), np.float32)
        if len(decoded) > len(sound):
            decoded = decoded[LATE:]
        kept = min(len(decoded), len(sound))
        heard[:kept] = decoded[:kept]
        return heard


def _mp3(rate: int, level: float, mode: str) -> Codec:
    return Codec(f"mp3-{mode.lower()}-{rate}", "MP3", "MPEG_LAYER_III", level, mode)


NONE = Codec("none")
# Bit rates (kbit/s) as measured for noise at 16 kHz; what is said in a room takes fewer.
CONSTANT_MP3 = tuple(
    _mp3(rate, level, "CONSTANT") for rate, level in ((25, 0.9), (42, 0.8), (60, 0.7), (85, 0.5))
)
VARIABLE_MP3 = tuple(_mp3(rate, level, "VARIABLE") for rate, level in ((30, 0.5), (40, 0.25)))
VORBIS = tuple(
    Codec(f"vorbis-{rate}", "OGG", "VORBIS", level) for rate, level in ((43, 0.9), (60, 0.4))
)
OPUS = tuple(Codec(f"opus-{rate}", "OGG", "OPUS", level) for rate, level in ((32, 0.9), (60, 0.8)))
