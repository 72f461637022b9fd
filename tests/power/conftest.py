from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.power.plug import Plug, built


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("plug"))


# At every call of every command takes five minutes: with KAIMEN_PLUG=every.
HOW_OFTEN = os.environ.get("KAIMEN_PLUG", "some").split(",")


@pytest.fixture(params=HOW_OFTEN)
def plug(library: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Plug:
    """A plug of a disk that is the folder ``disk``."""
    folder = (tmp_path / "disk").resolve()
    folder.mkdir()
    return Plug(library, folder, every=request.param == "every")
