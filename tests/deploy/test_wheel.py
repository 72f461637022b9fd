"""The wheel: two packages, and everything that they read beside their modules."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("setuptools")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCES = {"kaimen": ROOT / "edge" / "kaimen", "kaimen_train": ROOT / "training" / "kaimen_train"}
BUILD = "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))"
DATA = (
    "kaimen/py.typed",
    "kaimen/chinese/*.toml",
    "kaimen/doctor/*.toml",
    "kaimen/models/*",
    "kaimen/models/small/*",
    "kaimen/rehearsal/promise.json",
    "kaimen/rehearsal/recordings/*",
    "kaimen/rehearsal/voices/*",
    "kaimen/console/chinese/*.toml",
    "kaimen/console/static/*",
    "*.html",
    "kaimen_train/weights/*",
    "kaimen_train/peers/*.txt",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    """A wheel built of a copy, since setuptools packs what an earlier build left behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder)
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("edge", "training"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    command = [sys.executable, "-c", BUILD, str(folder / "dist")]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    (path,) = (folder / "dist").glob("*.whl")
    with ZipFile(path) as opened:
        yield opened


def test_two_packages_are_installed_and_nothing_else(wheel: ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == SOURCES.keys()


def test_every_module_is_in_the_wheel(wheel: ZipFile) -> None:
    written = {
        f"{package}/{path.relative_to(source).as_posix()}"
        for package, source in SOURCES.items()
        for path in source.rglob("*.py")
    }
    assert written == {name for name in wheel.namelist() if name.endswith(".py")}


@pytest.mark.parametrize("pattern", DATA)
def test_every_file_that_a_program_reads_is_in_the_wheel(wheel: ZipFile, pattern: str) -> None:
    there = {
        name
        for package, source in SOURCES.items()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if fnmatch(name := f"{package}/{path.relative_to(source).as_posix()}", pattern)
    }
    assert there
    assert there - set(wheel.namelist()) == set()
