"""Opening by hand: the console asks the door itself, whether a gate is there or not."""

from __future__ import annotations

import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.door import by_hand, controller
from kaimen.door.by_hand import (
    MOST,
    PATIENCE,
    Asker,
    HandServer,
    hand_socket_path,
    open_by_hand,
    show_by_hand,
)
from kaimen.door.client import Door, command_line
from kaimen.door.protocol import (
    TOO_LATE,
    Message,
    NotOpened,
    Open,
    Opened,
    Show,
    UnknownNotice,
    in_time,
    request_from_bytes,
)
from kaimen.errors import DeviceError
from kaimen.settings import DoorSettings
from tests.door.bench import (
    BUZZER,
    ENOUGH,
    GREEN,
    LEASE,
    Bench,
    bench,
    wait_until_it_listens,
    wired,
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "TICK", 0)
    for name in ("ANSWER", "LOOK"):  # but for whoever shares a busy machine
        monkeypatch.setattr(by_hand, name, ENOUGH)


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
    talk = _called(path)
    if packet is not None:
        talk.send(packet)
    door.turn()
    return talk


def _called(path: Path) -> socket.socket:
    talk = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    talk.setblocking(False)
    talk.connect(str(path))
    return talk


def _next(server: HandServer) -> tuple[Asker, bytes]:
    """Who asks next, and what."""
    until = time.monotonic() + ENOUGH
    while not (found := server.read(100.0)):  # nobody is left, however slow
        assert time.monotonic() < until
        time.sleep(0.001)
    (one,) = found
    return one


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
    late = packet.startswith(b"open ")
    why = "the door was stopped for a while" if late else "that was no request"
    for number in (1, 2):
        assert asked(door, tmp_path / "hand", packet).startswith(f"not opened: {why}")
        assert door.process.by_hand.ignored == (0 if late else number)
    assert door.relay == [False]


def test_nobody_holds_the_relay_for_ever() -> None:
    with bench(lease=2.0, longest=5.0, contact=-1) as door:
        said = []
        for _ in range(5):
            packet = f"open {door.now + 1:.3f}".encode()
            said.append(str(door.process.by_hand.answer(packet, door.now)))
            door.wait(1.5)  # longer than a rest, but the lease runs
        assert said[0] == "opened by hand"
        assert said[-1].startswith("not opened: it was opened by hand for too long")
        door.wait(1.0)
        assert door.relay[-1] is False
        door.tell(f"open {door.now + 1:.3f}")  # the voice has a bound of its own
        assert door.relay[-1] is True


def test_who_says_nothing_is_left_and_keeps_nobody_out(door: Bench, tmp_path: Path) -> None:
    silent = [ask(door, tmp_path / "hand", None) for _ in range(MOST)]
    door.wait(PATIENCE + 0.1)
    assert asked(door, tmp_path / "hand", f"open {door.now + 1:.3f}".encode()) == "opened by hand"
    for each in silent:
        each.close()


def test_who_waits_is_left_after_a_while_and_others_come_in(tmp_path: Path) -> None:
    with HandServer.listening(tmp_path / "hand") as server, ExitStack() as left:
        talks = [left.enter_context(_called(tmp_path / "hand")) for _ in range(MOST + 1)]
        for _ in talks:
            assert server.read(100.0) == []
        talks[0].send(b"one")
        talks[-1].send(b"last")
        for now, said in ((100.0 + PATIENCE - 0.1, b"one"), (100.0 + PATIENCE, b"last")):
            ((asker, packet),) = server.read(now)
            asker.answer(NotOpened("no"))
            assert packet == said
        assert [talk.recv(100) for talk in talks[1:-1]] == (MOST - 1) * [b""]


def test_an_answer_to_somebody_who_left_does_no_harm(tmp_path: Path) -> None:
    with HandServer.listening(tmp_path / "hand") as server:
        with _called(tmp_path / "hand") as talk:
            talk.send(b"open")
        ((asker, _),) = server.read(100.0)
        asker.answer(NotOpened("no"))


@pytest.mark.parametrize("removed", [False, True])
def test_one_that_ends_leaves_whoever_waits_and_takes_its_socket_away(
    tmp_path: Path, removed: bool
) -> None:
    server = HandServer.listening(tmp_path / "hand")
    with _called(tmp_path / "hand") as talk:
        server.read(100.0)
        if removed:
            (tmp_path / "hand").unlink()
        server.close()
        server.close()
        assert talk.recv(100) == b"" and server.read(100.0) == []
    assert not (tmp_path / "hand").exists()


