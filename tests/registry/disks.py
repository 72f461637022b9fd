"""A disk of one's own, small enough to fill: run by root of a user namespace (``unshare -rm``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import os, subprocess, sys
from pathlib import Path
import numpy as np
from kaimen.errors import DiskFull, GalleryError, KaimenError, StorageError
from kaimen.gallery.gallery import Gallery
from kaimen.registry import database, replay_memory
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.registry.vault import Vault

VAULT = Vault(b"k" * 32)
DISK = Path(sys.argv[1])
database.RETRY = replay_memory.RETRY = 0.0

def mount(*options):
    subprocess.run(["mount", *options, DISK], check=True)

def fill():
    with (DISK / "ballast").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def free():
    (DISK / "ballast").unlink()

def opened(said):
    return Gallery.open(DISK / "gallery.sqlite", VAULT, "encoder", 8, say=said.append)

def memory(said):
    return ReplayMemory(DISK / "gallery.heard.sqlite", VAULT, say=said.append)

POINTS = np.eye(8, dtype=np.float32)
PRINT = np.zeros((12, 117), np.uint8)
mount("-t", "tmpfs", "-o", "size=2m", "tmpfs")
said = []
gallery = opened(said)
for place, name in enumerate(("Li", "Wang", "Zhao")):
    gallery.enroll(name, POINTS[place : place + 1])
gallery.save()
heard = memory(said)
heard.keep("Li", PRINT)
assert not said
"""


def on_a_small_disk(folder: Path, script: str) -> None:
    """Run a script with a disk at ``DISK`` that holds a school and a replay memory of Li's."""
    alone = ["unshare", "-rm"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(
        [*alone, sys.executable, "-W", "error", "-c", BEGIN + script, str(disk)], check=True
    )
