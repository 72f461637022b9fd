"""A synthetic school on a disk: how long it takes to keep, to open, to change, to calibrate."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.bench.search import name_of
from kaimen.bench.timing import once, percentiles
from kaimen.calibration.learning import calibrate
from kaimen.door.pins import mock_pins
from kaimen.door.relay import Relay
from kaimen.errors import GalleryError
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.index import Index, index_path
from kaimen.gate.gate import Gate
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.screen import Screen
from kaimen.settings.door import PIN
from kaimen.sound.recording import Recording, read
from kaimen.voice.encoder import Encoder
from kaimen.voice.score import Points

PIECES = 100  # that an index is built in, to show how far it is
LEASE = 0.05  # seconds: nobody walks through


@dataclass(frozen=True)
class School:
    """A school that was enrolled, its files, and how long that took."""

    gallery: Gallery
    path: Path  # of the registry
    key: Path
    taken: dict[str, Any]


def enroll(points: Points, folder: Path, encoder: Encoder, screen: Screen) -> School:
    """Enroll students' points (students, recordings, dimension), one by one as at a school."""
    path, key = folder / "gallery.sqlite", folder / "gallery.key"
    vault = Vault()
    vault.save(key)
    registry = Registry(path, vault)
    dimension = points.shape[2]
    entering = Gallery(encoder.identity, dimension, registry=registry)

    began = time.perf_counter()
    every = screen.progress(points, "enrolling synthetic students", len(points))
    for place, own in enumerate(every):
        entering.enroll(name_of(place), list(own))
    enrolling = time.perf_counter() - began
    # Numbers rise in the order of enrolment, so these are the points' own.
    numbers, _ = registry.recordings.numbers(encoder.identity)
    rotation = registry.recordings.rotation(encoder.identity, dimension)
    flat = rotation.apply(points.reshape(-1, dimension))
    index = Index(dimension)
    piece = -(-len(flat) // PIECES)
    starts = range(0, len(flat), piece)
    began = time.perf_counter()
    for start in screen.progress(starts, "building the index", len(starts)):
        index.add(numbers[start : start + piece], flat[start : start + piece])
    building = time.perf_counter() - began
    gallery = Gallery(encoder.identity, dimension, registry=registry, index=index)
    gallery.refresh()
    saving = once(gallery.save)
    taken = {
        "enroll_seconds": enrolling,
        "index_seconds": building,
        "save_seconds": saving,  # the breadth of search is chosen then, too
        "breadth": index.breadth,
        "registry_megabytes": path.stat().st_size / 1e6,
        "index_megabytes": index_path(path).stat().st_size / 1e6,
    }
    return School(gallery, path, key, taken)


def opened(school: School, encoder: Path | str, runtime: str) -> dict[str, Any]:
    """Return what opening it costs a process of its own. Raises GalleryError if that fails."""
    asked = [sys.executable, "-m", "kaimen.bench.opened", school.path, school.key, encoder, runtime]
    began = time.perf_counter()
    done = subprocess.run([str(each) for each in asked], capture_output=True, text=True)
    starting = time.perf_counter() - began
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise GalleryError(f"the school cannot be opened again ({last}); run 'kaimen doctor'")
    return {**json.loads(done.stdout), "process_seconds": starting}


def swapped(school: School, newcomer: Points, probe: Points) -> dict[str, Any]:
    """Take over a student enrolled elsewhere, and the longest search meanwhile."""
    gallery = school.gallery
    gallery.refresh()
    elsewhere = Registry(school.path, Vault.load(school.key))
    elsewhere.enroll("newcomer", newcomer, gallery.encoder)
    elsewhere.close()
    with ThreadPoolExecutor(1) as other:
        refreshing = other.submit(once, gallery.refresh)
        searches = [once(lambda: gallery.nearest(probe))]
        while not refreshing.done():
            searches.append(once(lambda: gallery.nearest(probe)))
    longest = 1000 * max(searches)
    return {"swap_seconds": refreshing.result(), "longest_search_meanwhile_ms": longest}


def calibrated(school: School, encoder: Encoder, screen: Screen) -> dict[str, Any]:
    """Learn the threshold from all of it."""
    seconds = once(lambda: calibrate(school.gallery, encoder.card, track=screen.progress))
    return {"calibrate_seconds": seconds}


def decided(
    school: School, encoder: Encoder, files: Sequence[Path], screen: Screen
) -> dict[str, Any]:
    """Return what it takes from the end of speech to the relay, switched for everybody."""
    taken: list[float] = []
    sounds = [read(file) for file in files]
    with Relay(PIN, pins=mock_pins(), lease=LEASE) as relay:
        gate = Gate(encoder, AccessPolicy(school.gallery, Thresholds(-1.0, -1.0)), relay)
        for sound in screen.progress(sounds, "at the gate", len(sounds)):
            taken += [answer.computed for answer in gate.listen(Recording(sound))]
    times = percentiles(taken)
    return {f"decision_{name}": value for name, value in times.items()} | {"phrases": len(taken)}
