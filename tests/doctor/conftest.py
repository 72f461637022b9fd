"""A Pi on which all is well."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from kaimen.doctor import encoder
from kaimen.sound import played
from tests.doctor.pi import Pi


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pi]:
    """A Pi with a gate; nobody is enrolled. Its path is short: a socket's must be."""
    lgpio = ModuleType("lgpio")
    lgpio.__spec__ = ModuleSpec("lgpio", None)
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    # How busy the machine is that tests is nothing of the gate's.
    monkeypatch.setattr(encoder, "median", lambda work: (work(), 0.01)[1])
    hurried = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)
    monkeypatch.setattr(played, "time", hurried)  # a recording need not be waited for
    with tempfile.TemporaryDirectory(prefix="kaimen-") as folder:
        yield Pi(Path(folder))
