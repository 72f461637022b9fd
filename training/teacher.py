"""Points of a teacher (GE2E) for every clip, computed once and kept."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import SettingsError
from training.corpus import Clips
from training.progress import track

PYTHON = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
SCRIPT = Path(__file__).parent / "peers" / "ge2e.py"
BATCH = 2_000  # clips a call


def points(
    clips: Clips, folder: Path, *, workers: int = 2, python: Path = PYTHON
) -> NDArray[np.float32]:
    """GE2E's unit-length points, shape (clips, 256). Raises SettingsError without GE2E."""
    if not python.exists():
        raise SettingsError(f"no {python}; run 'make peers' to install GE2E in its own environment")
    name = hashlib.sha256(repr([len(clips), int(clips.ends[-1]), clips.labels[-1]]).encode())
    folder = folder / f"ge2e-{name.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(clips), BATCH)
    with ThreadPoolExecutor(workers) as pool:
        batches = pool.map(lambda start: _batch(clips, start, folder, python), starts)
        return np.concatenate(list(track(batches, "asking the teacher", len(starts))))


def _batch(clips: Clips, start: int, folder: Path, python: Path) -> NDArray[np.float32]:
    kept = folder / f"{start:07d}.npy"
    if not kept.exists():
        asked_for = range(start, min(start + BATCH, len(clips)))
        with tempfile.TemporaryDirectory() as scratch:
            asked, answered = Path(scratch, "clips.npz"), Path(scratch, "points.npy")
            pieces = [clips.samples[clips.starts[i] : clips.ends[i]] for i in asked_for]
            offsets = np.cumsum([0, *map(len, pieces)])
            np.savez(asked, samples=np.concatenate(pieces), offsets=offsets)
            environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            subprocess.run([python, SCRIPT, asked, answered], check=True, env=environment)
            written = kept.with_suffix(".part.npy")
            np.save(written, np.load(answered))
        written.replace(kept)
    return np.load(kept)
