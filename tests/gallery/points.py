"""Points that tests put into galleries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaimen.gallery.gallery import Gallery

Points = NDArray[np.float32]


def unit(vectors: NDArray[np.float64]) -> Points:
    """The directions of vectors, along the last axis."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def school(
    students: int, recordings: int, dimension: int, *, spread: float = 0.5, seed: int = 0
) -> Points:
    """Voiceprints of students, shape (students, recordings, dimension).

    A student is a random direction; ``spread`` is how far recordings lie from it.
    """
    random = np.random.default_rng(seed)
    centres = unit(random.standard_normal((students, 1, dimension)))
    return unit(centres + spread * unit(random.standard_normal((students, recordings, dimension))))


def enrolled(points: Points, encoder: str = "encoder") -> Gallery:
    """A gallery of the students s000, s001 and so on."""
    gallery = Gallery(encoder, points.shape[-1])
    for number, own in enumerate(points):
        gallery.enroll(f"s{number:03}", list(own))
    return gallery
