"""Calls a peer: sounds in, points out, through files and a subprocess."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import SettingsError

PYTHON = Path(__file__).parents[3] / ".venv-peers" / "bin" / "python"


def embed(sounds: Sequence[NDArray[np.int16]], peer: str) -> NDArray[np.float32]:
    """Return a peer's unit-length points of sounds at 16 kHz, shape (sounds, dimension).

    Raises SettingsError where the peers are not installed.
    """
    return _call(sounds, peer)[0]


def seconds(sounds: Sequence[NDArray[np.int16]], peer: str) -> list[float]:
    """How long a peer takes for each sound alone, with one thread. Raises as ``embed`` does."""
    found: list[float] = _call(sounds, peer, timed=True)[1].tolist()
    return found


def start(sounds: Sequence[NDArray[np.int16]], out: Path) -> None:
    """Write what training the large encoder starts from (``campplus_start.py``) to ``out``.

    Raises SettingsError where the peers are not installed.
    """
    written = out.with_suffix(".part.npz")
    _run("campplus_start", sounds, [written])
    written.replace(out)


def _call(
    sounds: Sequence[NDArray[np.int16]], peer: str, *, timed: bool = False
) -> list[NDArray[np.float32]]:
    with tempfile.TemporaryDirectory() as scratch:
        answered = [Path(scratch, name) for name in ("points.npy", "seconds.npy")[: 1 + timed]]
        _run(peer, sounds, answered)
        return [np.load(path) for path in answered]


def _run(script: str, sounds: Sequence[NDArray[np.int16]], answered: Sequence[Path]) -> None:
    if not PYTHON.exists():
        raise SettingsError(f"no {PYTHON}; run 'make peers' to install {script} in its environment")
    with tempfile.TemporaryDirectory() as scratch:
        asked = Path(scratch, "clips.npz")
        offsets = np.cumsum([0, *map(len, sounds)])
        np.savez(asked, samples=np.concatenate(sounds), offsets=offsets)
        program = Path(__file__).with_name(f"{script}.py")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        subprocess.run([PYTHON, program, asked, *answered], check=True, env=environment)
