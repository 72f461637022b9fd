from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.plug import Plug, built


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("plug"))


@pytest.fixture(params=["some", pytest.param("every", marks=pytest.mark.slow)])
def plug(library: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Plug:
    """A plug of a disk that is the folder ``disk``."""
    folder = (tmp_path / "disk").resolve()
    folder.mkdir()
    return Plug(library, folder, every=request.param == "every")