@given(st.binary(max_size=80))
def test_no_bytes_but_a_request_open_the_door(packet: bytes) -> None:
    made = Bench(wired())
    with made.process:
        made.process.by_hand.answer(packet, made.now)
        assert made.relay == [False]
    made.voice.close()


@pytest.mark.parametrize(
    "given, answers, opens",
    [
        ({"patience": 9.0}, [NotOpened(TOO_LATE), NotOpened(TOO_LATE), Opened("hand")], True),
        ({}, [NotOpened(TOO_LATE)], False),
        ({"patience": 9.0}, [NotOpened("no gate runs that would write it down")], False),
        ({"patience": 9.0}, [UnknownNotice("moment")], False),
    ],
)
def test_a_busy_door_is_asked_again_and_one_that_refuses_is_not(
    given: dict[str, Any],
    answers: list[Message],
    opens: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(by_hand, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with HandServer.listening(hand_socket_path(tmp_path / "door")) as server:

        def serve() -> None:
            for answer in answers:
                asker, packet = _next(server)
                request = request_from_bytes(packet)
                assert isinstance(request, Open) and request.until is not None
                assert in_time(request.until, clock.now)
                clock.now += 2.0
                asker.answer(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            open_by_hand(tmp_path / "door", **given)
            assert opens
        except DeviceError as error:
            assert not opens and "cannot be asked" not in str(error)
        finally:
            thread.join(ENOUGH)
            assert not thread.is_alive()  # it was asked as often as it answers


@pytest.mark.slow
def test_a_door_at_a_socket_is_opened_by_hand_while_a_gate_has_it(tmp_path: Path) -> None:
    path = tmp_path / "door"
    running = subprocess.Popen(command_line(DoorSettings(mock=True), "--socket", str(path)))
    try:
        wait_until_it_listens(running, path)
        assert stat.S_IMODE(hand_socket_path(path).stat().st_mode) == 0o660
        with Door.connect(path) as gate:
            gate.events()
            open_by_hand(path, patience=ENOUGH)
            assert "opened by hand" in map(str, gate.events())
    finally:
        running.terminate()
        running.wait()
    assert not hand_socket_path(path).exists()


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


def test_a_panel_that_shows_something_twice_is_heard_twice() -> None:
    with bench() as door:
        for _ in range(2):
            door.process.by_hand.answer(b"show beep", door.now)
            door.turn()
            assert door.level(BUZZER)
            door.wait(0.2)
            assert not door.level(BUZZER)


def test_it_opens_for_who_keeps_no_log_while_a_voice_is_there() -> None:
    with bench() as door:
        packet = f"open-if-written {door.now:.3f}".encode()
        assert door.process.by_hand.answer(packet, door.now) == Opened("hand")
        door.voice.close()
        door.turn()
        assert str(door.process.by_hand.answer(packet, door.now)).startswith("not opened: no gate")


def test_who_keeps_no_log_opens_only_while_a_gate_does(tmp_path: Path) -> None:
    path = tmp_path / "door"
    running = subprocess.Popen(command_line(DoorSettings(mock=True), "--socket", str(path)))
    try:
        wait_until_it_listens(running, path)
        with pytest.raises(DeviceError, match="no gate runs that would write it down"):
            open_by_hand(path, if_written=True, patience=ENOUGH)
        with Door.connect(path) as gate:
            gate.events()
            open_by_hand(path, if_written=True, patience=ENOUGH)
            assert "opened by hand" in map(str, gate.events())
    finally:
        running.terminate()
        running.wait()


def test_a_panel_asks_for_a_light_and_waits_for_its_answer(tmp_path: Path) -> None:
    with HandServer.listening(hand_socket_path(tmp_path / "door")) as server:
        asking = threading.Thread(target=show_by_hand, args=(tmp_path / "door", "granted"))
        asking.start()
        asker, packet = _next(server)
        assert packet == b"show granted"
        asker.answer(Show("granted"))
        asking.join()


def test_a_door_that_does_not_answer_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "door"
    with pytest.raises(DeviceError, match=r"door-hand: the door cannot be asked \(No such file"):
        open_by_hand(path)
    for name in ("ANSWER", "LOOK"):
        monkeypatch.setattr(by_hand, name, 0.01)
    with HandServer.listening(hand_socket_path(path)):
        for asks in (lambda: open_by_hand(path), lambda: show_by_hand(path, "granted")):
            with pytest.raises(DeviceError, match=r"the door cannot be asked \(timed out\)"):
                asks()
