"""What ``import kaimen`` gives, and what it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import kaimen

NAMES = {
    "AccessPolicy", "Calibration", "Decision", "DeviceError", "Encoder", "EncoderError", "Gallery",
    "GalleryError", "Gate", "KaimenError", "Microphone", "NoSpeech", "Recording",
    "RecordingError", "Registry", "Relay", "Settings", "Student", "Vault", "Verdict",
    "Voiceprint", "calibrate", "main_phrase", "mock_pins", "read",
}  # fmt: skip
HEAVY = ("gpiozero", "sounddevice", "soundfile", "tensorflow", "tflite_runtime", "numpy", "rich")
HELP = {"kaimen.cli.commands", "kaimen.cli.main"}


def python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", program], capture_output=True, text=True, check=True
    )


def test_the_public_names_are_these() -> None:
    assert set(kaimen.__all__) == NAMES
    assert set(dir(kaimen)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_is_what_its_room_calls_so(name: str) -> None:
    value = getattr(kaimen, name)
    if name != "Voiceprint":  # a name for a kind of array
        assert (value.__name__, value.__module__.split(".")[0]) == (name, "kaimen")


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(kaimen.__file__).read_text(encoding="utf-8"))
    seen = next(node for node in tree.body if isinstance(node, ast.If))
    places = {
        alias.asname: node.module.removeprefix("kaimen.")
        for node in seen.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert places == kaimen._PLACES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Portcullis'"):
        kaimen.Portcullis  # noqa: B018


def test_importing_kaimen_loads_nothing_heavy() -> None:
    found = python("import sys, kaimen; print(*sys.modules)").stdout.split()
    assert [name for name in HEAVY if name in found] == []
    assert [name for name in found if name.startswith("kaimen.")] == []


def test_help_loads_no_library_and_no_command() -> None:
    program = """
import sys
from kaimen.cli.main import main
try:
    main(["--help"])
except SystemExit:
    print(*sys.modules)
"""
    found = python(program).stdout.splitlines()[-1].split()
    assert [name for name in HEAVY if name in found] == []
    assert {name for name in found if name.startswith("kaimen.cli.")} <= HELP


def test_an_error_is_caught_without_loading_more_than_errors() -> None:
    program = "import sys, kaimen; kaimen.KaimenError; print(*sys.modules)"
    assert [name for name in HEAVY if name in python(program).stdout.split()] == []


def test_type_checkers_are_told_that_kaimen_is_typed() -> None:
    assert (files("kaimen") / "py.typed").is_file()
