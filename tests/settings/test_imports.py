"""Settings are read on any machine, without its hardware."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"gpiozero", "numpy", "sounddevice", "soundfile", "rich", "hnswlib", "tflite_runtime"}


def test_settings_import_nothing_but_errors_names_parsing_and_the_standard_library() -> None:
    code = "import sys, kaimen.settings; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(told.stdout.decode().split())
    rooms = {each.split(".")[1] for each in loaded if each.startswith("kaimen.")}
    assert rooms == {"errors", "names", "parsing", "settings"}
    assert not HEAVY & loaded
