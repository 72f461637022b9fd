"""Measures what memory a process needs that has a school of 20,000 students open.

    python deploy/card/memory.py FOLDER [--students 20000]

The school is synthetic: random unit vectors around random students, five recordings each, without
what was said and fingerprints. It is made once and stays in FOLDER. For each encoder a process of
its own loads it with the checks' models, opens the gallery, and searches once, with the
environment of the gate's unit (systemd/kaimen-gate.service). Megabytes by
/proc/self/smaps_rollup.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

RECORDINGS = 5
SPREAD = 0.6  # of a recording around its student, whose direction has length one
DIMENSION = 192
ENCODER = "0" * 64  # whose points they are called
PROBES = 200  # whose scores are compared
UNIT = Path(__file__).parents[2] / "systemd" / "kaimen-gate.service"


def main() -> int:
    """Make the school if need be, and measure each encoder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--students", type=int, default=20_000)
    parser.add_argument("--encoder", help="measure this one, in this process")
    options = parser.parse_args()
    if options.encoder:
        _measure(options.folder, options.encoder)
        return 0
    _make(options.folder, options.students)
    for encoder in ("small", "large"):
        asked = [sys.executable, __file__, str(options.folder), "--encoder", encoder]
        subprocess.run(asked, check=True, env={**os.environ, **_environment()})
    return 0


def _environment() -> dict[str, str]:
    """Return the environment that the gate's unit sets."""
    lines = UNIT.read_text().splitlines()
    found = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    return dict(each.split("=", 1) for each in found)


def _make(folder: Path, students: int) -> None:
    from kaimen.gallery.gallery import Gallery
    from kaimen.gallery.index import Index
    from kaimen.registry.registry import Registry
    from kaimen.registry.vault import Vault

    if (folder / "made").exists():
        return
    folder.mkdir(parents=True)
    vault = Vault()
    vault.save(folder / "key")
    random = np.random.default_rng(0)
    centres = _unit(random.standard_normal((students, 1, DIMENSION)))
    noise = _unit(random.standard_normal((students, RECORDINGS, DIMENSION)))
    points = _unit(centres + SPREAD * noise).astype(np.float32)
    registry = Registry(folder / "gallery.sqlite", vault)
    with registry.database.writing():
        for number, own in enumerate(points):
            registry.enroll(f"s{number:05}", own, ENCODER)
    numbers, _ = registry.recordings.numbers(ENCODER)
    flat = registry.recordings.rotation(ENCODER, DIMENSION).apply(points.reshape(-1, DIMENSION))
    index = Index(DIMENSION)
    for start in range(0, len(flat), 5_000):
        index.add(numbers[start : start + 5_000], flat[start : start + 5_000])
    gallery = Gallery(ENCODER, DIMENSION, registry=registry, index=index)
    gallery.refresh()
    gallery.save()
    gallery.close()
    np.save(folder / "probes.npy", _unit(points[::97, 0] + points[::97, 1])[:PROBES])
    (folder / "made").touch()


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _measure(folder: Path, encoder: str) -> None:
    from kaimen.gallery.gallery import Gallery
    from kaimen.registry.vault import Vault
    from kaimen.voice import ENCODERS
    from kaimen.voice.encoder import Encoder
    from kaimen.voice.models import Models

    found = {"Python, numpy, Kaimen": _memory()}
    models = Models.shipped(Encoder(ENCODERS[encoder]))
    models.encoder.embed(0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32))
    found["encoder and checks"] = _memory()
    vault = Vault.load(folder / "key")
    gallery = Gallery.open(folder / "gallery.sqlite", vault, ENCODER, DIMENSION)
    found["index opened"] = _memory()
    probes = np.load(folder / "probes.npy").astype(np.float32)
    gallery.nearest(probes[0])
    found["students taken over, one search"] = _memory()
    status = Path("/proc/self/status").read_text().splitlines()
    most = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    found["most until then"] = [0.0, int(most) * 1024 / 1e6]
    scores = [[(each.student, each.score) for each in gallery.nearest(probe)] for probe in probes]
    print(encoder, json.dumps({name: [round(each) for each in two] for name, two in found.items()}))
    (folder / f"scores-{encoder}.json").write_text(json.dumps(scores))


def _memory() -> list[float]:
    """Return Pss and Rss in megabytes."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split()[0]: int(line.split()[1]) for line in lines}
    return [kilobytes[name] * 1024 / 1e6 for name in ("Pss:", "Rss:")]


if __name__ == "__main__":
    sys.exit(main())
