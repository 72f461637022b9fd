"""A keyed rotation of the latent space: voiceprints are kept, and compared, in their own space.

A matrix is drawn from the key, uniformly among all orthogonal ones (G. Stewart, 1980: the QR
decomposition of normal deviates, with a positive diagonal). It keeps every length and every cosine,
so that scores, thresholds and the search stay what they are. Under another key a voiceprint lies
elsewhere: one that was stolen in clear fits no gallery any more once the key is renewed.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kaimen.registry.vault import Vault

Points = NDArray[np.float32]


class Rotation:
    """The rotation of one key and one encoder's space."""

    def __init__(self, matrix: Points) -> None:
        """A rotation by an orthogonal matrix, (dimension, dimension)."""
        self._matrix = matrix

    @classmethod
    def of(cls, vault: Vault, encoder: str, dimension: int) -> Rotation:
        """Return the rotation of a vault's key."""
        return cls(_matrix(vault.derive(f"rotation {encoder}"), dimension))

    @classmethod
    def none(cls, dimension: int) -> Rotation:
        """Return the one that leaves everything where it is."""
        return cls(np.eye(dimension, dtype=np.float32))

    def apply(self, points: Points) -> Points:
        """Return where points (..., dimension) of the encoder lie in the kept space."""
        moved: Points = points @ self._matrix
        return moved

    def undo(self, points: Points) -> Points:
        """Return the encoder's points (..., dimension) of those in the kept space."""
        moved: Points = points @ self._matrix.T
        return moved


@lru_cache(maxsize=8)
def _matrix(key: bytes, dimension: int) -> Points:
    """Return an orthogonal matrix, the same for a key on every machine and by every library.

    Neither numpy's own random numbers nor the signs of a QR decomposition are promised to stay.
    """
    count = dimension * dimension
    drawn = np.frombuffer(hashlib.shake_256(key).digest(16 * count), "<u8").reshape(2, count)
    one, other = ((drawn >> np.uint64(11)) + np.uint64(1)) / 2.0**53  # (0, 1]
    normal = np.sqrt(-2 * np.log(one)) * np.cos(2 * np.pi * other)  # Box and Muller, 1958
    q, r = np.linalg.qr(normal.reshape(dimension, dimension))
    matrix: Points = (q * np.sign(np.diag(r))).astype(np.float32)
    return matrix
