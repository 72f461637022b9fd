"""What is kept of a recording beside its voiceprint: what was said, and a fingerprint of it."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from kaimen.voice.fingerprint import Fingerprint
from kaimen.voice.phrase import PhraseEmbedding

SHAPE = struct.Struct("<HH")


def pack(values: NDArray[np.float16] | Fingerprint) -> bytes:
    """Return a table of numbers as bytes, to be sealed."""
    return SHAPE.pack(*values.shape) + values.tobytes()


def unpack_said(packed: bytes) -> PhraseEmbedding:
    """Return what ``pack`` made of a phrase encoder's point in half precision."""
    return np.frombuffer(packed, "<f2", offset=SHAPE.size).reshape(_shape(packed)).astype("<f4")


def unpack_fingerprint(packed: bytes) -> Fingerprint:
    """Return what ``pack`` made of a fingerprint."""
    return np.frombuffer(packed, np.uint8, offset=SHAPE.size).reshape(_shape(packed))


def _shape(packed: bytes) -> tuple[int, int]:
    rows, columns = SHAPE.unpack_from(packed)
    return rows, columns
