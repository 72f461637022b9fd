"""Points of a latent space, and what is done to many of them alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]  # (n, dimension)


def unit(vectors: NDArray[np.floating[Any]]) -> Points:
    """Return vectors scaled to unit length, along the last axis."""
    found: Points = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found.astype(np.float32, copy=False)


def means_of(points: NDArray[np.floating[Any]], owners: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return each owner's mean of points (n, dimension); owners are numbers from zero, (n,)."""
    sums = np.zeros((owners.max() + 1, points.shape[1]))
    np.add.at(sums, owners, points)
    return sums / np.bincount(owners)[:, np.newaxis]
