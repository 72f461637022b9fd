"""Principal components of windows: the best that a linear autoencoder can do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaimen_train.autoencoder.fit import Windows

OVER = 16  # directions more than are kept of the range
ROUNDS = 4  # of the power iteration


@dataclass(frozen=True)
class Components:
    """The mean of windows, and the directions in which they vary most."""

    mean: NDArray[np.float32]  # (bins,)
    axes: NDArray[np.float32]  # (dimension, bins), orthonormal

    @classmethod
    def of(cls, windows: Windows, dimension: int, seed: int = 0) -> Components:
        """Return the first components, by a random projection and power iteration.

        N. Halko, P. Martinsson and J. Tropp, "Finding structure with randomness", SIAM Review
        53(2), 2011, algorithm 4.4.
        """
        rows = windows.reshape(len(windows), -1)
        mean = rows.mean(axis=0)
        centred = rows - mean
        random = np.random.default_rng(seed)
        width = min(dimension + OVER, *centred.shape)
        span = random.standard_normal((centred.shape[1], width)).astype(np.float32)
        for _ in range(ROUNDS):
            span, _ = np.linalg.qr(centred.T @ (centred @ span))
        _, _, turned = np.linalg.svd(centred @ span, full_matrices=False)
        return cls(mean, (turned @ span.T)[:dimension])

    def errors(self, windows: Windows) -> tuple[float, float]:
        """Return mean squared errors a bin: of the mean alone, and of all components."""
        centred = windows.reshape(len(windows), -1) - self.mean
        left = centred - (centred @ self.axes.T) @ self.axes
        return float(np.mean(centred**2)), float(np.mean(left**2))
