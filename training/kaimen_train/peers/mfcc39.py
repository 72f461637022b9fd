"""The classic start as a peer: the mean of the 39 features, Euclidean distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaimen.sound import Samples
from kaimen.voice.features import classic39

RADIUS = 1_000.0  # large against the features, small against float32's resolution


def embed(sounds: Sequence[Samples]) -> NDArray[np.float32]:
    """Return unit-length points (sounds, 40) whose cosines rank pairs as their distances do.

    A plane seen from far away is a sphere: for x and y lifted to the height RADIUS and scaled to
    unit length, the cosine is 1 - |x - y|^2 / (2 RADIUS^2), but for terms of higher order.
    """
    means = np.stack([classic39(sound).mean(axis=0) for sound in sounds])
    lifted = np.pad(means, ((0, 0), (0, 1)), constant_values=RADIUS)
    points: NDArray[np.float32] = lifted / np.linalg.norm(lifted, axis=1, keepdims=True)
    return points
