"""Opens a gallery as the gate does, and says what that took: run as a process of its own."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.door.pins import mock_pins
from kaimen.door.relay import Relay
from kaimen.gate.gate import Gate
from kaimen.installation import Installation
from kaimen.settings import EncoderSettings, GallerySettings, Settings
from kaimen.settings.door import PIN
from kaimen.sound import SAMPLE_RATE

STATUS = Path("/proc/self/status")
MEMORY = {"resident_megabytes": "VmRSS", "peak_megabytes": "VmHWM"}  # as STATUS calls them


def main(path: str, key: str, encoder: str, runtime: str) -> None:
    """Open, answer once, print seconds and memory as an object."""
    settings = Settings(
        encoder=EncoderSettings(path=encoder, runtime=runtime),
        gallery=GallerySettings(path=path, key=key),
    )
    began = time.perf_counter()
    installation = Installation.open(settings)
    loaded = installation.encoder
    read = time.perf_counter()
    gallery = installation.gallery_or_new
    students = len(gallery)
    with Relay(PIN, pins=mock_pins()) as relay:
        Gate(loaded, AccessPolicy(gallery, Thresholds()), relay)
        ready = time.perf_counter()
        sound = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
        gallery.nearest(loaded.embed(0.1 * sound))
    status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    memory = {name: int(status[field].split()[0]) * 1024 / 1e6 for name, field in MEMORY.items()}
    taken = {"load_encoder_seconds": read - began, "load_gallery_seconds": ready - read}
    print(json.dumps({"students": students, **taken, **memory}))


if __name__ == "__main__":
    main(*sys.argv[1:])
