"""`kaimen run` at a microphone that stands in for a real one."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr
from gpiozero.pins.mock import MockFactory

from edge.cli import main
from edge.commands import common
from edge.commands.demo import RECORDINGS
from edge.door.pins import mock_pins, trace
from edge.door.relay import PIN
from edge.sound import SAMPLE_RATE, Samples, microphone
from edge.sound.recording import read
from tests.portaudio import FakePortAudio, device
from tests.sounds import in_a_room, silence

RATE = 48_000


@pytest.fixture
def config(tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    """A gate with two students."""
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[sound]\nmicrophone = "usb"\n[gallery]\npath = "{tmp_path}/gallery.sqlite"\n'
        f'key = "{tmp_path}/key"\n'
        "[door]\nmock = true\nlease = 60.0\n",
        encoding="utf-8",
    )
    for voice in ("anning", "bowen"):
        takes = sorted((RECORDINGS / voice).glob("phrase-[1-5].mp3"))
        arguments = ["enroll", "--student", voice, *map(str, takes), "--config", str(path)]
        assert main(arguments) == 0
    capsys.readouterr()
    return path


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> MockFactory:
    """The pins that the command uses."""
    factory = mock_pins()
    monkeypatch.setattr(common, "mock_pins", lambda: factory)
    return factory


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio(device(0, "USB Microphone", RATE))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(microphone, "PATIENCE", 0.3)
    return fake


def at_the_microphone(*voices: str) -> Samples:
    """The voices one after the other, in a room, at the microphone's rate."""
    spoken = [read(RECORDINGS / voice / "phrase-6.mp3") for voice in voices]
    pauses = [part for sound in spoken for part in (sound, silence(0.6))]
    heard = in_a_room(silence(0.5), *pauses)
    return soxr.resample(heard, SAMPLE_RATE, RATE).astype(np.float32)


def verdicts(output: str) -> list[str | None]:
    return [json.loads(line).get("verdict") for line in output.splitlines()]


def test_a_student_opens_a_stranger_does_not_and_a_pulled_microphone_leaves_the_relay_off(
    config: Path, pins: MockFactory, portaudio: FakePortAudio, capsys: pytest.CaptureFixture
) -> None:
    portaudio.sound = at_the_microphone("ruifeng", "bowen")
    assert main(["run", "--config", str(config), "--json"]) == 5
    said = capsys.readouterr().out
    assert verdicts(said) == ["unknown", "open", None]
    assert json.loads(said.splitlines()[-1])["kind"] == "MicrophoneLost"
    assert [change.on for change in trace(pins, PIN)] == [False, True, False]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_gate_with_the_relay_off(
    number: signal.Signals,
    config: Path,
    pins: MockFactory,
    portaudio: FakePortAudio,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    portaudio.sound = at_the_microphone("anning")
    # The signal comes when the door has just been opened.
    monkeypatch.setattr(
        "edge.commands.answers.as_line", lambda answer: signal.raise_signal(number) or ""
    )
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["run", "--config", str(config), "--json"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [change.on for change in trace(pins, PIN)] == [False, True, False]
