"""How long a phrase takes: int8 and float32 in each runtime, and the peers, one thread each.

Run as a module it times two encoders in a process that has loaded nothing else, as a gate.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from kaimen.bench import timing
from kaimen.errors import EncoderError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice.encoder import RUNTIMES, Encoder
from kaimen_train.peers import call

PHRASE = 1.5  # seconds
ROUNDS = 10
IN_A_ROW = 10  # calls a round, as a peer is called: a first one finds none of its data in the cache


def measure(encoder: Path, float32: Path, peers: list[str]) -> dict[str, float]:
    """Return median milliseconds by name, sound to point; the network alone where it says so."""
    asked = [sys.executable, "-m", "kaimen_train.encoder.speed"]
    asked += [str(encoder), str(float32), str(ROUNDS)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(asked, env=alone, capture_output=True, text=True, check=True)
    taken: dict[str, float] = json.loads(done.stdout)
    whole = (np.clip(sound(), -1, 1) * 32767).astype(np.int16)
    for peer in peers:
        seconds = call.seconds([whole] * ROUNDS * IN_A_ROW, peer)
        taken[peer] = 1000 * float(np.median(seconds))
    return taken


def sound() -> Samples:
    """Return the sound that time is measured on."""
    random = np.random.default_rng(0)
    return random.normal(0, 0.1, round(PHRASE * SAMPLE_RATE)).astype(np.float32)


def _times(encoder: Path, float32: Path, rounds: int) -> dict[str, float]:
    """Return median milliseconds of each runtime."""
    work: dict[str, Callable[[], object]] = {}
    for kind, path in (("int8", encoder), ("float32", float32)):
        for runtime in RUNTIMES:
            try:
                loaded = Encoder(path, runtime=runtime)
            except EncoderError:
                continue
            (window,) = loaded.windows(loaded.features_of(sound()))
            work[f"{kind}, {runtime}"] = partial(loaded.embed, sound())
            work[f"{kind}, {runtime}, network alone"] = partial(loaded.run, window)
    return {name: 1000 * each for name, each in in_turns(work, rounds, IN_A_ROW).items()}


def in_turns(
    work: Mapping[str, Callable[[], object]], rounds: int, in_a_row: int = 1
) -> dict[str, float]:
    """Return median seconds by name; all take turns, so that all meet the same machine."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, once in work.items():
            taken[name] += [timing.once(once) for _ in range(in_a_row)]
    return {name: float(np.median(each)) for name, each in taken.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_times(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
