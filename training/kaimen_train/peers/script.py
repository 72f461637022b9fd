"""What the peers' programs do alike: clips from a file, points into one, seconds if asked.

``python PEER.py CLIPS.npz POINTS.npy [SECONDS.npy]``: the input holds ``samples`` (int16, 16 kHz)
and ``offsets``; the points are float32, one unit-length row a clip; the seconds, of each clip
embedded alone, are measured by one thread.
"""

import sys
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Embed = Callable[[list[NDArray[np.float32]]], NDArray[np.float32]]


def run(embed: Embed) -> None:
    """Embed as the arguments ask; clips are float32 in [-1, 1]."""
    asked = np.load(sys.argv[1])
    samples = asked["samples"].astype(np.float32) / 32768
    clips = [samples[start:end] for start, end in pairwise(asked["offsets"])]
    points = embed(clips)
    np.save(sys.argv[2], points / np.linalg.norm(points, axis=1, keepdims=True))
    if len(sys.argv) > 3:
        np.save(sys.argv[3], [_seconds(embed, clip) for clip in clips])


def _seconds(
    embed: Callable[[list[NDArray[np.float32]]], NDArray[np.float32]], clip: NDArray[np.float32]
) -> float:
    began = time.perf_counter()
    embed([clip])
    return time.perf_counter() - began
