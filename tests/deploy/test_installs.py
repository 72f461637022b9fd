"""The wheel in an empty environment of each Python: what an operator gets from `pip install`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.installs]

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
UNREACHABLE = ("Failed to fetch", "error sending request", "dns error")


def interpreter(version: str) -> Path | None:
    """Return a Python of this version: of the PATH, of pyenv, or this one."""
    if sys.version.startswith(f"{version}."):
        return Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    # A shim of pyenv is on the PATH without a Python behind it.
    on_path = shutil.which(f"python{version}")
    if on_path and "shims" not in on_path:
        places.append(Path(on_path))
    return places[-1] if places else None


def uv(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uv", "--no-python-downloads", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, since setuptools packs what an earlier build left behind."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder)
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("edge", "training"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    return folder


@pytest.fixture(scope="module", params=PYTHONS)
def environment(
    request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """An empty environment into which the wheel was installed, with what it depends on."""
    pytest.importorskip("uv")
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} here")
    folder = tmp_path_factory.mktemp("environment") / request.param
    made = uv("venv", "--python", python, folder)
    assert made.returncode == 0, made.stderr
    done = uv("pip", "install", "--python", folder / "bin" / "python", source)
    if done.returncode and any(each in done.stderr for each in UNREACHABLE):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    yield folder
    shutil.rmtree(folder)


def run(environment: Path, program: str, *arguments: str) -> str:
    """Run a program of the environment, away from the sources; returns what it printed."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [environment / "bin" / program, *arguments],
        cwd=environment, env=own, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_imported_and_nothing_else_has_a_name_of_ours(environment: Path) -> None:
    program = "import kaimen; print(kaimen.__file__)"
    assert Path(run(environment, "python", "-c", program).strip()).is_relative_to(environment)
    (packages,) = environment.glob("lib/python3*/site-packages")
    names = {path.name for path in packages.iterdir()}
    assert {"kaimen", "kaimen_train"} <= names
    assert not {"edge", "training", "tests", "examples"} & names


def test_it_shows_its_help_and_plays_a_day_at_a_gate(environment: Path) -> None:
    assert "demo" in run(environment, "kaimen", "--help")
    assert run(environment, "kaimen", "demo")
