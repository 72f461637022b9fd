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


class Near:
    """Points that equal others which were turned there and back: a rounding apart."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Near) or self.points.shape != other.points.shape:
            return NotImplemented if not isinstance(other, Near) else False
        return bool(np.allclose(self.points, other.points, 0, 1e-5))

    __hash__ = None  # type: ignore[assignment]
