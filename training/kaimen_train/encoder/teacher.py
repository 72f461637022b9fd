"""Points of the teachers for every clip, computed once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen_train.data.corpus import Clips
from kaimen_train.peers import call
from kaimen_train.points import unit
from kaimen_train.processes import WORKERS
from kaimen_train.progress import track

TEACHERS = ("ge2e", "campplus")  # together they know far more than either
BATCH = 2_000  # clips a call


def points(clips: Clips, folder: Path) -> list[NDArray[np.float32]]:
    """Return each teacher's unit-length points, of shape (clips, dimension of the teacher).

    Raises SettingsError where the teachers are not installed.
    """
    return [_of(name, clips, folder) for name in TEACHERS]


def together(each: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One unit-length point a clip from all teachers' points, seen from their means.

    The cosine of two such points is the mean of the teachers'.
    """
    centred = [unit(known - known.mean(axis=0)) for known in each]
    return np.concatenate(centred, axis=1) / np.float32(len(each) ** 0.5)


def _of(name: str, clips: Clips, folder: Path) -> NDArray[np.float32]:
    known = hashlib.sha256(clips.starts.tobytes() + clips.ends.tobytes())
    known.update(repr([label["path"] for label in clips.labels]).encode())
    folder = folder / f"{name}-{known.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(clips), BATCH)
    with ThreadPoolExecutor(WORKERS) as pool:
        batches = pool.map(lambda start: _batch(name, clips, start, folder), starts)
        return np.concatenate(list(track(batches, f"asking {name}", len(starts))))


def _batch(name: str, clips: Clips, start: int, folder: Path) -> NDArray[np.float32]:
    kept = folder / f"{start:07d}.npy"
    if not kept.exists():
        asked_for = range(start, min(start + BATCH, len(clips)))
        pieces = [clips.samples[clips.starts[i] : clips.ends[i]] for i in asked_for]
        written = kept.with_suffix(".part.npy")
        np.save(written, call.embed(pieces, name))
        written.replace(kept)
    found: NDArray[np.float32] = np.load(kept)
    return found
