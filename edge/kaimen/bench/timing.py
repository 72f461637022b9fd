"""How long something takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

SECONDS = 1.0  # that a piece of work is measured for
LEAST = 5  # times that it is done


def once(work: Callable[[], object]) -> float:
    """Return seconds of a piece of work."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(work: Callable[[], object]) -> float:
    """Return median seconds of a piece of work, after it was done once."""
    work()
    taken: list[float] = []
    while len(taken) < LEAST or sum(taken) < SECONDS:
        taken.append(once(work))
    return float(np.median(taken))


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return median and 99th percentile, in milliseconds."""
    half, most = np.percentile(seconds, (50, 99)) * 1000
    return {"p50_ms": float(half), "p99_ms": float(most)}
