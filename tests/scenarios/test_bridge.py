"""A whole gate, its bridge and a real broker: what a student does is seen elsewhere, soon."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from kaimen.cli.main import main
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read
from tests.bridge.gates import free_port, mosquitto, needs_mosquitto, soon
from tests.bridge.test_mqtt import Subscriber
from tests.door.bench import wait_until_it_listens
from tests.sounds import in_a_room, silence

pytestmark = [pytest.mark.slow, needs_mosquitto]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with mosquitto(tmp_path, port):
        yield port


@pytest.fixture
def config(tmp_path: Path, port: int) -> Path:
    """A gate with one student, and a broker."""
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/gallery.key"\n'
        f'[door]\nmock = true\nlease = 1.0\nsocket = "{tmp_path}/door"\n'
        # A machine's takes are as alike as recordings.
        "[checks]\nreplay = false\nloudspeaker = false\n"
        f'[bridge]\ncards = "{tmp_path}/cards.csv"\n'
        f'[bridge.mqtt]\nhost = "127.0.0.1"\nport = {port}\nunlock = true\nstudents = true\n',
        encoding="utf-8",
    )
    for voice in ("anning", "bowen"):
        takes = map(str, sorted((RECORDINGS / voice).glob("phrase-[1-5].mp3")))
        assert main(["enroll", "--student", voice, *takes, "--config", str(path)]) == 0
    (tmp_path / "cards.csv").write_text("bowen,7\n", encoding="utf-8")
    assert main(["bridge", "--write-key", "--config", str(path)]) == 0
    return path


@contextlib.contextmanager
def command(config: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "kaimen.cli.main", *arguments, "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextlib.contextmanager
def served(config: Path, socket: Path) -> Iterator[None]:
    """A door at its socket, which others may ask from now on."""
    with command(config, "door") as door:
        wait_until_it_listens(door, socket)
        yield


def logged(config: Path, capsys: pytest.CaptureFixture) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["log", "--json", "--config", str(config)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_students_opening_and_one_by_hand_are_seen_and_written_down(
    config: Path, port: int, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    day = tmp_path / "day.wav"
    phrase = read(RECORDINGS / "bowen" / "phrase-6.mp3")
    soundfile.write(day, in_a_room(silence(20), phrase, silence(60)), SAMPLE_RATE)
    subscriber = Subscriber(port)
    now = subscriber.now
    try:
        with (
            served(config, tmp_path / "door"),
            command(config, "bridge"),
            command(config, "run", "--play", str(day)) as gate,
        ):
            soon(lambda: now.get("kaimen/gate/running") == "online", 60)
            soon(lambda: now.get("kaimen/gate/lock") == "LOCKED")
            soon(lambda: len(subscriber.decisions()) == 1, 60)
            (decision,) = subscriber.decisions()
            assert (decision["event_type"], decision["student"]) == ("open", "bowen")
            soon(lambda: ("kaimen/gate/lock", "UNLOCKED") in subscriber.came)
            soon(lambda: now["kaimen/gate/state"] == "shut")
            before = len(subscriber.came)

            def unlocked() -> bool:
                subscriber.client.publish("kaimen/gate/command", "UNLOCK")
                with contextlib.suppress(AssertionError):
                    soon(lambda: ("kaimen/gate/lock", "UNLOCKED") in subscriber.came[before:], 5)
                return ("kaimen/gate/lock", "UNLOCKED") in subscriber.came[before:]

            soon(unlocked, 30)  # a bridge or a door that comes too late to one opens nothing
            gate.kill()
            soon(lambda: now["kaimen/gate/running"] == "offline", 60)
            assert len(subscriber.decisions()) == 1
    finally:
        subscriber.close()
    said = [each["said"] for each in logged(config, capsys)]
    assert "the door says: opened by voice" in said and "the door says: opened by hand" in said
