"""A Pi on which all is well."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from kaimen.doctor import encoder
from kaimen.sound import played
from tests.doctor.pi import Pi
from tests.door.chips import BCM2711, Machine


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pi]:
    """A Pi with a gate; nobody is enrolled. Its path is short: a socket's must be."""
    # How busy the machine is that tests is nothing of the gate's.
    monkeypatch.setattr(encoder, "median", lambda work: (work(), 0.01)[1])
    hurried = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)
    monkeypatch.setattr(played, "time", hurried)  # a recording need not be waited for
    with tempfile.TemporaryDirectory(prefix="kaimen-") as folder:
        made = Pi(Path(folder))
        Machine.installed(monkeypatch, {0: BCM2711}, made.root / "dev")
        yield made
