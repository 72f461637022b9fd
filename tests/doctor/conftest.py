"""A Pi on which all is well."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edge.bench import timing
from tests.doctor.pi import Pi

Doctor = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pi]:
    """A Pi with a gate; nobody is enrolled. Its path is short: a socket's must be."""
    lgpio = ModuleType("lgpio")
    lgpio.__spec__ = ModuleSpec("lgpio", None)
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    with tempfile.TemporaryDirectory(prefix="kaimen-") as folder:
        yield Pi(Path(folder))
