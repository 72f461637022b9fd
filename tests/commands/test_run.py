"""`kaimen run`: a whole daemon, its door in a process of its own, at sounds that stand in for a
microphone's."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from kaimen.access import growing
from kaimen.cli.main import main
from kaimen.door.client import Door
from kaimen.errors import StorageError
from kaimen.gate.watcher import Watcher
from kaimen.rehearsal import RECORDINGS
from kaimen.settings.door import PIN
from kaimen.sound import SAMPLE_RATE, Samples, microphone
from kaimen.sound.bandwidth import limited
from kaimen.sound.recording import read
from tests.door.bench import opened
from tests.portaudio import FakePortAudio, device
from tests.sounds import in_a_room, silence

pytestmark = pytest.mark.usefixtures("own_signals")

RATE = 48_000

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    """A gate with two students."""
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[sound]\nmicrophone = "usb"\n[gallery]\npath = "{tmp_path}/gallery.sqlite"\n'
        f'key = "{tmp_path}/key"\n'
        "[door]\nmock = true\nlease = 60.0\n"
        # A machine's takes are as alike as recordings.
        "[checks]\nreplay = false\nloudspeaker = false\n",
        encoding="utf-8",
    )
    for voice in ("anning", "bowen"):
        takes = sorted((RECORDINGS / voice).glob("phrase-[1-5].mp3"))
        arguments = ["enroll", "--student", voice, *map(str, takes), "--config", str(path)]
        assert main(arguments) == 0
    capsys.readouterr()
    return path


@pytest.fixture
def levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """What the relay's pin did, as the door's process wrote it down."""
    file = tmp_path / "trace"

    monkeypatch.setattr(Door, "open", opened)
    monkeypatch.setattr(Door, "start", partial(Door.start, trace=file))

    def found() -> list[int]:
        changes = [line.split() for line in file.read_text().splitlines()]
        return [int(level) for _, pin, level in changes if int(pin) == PIN]

    return found


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A stranger, then a student, recorded."""
    path = tmp_path / "day.wav"
    soundfile.write(path, at_the_gate("ruifeng", "bowen"), SAMPLE_RATE)
    return path


def at_the_gate(*voices: str) -> Samples:
    """The voices one after the other, in a room."""
    spoken = [read(RECORDINGS / voice / "phrase-6.mp3") for voice in voices]
    pauses = [part for sound in spoken for part in (sound, silence(0.6))]
    return in_a_room(silence(0.5), *pauses)


def answers(capsys: pytest.CaptureFixture) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if "verdict" in line]


def run(config: Path, *arguments: str) -> int:
    return main(["run", "--config", str(config), "--json", *arguments])


def test_a_student_opens_a_stranger_does_not_and_the_relay_is_off_at_the_end(
    config: Path, day: Path, levels: Callable[[], list[int]], capsys: pytest.CaptureFixture
) -> None:
    assert run(config, "--play", str(day)) == 0
    assert [each["verdict"] for each in answers(capsys)] == ["unknown", "open"]
    assert levels() == [1, 0]


