"""`kaimen door` becomes the small process that owns the pins."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kaimen.cli import door
from kaimen.door.client import Door
from kaimen.errors import SettingsError
from kaimen.screen import Screen
from tests.door.bench import opened, wait_until_it_listens

# As the command line does it, in a process of its own: the command replaces its process.
CALLED = """
import argparse, pathlib
from kaimen.cli import door
from kaimen.screen import Screen
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=pathlib.Path)
door.add(parser)
door.run(parser.parse_args(), Screen(as_json=False))
"""
ENOUGH = 60.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text("[door]\npin = 4\nlease = 60\nmock = true\n", encoding="utf-8")
    return path


def parsed(*arguments: str, config: Path | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    door.add(parser)
    return argparse.Namespace(**vars(parser.parse_args(arguments)), config=config)


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line that the process was replaced by."""
    seen: list[str] = []
    monkeypatch.setattr(os, "execv", lambda path, command: seen.extend(command))
    return seen


def test_it_becomes_a_process_that_never_loaded_an_encoder(
    config: Path, tmp_path: Path, became: list[str], capsys: pytest.CaptureFixture
) -> None:
    door.run(parsed("--socket", str(tmp_path / "s"), config=config), Screen(as_json=False))
    assert became[:3] == [sys.executable, "-m", "kaimen.door.process"]
    assert json.loads(became[3])["pin"] == 4
    assert became[4:] == ["--socket", str(tmp_path / "s")]
    assert "pins are simulated" in capsys.readouterr().err


def test_the_socket_may_be_in_the_settings(config: Path, became: list[str]) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write('socket = "/run/kaimen-door/socket"\n')
    door.run(parsed(config=config), Screen(as_json=True))
    assert became[4:] == ["--socket", "/run/kaimen-door/socket"]


def test_without_a_socket_it_asks_for_one(config: Path, became: list[str]) -> None:
    with pytest.raises(SettingsError, match="give --socket"):
        door.run(parsed(config=config), Screen(as_json=True))
    assert not became


def test_it_serves_until_it_is_told_to_stop(config: Path, tmp_path: Path) -> None:
    socket = tmp_path / "door"
    command = [sys.executable, "-c", CALLED, "--config", str(config), "--socket", str(socket)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_until_it_listens(process, socket)
        with Door.connect(socket) as voice:
            opened(voice)
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=ENOUGH)
        assert process.returncode == 0
        assert b"opened by voice" in told


def test_rest_ends_at_once(config: Path) -> None:
    command = [sys.executable, "-c", CALLED, "--config", str(config), "--rest"]
    done = subprocess.run(command, capture_output=True, timeout=ENOUGH, check=False)
    assert done.returncode == 0
    assert b"pins are simulated" in done.stderr
