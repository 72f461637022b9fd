"""Opening by hand: the console asks the door itself, whether a gate is there or not."""

from __future__ import annotations

import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.door import controller
from kaimen.door.by_hand import MOST, PATIENCE, HandServer, beside, open_by_hand, show_by_hand
from kaimen.door.client import Door, command_line
from kaimen.door.protocol import TOO_LATE, Message, NotOpened, Opened, Show
from kaimen.errors import DeviceError
from kaimen.settings import DoorSettings
from tests.door.bench import BUZZER, GREEN, LEASE, Bench, bench, wait_until_it_listens, wired


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "TICK", 0)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(wired())
    made.process.by_hand.server = HandServer.listening(tmp_path / "hand")
    with made.process:
        made.turn()
        made.heard()
        yield made
    made.voice.close()


def ask(door: Bench, path: Path, packet: bytes | None) -> socket.socket:
    """Connect, say something or nothing, and let the door turn."""
    talk = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    talk.setblocking(False)
    talk.connect(str(path))
    if packet is not None:
        talk.send(packet)
    door.turn()
    return talk


def asked(door: Bench, path: Path, packet: bytes) -> str:
    with ask(door, path, packet) as talk:
        return talk.recv(1000).decode()


def test_it_opens_for_one_lease_and_the_voice_is_told_who_asked(
    door: Bench, tmp_path: Path
) -> None:
    assert asked(door, tmp_path / "hand", b"open 1001.000") == "opened by hand"
    assert door.heard() == ["relay on", "opened by hand", "state unlocked"]
    door.wait(LEASE + 0.1)
    assert door.relay == [False, True, False]


def test_the_voice_cannot_end_what_was_opened_by_hand(door: Bench, tmp_path: Path) -> None:
    asked(door, tmp_path / "hand", b"open 1001.000")
    door.tell("rest")
    assert door.relay == [False, True]


@pytest.mark.parametrize(
    "packet", [b"", b"open", b"open 999.000", b"open 1002.001", b"rest", b"alive", b"o" * 65]
)
def test_what_is_no_opening_before_a_time_opens_nothing(
    packet: bytes, door: Bench, tmp_path: Path
) -> None:
    assert asked(door, tmp_path / "hand", packet).startswith("not opened: ")
    assert door.relay == [False]


def test_nobody_holds_the_relay_for_ever(door: Bench, tmp_path: Path) -> None:
    said = []
    for _ in range(round(door.settings.longest / LEASE) + 1):
        said.append(asked(door, tmp_path / "hand", f"open {door.now + 1:.3f}".encode()))
        door.wait(LEASE - 1)
    assert said[0] == "opened by hand" and "too long in a row" in said[-1]
    door.wait(LEASE)
    assert door.relay[-1] is False
    door.tell(f"open {door.now + 1:.3f}")  # the voice has a bound of its own
    assert door.relay[-1] is True


def test_who_says_nothing_is_left_and_keeps_nobody_out(door: Bench, tmp_path: Path) -> None:
    silent = [ask(door, tmp_path / "hand", None) for _ in range(MOST)]
    door.wait(PATIENCE + 0.1)
    assert asked(door, tmp_path / "hand", f"open {door.now + 1:.3f}".encode()) == "opened by hand"
    for each in silent:
        each.close()


@given(st.binary(max_size=80))
def test_no_bytes_but_a_request_open_the_door(packet: bytes) -> None:
    made = Bench(wired())
    with made.process:
        made.process.by_hand.answer(packet, made.now)
        assert made.relay == [False]
    made.voice.close()


@pytest.mark.parametrize(
    "patience, answers, opens",
    [
        (9.0, [NotOpened(TOO_LATE), NotOpened(TOO_LATE), Opened("hand")], True),
        (0.0, [NotOpened(TOO_LATE)], False),
        (9.0, [NotOpened("no gate runs that would write it down")], False),
    ],
)
def test_a_busy_door_is_asked_again_and_one_that_refuses_is_not(
    patience: float, answers: list[Message], opens: bool, tmp_path: Path
) -> None:
    with HandServer.listening(beside(tmp_path / "door")) as server:

        def serve() -> None:
            for answer in answers:
                while not (asked := server.read(time.monotonic())):
                    time.sleep(0.01)
                asked[0][0].answer(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            open_by_hand(tmp_path / "door", patience=patience)
            assert opens
        except DeviceError:
            assert not opens
        finally:
            thread.join(10)


@pytest.mark.slow
def test_a_door_at_a_socket_is_opened_by_hand_while_a_gate_has_it(tmp_path: Path) -> None:
    path = tmp_path / "door"
    running = subprocess.Popen(command_line(DoorSettings(mock=True), "--socket", str(path)))
    try:
        wait_until_it_listens(running, path)
        assert stat.S_IMODE(beside(path).stat().st_mode) == 0o660
        with Door.connect(path) as gate:
            gate.events()
            open_by_hand(path)
            assert gate.is_on
            assert "opened by hand" in map(str, gate.events())
    finally:
        running.terminate()
        running.wait()
    assert not beside(path).exists()


def test_a_panel_may_show_what_it_answers_and_nothing_that_the_gate_says_of_itself() -> None:
    with bench() as door:
        door.tell("show fault")  # the gate's microphone is gone
        door.heard()
        assert str(door.process.by_hand.answer(b"show granted", door.now)) == "show granted"
        door.turn()
        assert door.level(GREEN) and door.level(BUZZER) and not any(door.relay)
        assert str(door.process.by_hand.answer(b"show fault", door.now)).startswith("not opened")
        assert door.heard() == []  # the microphone is still gone
        door.wait(2.5)
        assert not door.level(GREEN)


def test_who_keeps_no_log_opens_only_while_a_gate_does(tmp_path: Path) -> None:
    path = tmp_path / "door"
    running = subprocess.Popen(command_line(DoorSettings(mock=True), "--socket", str(path)))
    try:
        wait_until_it_listens(running, path)
        with pytest.raises(DeviceError, match="no gate runs that would write it down"):
            open_by_hand(path, if_written=True)
        with Door.connect(path) as gate:
            gate.events()
            open_by_hand(path, if_written=True)
            assert "opened by hand" in map(str, gate.events())
    finally:
        running.terminate()
        running.wait()


def test_a_panel_asks_for_a_light_and_waits_for_its_answer(tmp_path: Path) -> None:
    with HandServer.listening(beside(tmp_path / "door")) as server:
        asking = threading.Thread(target=show_by_hand, args=(tmp_path / "door", "granted"))
        asking.start()
        while not (asked := server.read(time.monotonic())):
            time.sleep(0.001)
        ((asker, packet),) = asked
        assert packet == b"show granted"
        asker.answer(Show("granted"))
        asking.join()
        with pytest.raises(DeviceError, match="cannot be asked"):
            show_by_hand(tmp_path / "door", "granted")  # nobody answers: it waits for a moment


def test_a_door_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be asked"):
        open_by_hand(tmp_path / "door")