@pytest.mark.parametrize("options", [["--json"], []], ids=["program", "person"])
def test_an_opening_is_in_the_log_whatever_happens_to_the_output(
    options: list[str],
    config: Path,
    day: Path,
    levels: Callable[[], list[int]],
    capsys: pytest.CaptureFixture,
) -> None:
    arguments = ["-m", "kaimen.cli.main", "run", "--config", str(config), "--play", str(day)]
    for ends in (">/dev/full 2>&1", ">&- 2>&-", "2>&1 | true"):
        command = ["bash", "-c", f'set -o pipefail; "$@" {ends}', "bash", sys.executable]
        assert subprocess.run([*command, *arguments, *options], check=False).returncode == 0
    assert main(["audit", "export", "--config", str(config)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["verdict"] for line in lines if "verdict" in line] == ["unknown", "open"] * 3


def test_a_watcher_is_told_what_the_gate_hears_decides_and_what_the_door_does(
    config: Path, day: Path, levels: Callable[[], list[int]], tmp_path: Path
) -> None:
    feed, told = tmp_path / "run" / "feed", []
    config.write_text(config.read_text() + f'[console]\nfeed = "{feed}"\n')

    def watch() -> None:
        while not feed.exists():
            time.sleep(0.02)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
            talk.connect(str(feed))
            told.extend(json.loads(line) for line in talk.makefile())

    watching = threading.Thread(target=watch)
    watching.start()
    assert run(config, "--play", str(day)) == 0
    watching.join()
    decisions = [each for each in told if each["kind"] == "decision"]
    assert [each["cause"] for each in decisions] == ["far", "open"]
    assert decisions[0]["nearest"][0]["student"] is None  # who was turned away is not named
    assert decisions[1]["student"] == "bowen" and decisions[1]["quality"]["seconds"] > 0.3
    assert any(each["speaking"] for each in told if each["kind"] == "level")
    assert [each["microphone"] for each in told if each["kind"] == "gate"][-1]
    doors = [(each["state"], each["relay"]) for each in told if each["kind"] == "door"]
    assert doors[0] == ("shut", False) and doors[-1] == ("unlocked", True)
    assert not feed.exists()


def test_a_microphone_that_is_narrower_than_the_school_is_told_of_once(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "narrow.wav"
    soundfile.write(path, limited(at_the_gate(*["ruifeng"] * 5), 4_000), SAMPLE_RATE)
    assert run(config, "--play", str(path)) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (told,) = [line["note"] for line in lines if "4 kHz" in line.get("note", "")]
    assert "use another microphone" in told
    assert main(["audit", "export", "--json", "--config", str(config)]) == 0
    assert told in capsys.readouterr().out


def test_what_was_decided_is_in_the_log(
    config: Path, day: Path, levels: Callable[[], list[int]], capsys: pytest.CaptureFixture
) -> None:
    assert run(config, "--play", str(day)) == 0
    capsys.readouterr()
    assert main(["audit", "verify", "--config", str(config)]) == 0
    capsys.readouterr()
    assert main(["audit", "export", "--json", "--config", str(config)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["verdict"] for line in lines if "verdict" in line] == ["unknown", "open"]
    assert "opened by voice" in [line.get("event") for line in lines]
    assert "bowen" not in json.dumps(lines)


def test_a_full_disk_keeps_nobody_outside(
    config: Path,
    day: Path,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise StorageError("no space left; make room")

    monkeypatch.setattr("kaimen.audit.Audit.write", full)
    assert run(config, "--play", str(day)) == 0
    said = capsys.readouterr()
    assert said.out.count("goes on without its log") == 1
    assert levels() == [1, 0]


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio(device(0, "USB Microphone", RATE))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(microphone, "PATIENCE", 0.3)
    monkeypatch.setattr("kaimen.gate.daemon.RETRY", 0.01)
    return fake


def looks(fake: FakePortAudio, monkeypatch: pytest.MonkeyPatch, *then: Callable[[], Any]) -> None:
    """What happens when a microphone is looked for the second time, the third, and so on."""
    waiting = [lambda: None, *then]
    monkeypatch.setattr(fake, "_initialize", lambda: waiting.pop(0)())


def stop() -> None:
    signal.raise_signal(signal.SIGTERM)


def test_a_pulled_microphone_is_waited_for_and_heard_again(
    config: Path,
    portaudio: FakePortAudio,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    heard = {
        name: soxr.resample(at_the_gate(name), SAMPLE_RATE, RATE) for name in ("ruifeng", "bowen")
    }
    portaudio.sound = heard["ruifeng"].astype(np.float32)
    there = portaudio.devices

    def pulled() -> None:
        portaudio.devices = ()

    def plugged_in() -> None:
        portaudio.devices = there
        portaudio.sound = heard["bowen"].astype(np.float32)

    looks(portaudio, monkeypatch, pulled, plugged_in, stop)
    assert run(config) == 0
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [each["verdict"] for each in found if "verdict" in each] == ["unknown", "open"]
    assert "fault microphone on" in [each.get("door") for each in found]
    assert said.out.count("the gate waits for it") == 2
    assert levels() == [1, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_gate_with_the_relay_off(
    number: signal.Signals,
    config: Path,
    day: Path,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    # The signal comes when the door has just been opened.
    def line(answer: Any, **_: object) -> str:
        if answer.decision.opens:
            signal.raise_signal(number)
        return ""

    monkeypatch.setattr("kaimen.service.answers.as_line", line)
    assert run(config, "--play", str(day)) == 0
    assert "the relay is off" in capsys.readouterr().out
    assert levels() == [1, 0]


def test_reading_settings_again_cuts_no_lease(
    config: Path,
    day: Path,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    signals = iter([signal.SIGHUP, signal.SIGTERM])

    def line(answer: Any, **_: object) -> str:
        if answer.decision.opens:
            signal.raise_signal(next(signals))
        return ""

    monkeypatch.setattr("kaimen.service.answers.as_line", line)
    assert run(config, "--play", str(day)) == 0
    assert levels() == [1, 0]  # from the first opening to the end
    assert next(signals, None) is None


def test_neither_sighup_nor_a_restart_ends_a_lockout(
    config: Path,
    tmp_path: Path,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    with config.open("a") as file:
        file.write("[gate]\nfree_tries = 0\nretry = false\n")
    path = tmp_path / "stranger.wav"
    soundfile.write(path, at_the_gate("ruifeng"), SAMPLE_RATE)
    signals = iter([signal.SIGHUP, signal.SIGTERM, signal.SIGTERM])
    verdicts = []

    def line(answer: Any, **_: object) -> str:
        verdicts.append(answer.decision.verdict.value)
        signal.raise_signal(next(signals))
        return ""

    monkeypatch.setattr("kaimen.service.answers.as_line", line)
    assert run(config, "--play", str(path)) == 0  # and again from its beginning
    assert run(config, "--play", str(path)) == 0
    assert verdicts == ["unknown", "refused", "refused"]


def test_settings_are_read_again_on_sighup_and_bad_ones_are_left(
    config: Path,
    portaudio: FakePortAudio,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    good = config.read_text()

    def changed(text: str) -> Callable[[], None]:
        def change() -> None:
            config.write_text(text)
            signal.raise_signal(signal.SIGHUP)

        return change

    other = good.replace('"usb"', '"usb microphone"')
    looks(portaudio, monkeypatch, changed("[door]\npin = 99\n"), changed(other), stop)
    portaudio.sound = np.zeros(RATE, np.float32)
    assert run(config) == 0
    said = capsys.readouterr().out
    assert "the old settings stay" in said and "BCM" in said
    assert said.count("listening to USB Microphone") == 3


def test_a_key_that_was_pulled_out_leaves_the_gate_at_work_when_settings_are_read_again(
    config: Path,
    portaudio: FakePortAudio,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    key = config.parent / "key"

    def pulled() -> None:
        key.rename(key.with_name("stick"))
        signal.raise_signal(signal.SIGHUP)

    def back() -> None:
        key.with_name("stick").rename(key)
        signal.raise_signal(signal.SIGHUP)

    looks(portaudio, monkeypatch, pulled, back, stop)
    portaudio.sound = np.zeros(RATE, np.float32)
    assert run(config) == 0
    said = capsys.readouterr().out
    assert said.count("the key is not there") == said.count("the old settings stay") == 1
    assert said.count("listening to USB Microphone") == 3


def test_a_gate_without_students_waits_for_them_with_its_door_shut(
    config: Path,
    day: Path,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    calibration = config.parent / "gallery.calibration.json"
    kept = calibration.read_bytes()
    calibration.unlink()
    looks = []

    def calibrated(seconds: float) -> None:
        assert not (config.parent / "trace").exists()
        looks.append(seconds)
        if len(looks) == 3:
            calibration.write_bytes(kept)

    monkeypatch.setattr("kaimen.service.opening.sleep", calibrated)
    assert run(config, "--play", str(day), "--wait") == 0
    said = capsys.readouterr()
    assert said.out.count("never calibrated") == 1
    assert levels() == [1, 0]


def forbidden_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The key may not be read for a while; returns what allows it."""
    real, forbidden = Path.read_bytes, [True]

    def read_bytes(path: Path) -> bytes:
        if forbidden[0] and path == folder / "key":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    return lambda: forbidden.__setitem__(0, False)


@pytest.mark.parametrize("cause", [forbidden_key])
def test_a_gate_that_could_not_begin_begins_when_the_cause_is_gone(
    cause: Callable[[Path, pytest.MonkeyPatch], Callable[[], None]],
    config: Path,
    day: Path,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    end = cause(config.parent, monkeypatch)
    slept: list[float] = []
    told: list[str] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert not (config.parent / "trace").exists()
        if len(slept) == 3:
            end()
            assert all("READY" not in each or "stays shut" in each for each in told)

    monkeypatch.setattr("kaimen.service.opening.sleep", sleep)
    monkeypatch.setattr("kaimen.systemd.notify", lambda *lines: told.append(" ".join(lines)))
    assert run(config, "--play", str(day), "--wait") == 0
    assert len(slept) == 3 and max(slept) <= 10  # one more try, and it is there within 15 s
    said = capsys.readouterr()
    assert said.out.count("the door stays shut until then") == 1
    assert levels() == [1, 0]
    assert any("STATUS=listening" in each for each in told[3:])


def test_bad_settings_are_not_waited_for(config: Path, capsys: pytest.CaptureFixture) -> None:
    config.write_text("[door]\npin = 99\n")
    assert run(config, "--wait") == 2


def test_a_reader_that_is_not_there_is_said_and_voices_open(
    config: Path,
    day: Path,
    levels: Callable[[], list[int]],
    capsys: pytest.CaptureFixture,
) -> None:
    assert run(config, "--play", str(day), "--reader", "/nonexistent") == 0
    said = capsys.readouterr()
    assert said.out.count("/nonexistent: the card reader cannot be read") == 1
    assert "Traceback" not in said.err
    assert levels() == [1, 0]


def test_what_a_student_says_with_a_claim_is_taken_in_and_in_the_log(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    # A machine's takes pass neither of the other checks; two students leave a high threshold.
    monkeypatch.setattr(growing, "CHECKED", frozenset(["phrase"]))
    monkeypatch.setattr(growing, "FAR", -1.0)
    day, reader = tmp_path / "day.wav", tmp_path / "reader"
    soundfile.write(day, at_the_gate("bowen", "anning"), SAMPLE_RATE)
    os.mkfifo(reader)
    writer = threading.Thread(target=reader.write_text, args=["bowen\n"], daemon=True)
    writer.start()
    grow = "[gate]\ngrow = true\n"
    for settings in (grow.replace("true", "false"), grow):
        told = config.read_text(encoding="utf-8").partition("[gate]")[0] + settings
        config.write_text(told, encoding="utf-8")
        assert run(config, "--play", str(day), "--reader", str(reader)) == 0
        assert [each["verdict"] for each in answers(capsys)] == ["open", "open"]
        assert main(["students", "--grown", "--json", "--config", str(config)]) == 0
        grown = [json.loads(line)["student"] for line in capsys.readouterr().out.splitlines()]
        assert grown == (["bowen"] if settings == grow else [])
        writer = threading.Thread(target=reader.write_text, args=["bowen\n"], daemon=True)
        writer.start()
    assert main(["log", "--student", "bowen", "--config", str(config)]) == 0
    assert "a voiceprint of bowen was taken in" in capsys.readouterr().out


def test_a_dead_watcher_shuts_the_door_is_logged_and_starves_the_watchdog(
    config: Path,
    day: Path,
    levels: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    look, told = Watcher.look, []

    def failing(watcher: Watcher) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("odd")
        look(watcher)

    monkeypatch.setattr(Watcher, "look", failing)
    monkeypatch.setattr("kaimen.gate.watcher.EVERY", 0.01)
    monkeypatch.setattr("kaimen.systemd.notify", lambda *lines: told.append(lines))
    assert run(config, "--play", str(day)) == 0
    found = answers(capsys)
    assert {each["verdict"] for each in found} == {"refused"}
    assert "the watcher ended" in found[0]["reason"]
    assert 1 not in levels()
    assert ("STATUS=the door stays shut: the watcher ended",) in told
    assert main(["audit", "export", "--json", "--config", str(config)]) == 0
    assert "the watcher ended (ValueError: odd)" in capsys.readouterr().out


def test_a_pipe_is_no_recording_to_play(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert run(config, "--play", str(tmp_path / "pipe")) == 3
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "error" in each]
    assert "pipe" in json.loads(line)["path"] and "not a file" in json.loads(line)["error"]


def test_a_gate_that_waits_ends_when_it_is_asked_to(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (config.parent / "gallery.sqlite").unlink()
    monkeypatch.setattr("kaimen.service.opening.sleep", lambda seconds: stop())
    assert run(config, "--wait") == 0
