"""Listen to a WAV file in a microphone's place: it is heard in its own time, block by block."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

import kaimen
from kaimen.sound import SAMPLE_RATE, Source
from kaimen.sound.endpoint import Endpointer
from kaimen.sound.played import Played

VOICES = Path(kaimen.__file__).parent / "rehearsal" / "voices"


def phrases(source: Source) -> None:
    """Print every phrase of a source as soon as it has ended."""
    endpointer = Endpointer(floor=source.floor)
    for block in source.blocks():
        for phrase in endpointer.push(block):
            print(f"A phrase of {phrase.seconds:.1f} s began at {phrase.start / SAMPLE_RATE:.1f} s")


with TemporaryDirectory() as temporary:
    wav = Path(temporary, "heard.wav")
    said = [kaimen.read(VOICES / "stop-yes" / who / "phrase-1.mp3") for who in ("s08", "s09")]
    pause = np.zeros(SAMPLE_RATE // 2)
    soundfile.write(wav, np.concatenate([said[0], pause, said[1]]), SAMPLE_RATE)
    phrases(Played.open(wav))  # with a microphone: phrases(kaimen.Microphone())
