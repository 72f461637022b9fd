"""Questions where a device cannot be tried: it is said, and the answers stand."""

from __future__ import annotations

import io
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from kaimen.door.panel import Input
from kaimen.errors import DeviceError, MicrophoneLost
from kaimen.settings import DoorSettings, Settings
from kaimen.setup.dialogue import Dialogue
from kaimen.setup.interview import Interview
from kaimen.setup.trials import Trials
from kaimen.sound import Samples
from kaimen.sound.loudness import Loudness
from tests.portaudio import FakePortAudio, device
from tests.sounds import tone


class Bare(Trials):
    """A machine on which nothing can be tried."""

    names: tuple[str, ...] = ()

    def microphones(self) -> list[str]:
        if not self.names:
            raise DeviceError("PortAudio is not installed")
        return list(self.names)

    def listen(self, name: str, show: Callable[[Samples], object]) -> Loudness:
        raise MicrophoneLost("it is busy")

    def lease(self, door: DoorSettings) -> None:
        raise DeviceError("the pin is busy")

    def input(self, pin: int, name: str) -> Input:
        raise DeviceError("that pin is busy, too")


def asked(answers: str, trials: Trials) -> tuple[Settings, str]:
    """What came of the answers, a line each, and what was said."""
    shown = io.StringIO()
    dialogue = Dialogue(Console(file=shown, soft_wrap=True), io.StringIO(answers))
    made = Interview(Settings(), {}, dialogue, trials).run()
    return made, shown.getvalue()


def test_where_nothing_can_be_tried_the_answers_are_taken() -> None:
    answers = "studio\n4\nlow\nyes\n2\n22\nhigh\n23\n/dev/none\n"
    made, said = asked(answers, Bare(DoorSettings()))
    assert made.sound.microphone == "studio"
    door = made.door
    assert (door.pin, door.active_high, door.lease, door.contact, door.button) == (
        4, False, 2.0, 22, 23,
    )  # fmt: skip
    assert "PortAudio is not installed" in said and "no microphone is found" in said
    assert "the pin is busy" in said and "frees the pins" in said
    assert said.count("that pin is busy, too") == 2
    assert made.reader.path == "/dev/none" and "/dev/none is not there now" in said


def test_a_microphone_that_is_busy_may_be_kept() -> None:
    trials = Bare(DoorSettings())
    trials.names = ("USB Microphone",)
    made, said = asked("usb\nno\n1\nyes\n17\nhigh\nskip\n3\nnone\nnone\nnone\n", trials)
    assert made.sound.microphone == "USB Microphone"
    assert said.count("it is busy") == 2 and "stop kaimen-gate" in said


def test_the_end_of_the_answers_is_an_interruption() -> None:
    with pytest.raises(KeyboardInterrupt):
        asked("studio\n4\n", Bare(DoorSettings()))


def test_microphones_are_those_that_portaudio_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePortAudio(device(0, "HDMI", inputs=0), device(1, "USB"), device(2, "Webcam"))
    fake.sound = 0.1 * np.sign(tone(1000, 0.5))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr("kaimen.setup.trials.LISTENED", 0.2)
    trials = Trials(DoorSettings())
    assert trials.microphones() == ["USB", "Webcam"]
    shown: list[Any] = []
    assert trials.listen("USB", shown.append).level == pytest.approx(-20, abs=0.1)
    assert len(shown) == 10


def test_enter_is_waited_for_no_longer_than_asked() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, encoding="utf-8") as answers:
        dialogue = Dialogue(Console(file=io.StringIO()), answers)
        assert not dialogue.entered(0.0)
        os.write(ours, b"\n")
        assert dialogue.entered(10.0)
        assert not dialogue.entered(0.0)
    os.close(ours)


def test_a_trial_without_a_change_of_polarity_moves_nothing_at_the_end(tmp_path: Path) -> None:
    with Trials(DoorSettings(mock=True)) as trials:
        trials.give_up()
        assert trials.simulated
