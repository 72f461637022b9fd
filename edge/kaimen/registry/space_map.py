"""A linear map that carries voiceprints from one encoder's space into another's.

Nobody has to be recorded again for it. An encoder adapted to a school comes with the map from its
old one: the same that is folded into its last layer.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import GalleryError
from kaimen.storage import write_whole


@dataclass(frozen=True)
class SpaceMap:
    """The identities of both encoders, and the map (dimension, dimension) between them."""

    old: str
    new: str
    way: NDArray[np.float32]

    def __call__(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return voiceprints (recordings, dimension) in the new space, unit length."""
        moved = points @ self.way
        lengths = np.linalg.norm(moved, axis=-1, keepdims=True)
        carried: NDArray[np.float32] = moved / np.maximum(lengths, np.float32(1e-12))
        return carried

    def save(self, path: Path) -> None:
        """Write it in one step. Raises StorageError."""
        write_whole(path, lambda file: np.savez(file, old=self.old, new=self.new, way=self.way))

    @classmethod
    def read(cls, path: Path) -> SpaceMap:
        """Read one. Raises GalleryError."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = cls(str(stored["old"]), str(stored["new"]), stored["way"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            raise GalleryError(f"{path}: not a map between two encoders") from None
        shape = found.way.shape
        if len(shape) != 2 or shape[0] != shape[1] or not np.isfinite(found.way).all():
            raise GalleryError(f"{path}: not a map between two encoders")
        return found
