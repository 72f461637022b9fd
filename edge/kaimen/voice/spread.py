"""How scores are spread, and how high they get by chance.

Cosines end at 1 and are skewed; their inverse hyperbolic tangents (R. A. Fisher, Biometrika 10,
1915) are nearly normal, so a normal curve is drawn through those.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

HIGHEST = 1 - 1e-6  # score before transformation: 1 would go to infinity
LEAST_DEVIATION = 0.01  # after transformation: a few equal scores are no certainty


def spread_of(scores: NDArray[np.float32]) -> dict[str, float]:
    """Return mean and deviation of scores after Fisher's transformation; a card holds them."""
    transformed = np.arctanh(np.clip(scores.astype(np.float64), -HIGHEST, HIGHEST))
    return {"mean": float(transformed.mean()), "deviation": float(transformed.std())}


def exceeded_by(spread: dict[str, float], share: float) -> float:
    """Return the score that ``share`` of so spread scores exceed; it is below 1."""
    normal = NormalDist(spread["mean"], max(spread["deviation"], LEAST_DEVIATION))
    return math.tanh(normal.inv_cdf(1 - share))
