"""Calls a peer: sounds in, points out, through files and a subprocess."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import SettingsError

PYTHON = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"


def embed(
    sounds: Sequence[NDArray[np.int16]], peer: str = "ge2e", python: Path = PYTHON
) -> NDArray[np.float32]:
    """A peer's unit-length points of sounds at 16 kHz, shape (sounds, dimension).

    Raises SettingsError where the peers are not installed.
    """
    if not python.exists():
        raise SettingsError(f"no {python}; run 'make peers' to install {peer} in its environment")
    with tempfile.TemporaryDirectory() as scratch:
        asked, answered = Path(scratch, "clips.npz"), Path(scratch, "points.npy")
        offsets = np.cumsum([0, *map(len, sounds)])
        np.savez(asked, samples=np.concatenate(sounds), offsets=offsets)
        script = Path(__file__).with_name(f"{peer}.py")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        subprocess.run([python, script, asked, answered], check=True, env=environment)
        points: NDArray[np.float32] = np.load(answered)
        return points
