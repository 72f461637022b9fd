"""Opening by hand: one lease for who may ask, written down by the gate, and nothing else."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaimen.door.client import Door
from kaimen.door.hand import open_by_hand
from kaimen.errors import DeviceError, SettingsError
from kaimen.settings import DoorSettings
from tests.door.bench import BUZZER, GREEN, bench


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hand"


@pytest.fixture
def door(path: Path) -> Iterator[Door]:
    with Door.start(DoorSettings(lease=0.3, longest=1.0, hand=str(path)), mock=True) as door:
        yield door


def said(door: Door, text: str) -> bool:
    """Whether the door says a text within some seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if text in [str(each) for each in door.events()]:
            return True
        time.sleep(0.01)
    return False


def answer(path: Path, packet: bytes) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talk:
        talk.settimeout(10)
        talk.connect(str(path))
        talk.send(packet)
        return talk.recv(512).decode()


def test_who_asks_by_hand_gets_one_lease_and_the_gate_is_told(door: Door, path: Path) -> None:
    open_by_hand(path)
    assert said(door, "opened by hand")
    assert door.wait_for_rest(10)


def test_the_socket_is_for_its_owner_and_group_and_goes_with_the_door(
    door: Door, path: Path
) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    door.close()
    assert not path.exists()
    with pytest.raises(DeviceError, match="cannot be asked"):
        open_by_hand(path)


@pytest.mark.parametrize(
    "packet", [b"open", b"rest", b"alive", b"show fault", b"show idle", b"", b"\xff", b"o" * 65]
)
def test_nothing_but_an_opening_with_a_time_is_obeyed(
    door: Door, path: Path, packet: bytes
) -> None:
    assert answer(path, packet).startswith("not opened: only 'open'")
    assert not door.is_on


@pytest.mark.parametrize("later", [-0.5, 60.0])
def test_an_opening_of_another_time_is_refused_and_written_down(
    door: Door, path: Path, later: float
) -> None:
    packet = f"open {time.monotonic() + later:.3f}".encode()
    assert answer(path, packet).startswith("not opened: the door was stopped")
    assert not door.is_on
    assert said(door, "hand not opened: the door was stopped for a while and comes too late")


def test_the_gates_own_opening_is_not_refused_by_one_of_a_hand(door: Door, path: Path) -> None:
    answer(path, b"open 1.000")
    door.open()
    assert door.is_on


def test_hands_hold_the_relay_no_longer_than_a_voice_may(door: Door, path: Path) -> None:
    with pytest.raises(DeviceError, match="held the relay for too long"):
        for _ in range(100):
            open_by_hand(path)
            time.sleep(0.05)
    assert door.wait_for_rest(10)


def test_who_asks_nothing_keeps_nobody_waiting(door: Door, path: Path) -> None:
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
    for each in idle:
        each.connect(str(path))
    open_by_hand(path)
    assert said(door, "opened by hand")
    for each in idle:
        each.close()
    door.open()


def test_a_panel_may_show_what_it_answers_and_nothing_that_the_gate_says_of_itself(
    tmp_path: Path,
) -> None:
    with bench(hand=str(tmp_path / "hand")) as door:

        def asked(packet: bytes) -> str:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talk:
                talk.connect(str(tmp_path / "hand"))
                talk.send(packet)
                door.turn()
                talk.settimeout(10)
                return talk.recv(512).decode()

        door.tell("show fault")  # the gate's microphone is gone
        door.heard()
        assert asked(b"show granted") == "show granted"
        door.turn()
        assert door.level(GREEN) and door.level(BUZZER) and not any(door.relay)
        assert asked(b"show fault").startswith("not opened")
        assert door.heard() == []  # the microphone is still gone
        door.wait(2.5)
        assert not door.level(GREEN)


def test_without_the_setting_nobody_can_ask(path: Path) -> None:
    with Door.start(DoorSettings(), mock=True), pytest.raises(DeviceError, match="cannot be asked"):
        open_by_hand(path)


def test_one_path_is_not_both_sockets() -> None:
    with pytest.raises(SettingsError, match=r"door\.hand must be another path"):
        DoorSettings(socket="/run/x", hand="/run/x")


def test_a_door_with_no_gate_opens_for_no_hand(tmp_path: Path, path: Path) -> None:
    import json
    import signal
    import subprocess
    from dataclasses import asdict

    from kaimen.door.client import command_line

    settings = DoorSettings(hand=str(path), mock=True)
    command = command_line(settings, "--socket", str(tmp_path / "door"))
    assert json.loads(command[3]) == asdict(settings)
    process = subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(DeviceError, match="no gate runs"):
            open_by_hand(path)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
