"""Sound as AMR-NB, which telephones record: by the encoder that PyAV has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr

from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE, Samples

RATE = 8_000  # Hz
BIT_RATES = (4_750, 5_900, 7_950, 12_200)  # some of the eight that there are
MOST = BIT_RATES[-1]


def write(path: Path, sound: Samples, bit_rate: int = MOST) -> Path:
    """Write sound, shape (samples,) at 16 kHz. Raises SettingsError without PyAV."""
    try:
        import av
    except ImportError:
        raise SettingsError(
            "AMR is written by PyAV; install it with 'pip install kaimen[formats]'"
        ) from None
    narrow = soxr.resample(sound, SAMPLE_RATE, RATE)
    whole = (np.clip(narrow, -1, 1) * 32_767).astype(np.int16)
    with av.open(str(path), "w", format="amr") as file:
        stream = file.add_stream("libopencore_amrnb", rate=RATE, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(whole[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return path
