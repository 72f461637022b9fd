"""The emulated Pi: what is played to it, how its pin is watched, and a short run of it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import soundfile

FOLDER = Path(__file__).parents[2] / "deploy" / "emulated-pi"
BUILT = Path(__file__).parents[2] / "build" / "emulated-pi"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class FakePi:
    """A pin that does what a list says, one reading after another."""

    def __init__(self, *levels: bool) -> None:
        self._levels = list(levels)

    def pin(self, number: int) -> bool:
        return self._levels.pop(0) if len(self._levels) > 1 else self._levels[0]


def test_a_pulse_lasts_from_the_first_reading_that_found_it_on() -> None:
    pi = load("pi")
    began = time.monotonic()
    with pi.Watch(FakePi(False, True, True, False, True), 17) as watch:
        # The second begins a moment after the first: who waits may miss that the pin was off.
        while len(watch.since(began)) < 2 and time.monotonic() < began + 60:
            time.sleep(0.01)
        first, second = watch.since(began)
        assert first.ended is not None and second.ended is None
        assert watch.is_on and watch.since(second.began) == [second]


def test_a_pin_that_cannot_be_read_is_an_error_for_whoever_waits() -> None:
    pi = load("pi")

    class Broken:
        def pin(self, number: int) -> bool:
            raise pi.PiError("gone")

    with pytest.raises(pi.PiError, match="gone"), pi.Watch(Broken(), 17) as watch:
        watch.wait_until(True, 10)


def test_the_card_has_ten_sounds_of_each_kind_and_none_that_enrolls(tmp_path: Path) -> None:
    phrases = load("phrases")
    phrases.main(tmp_path, phrases.RECORDINGS)
    for kind in ("student", "stranger", "noise", "other"):
        sounds = sorted((tmp_path / kind).glob("*.wav"))
        assert len(sounds) == 10
        assert all(soundfile.info(sound).samplerate == 16_000 for sound in sounds)
    enrolled = list((tmp_path / "enrolled").glob("*/*.mp3"))
    assert enrolled and not any(file.stem.endswith("-6") for file in enrolled)


@pytest.mark.slow
@pytest.mark.skipif(not (BUILT / "card.img").exists(), reason="needs 'make emulated-pi' (root)")
def test_its_door_opens_for_a_student_only_and_shuts_when_killed() -> None:
    short = [str(FOLDER / "check.py"), "--phrases", "1", "--kills", "2"]
    subprocess.run([sys.executable, *short], check=True)
