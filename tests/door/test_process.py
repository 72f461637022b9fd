"""The door does what it should whatever the voice process does, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from gpiozero import OutputDevice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaimen.door import controller, process
from kaimen.door.by_hand import HandServer
from kaimen.door.controller import PATIENCE, DoorController
from kaimen.door.patterns import PATTERNS, SHOWS
from kaimen.door.pins import mock_pins
from kaimen.door.protocol import LATE, TOO_LATE
from kaimen.door.rest import drive_to_rest, levels_of, written_down
from kaimen.door.server import MOST, Server
from kaimen.door.states import GRACE, Fault, State
from kaimen.errors import DeviceError
from kaimen.settings import DoorSettings
from tests.door.bench import (
    BUTTON,
    BUZZER,
    CONTACT,
    GREEN,
    HELD,
    LEASE,
    RED,
    TAMPER,
    Bench,
    bench,
    wired,
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "TICK", 0)


class TestVoice:
    def test_it_is_greeted_with_how_the_door_is(self) -> None:
        made = Bench(wired(tamper=TAMPER))
        with made.process:
            made.turn()
            assert made.heard() == ["fault voice off", "relay off", "fault tamper on", "state shut"]
        made.voice.close()

    def test_it_is_greeted_while_somebody_goes_out(self, tmp_path: Path) -> None:
        with bench() as door:
            door.process.server.close()
            door.voice.close()
            door.process.server = Server.listening(tmp_path / "door")
            door.press()
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door.voice:
                door.voice.connect(str(tmp_path / "door"))
                door.voice.setblocking(False)
                door.turn()
                assert door.heard() == ["fault voice off", "relay on", "state unlocked"]

    def test_the_next_one_is_greeted_and_nothing_that_one_before_it_said_holds(
        self, tmp_path: Path
    ) -> None:
        made = Bench(wired())
        made.process.server.close()
        made.voice.close()
        made.process.server = Server.listening(tmp_path / "door")
        with made.process:
            for said in ("show listening", "show fault", "show listening"):
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as made.voice:
                    made.voice.connect(str(tmp_path / "door"))
                    made.voice.setblocking(False)
                    made.turn()  # the one before is seen to be gone now
                    assert made.heard()[-2:] == ["relay off", "state shut"]
                    assert made.process.machine.faults == set()
                    assert made.level(GREEN)  # as at rest
                    made.wait(PATIENCE - 1)
                    assert made.process.machine.faults == set()
                    made.tell(said)

    def test_it_opens_for_one_lease(self) -> None:
        with bench() as door:
            door.tell("open")
            assert door.heard() == ["relay on", "opened by voice", "state unlocked"]
            door.wait(LEASE - 0.1)
            assert door.relay == [False, True]
            door.wait(0.2)
            assert door.relay == [False, True, False]
            assert door.heard()[-2:] == ["state locking", "relay off"]

    def test_a_second_opening_begins_a_new_lease(self) -> None:
        with bench() as door:
            door.tell("open")
            door.wait(LEASE - 1)
            door.tell("open")
            door.wait(LEASE - 0.1)
            assert door.relay == [False, True]
            door.wait(0.2)
            assert door.relay == [False, True, False]

    def test_it_may_give_up_its_lease(self) -> None:
        with bench() as door:
            door.tell("open")
            door.tell("rest")
            assert door.relay == [False, True, False]

    def test_it_cannot_give_up_what_the_button_opened(self) -> None:
        with bench() as door:
            door.press()
            door.tell("open")
            door.tell("rest")
            door.wait(LEASE - 1)
            assert door.relay == [False, True]
            door.wait(2)
            assert door.relay == [False, True, False]

    def test_it_is_answered_that_the_door_is_alive(self) -> None:
        with bench() as door:
            door.tell("alive")
            assert door.heard() == ["alive"]

    # With what a mutation tester needs: of a method it would fail for each mutant.
    @settings(
        suppress_health_check=[
            *settings.default.suppress_health_check,
            HealthCheck.function_scoped_fixture,
        ]
    )
    @given(st.lists(st.binary(max_size=80), max_size=20))
    def test_what_means_nothing_opens_nothing(self, packets: list[bytes]) -> None:
        known = {b"open", b"rest", b"alive", *(f"show {s}".encode() for s in SHOWS)}
        nonsense = [packet for packet in packets if packet not in known]
        with bench() as door:
            for packet in nonsense:
                door.tell(packet)
            assert door.relay == [False]
            assert door.process.ignored == len(nonsense)
            assert door.process.machine.faults == set()

    @pytest.mark.parametrize(
        "packet",
        [
            b"", b"OPEN", b"open ", b" open", b"open\0", b"open\n", b"opened", b"\xffopen",
            b"open" + b" " * 100, b'"open"', b"show open", b"show forced", b"show", b"show ",
        ],
    )  # fmt: skip
    def test_what_is_nearly_open_opens_nothing(self, packet: bytes) -> None:
        with bench() as door:
            door.tell(packet)
            assert door.relay == [False]
            assert door.process.ignored == 1
            assert door.process.machine.state is State.SHUT

    def test_a_voice_that_says_nothing_is_lost_and_found_again(self) -> None:
        with bench() as door:
            door.now += PATIENCE
            door.turn()
            assert Fault.VOICE not in door.process.machine.faults
            door.wait(0.01)
            assert Fault.VOICE in door.process.machine.faults
            assert "fault voice on" in door.log
            door.tell("alive")
            assert Fault.VOICE not in door.process.machine.faults

    def test_a_voice_that_says_nonsense_gives_no_sign_of_life(self) -> None:
        with bench() as door:
            for _ in range(round(PATIENCE) + 1):
                door.tell("hello")
                door.wait(1.0)
            assert Fault.VOICE in door.process.machine.faults

    def test_a_voice_that_dies_leaves_its_lease_to_end_by_itself(self) -> None:
        with bench() as door:
            door.tell("open")
            door.voice.close()
            door.wait(LEASE - 1)
            assert Fault.VOICE in door.process.machine.faults
            assert door.relay == [False, True]
            door.wait(2)
            assert door.relay == [False, True, False]

    def test_an_opening_that_waited_while_the_door_was_stopped_opens_nothing(self) -> None:
        with bench() as door:
            for _ in range(MOST + 8):  # more than one turn reads
                door.voice.send(b"show idle")
            door.voice.send(f"open {door.now + 1:.3f}".encode())
            door.voice.send(b"open")  # as an earlier version asks
            door.voice.close()  # its process died
            door.now += 3.0
            door.wait(0.1)
            assert door.relay == [False]

    @pytest.mark.parametrize(("ahead", "opens"), [(-0.1, False), (0.5, True), (60.0, False)])
    def test_an_opening_is_carried_out_while_it_is_wanted(self, ahead: float, opens: bool) -> None:
        with bench() as door:
            door.tell(f"open {door.now + ahead:.3f}")
            assert door.relay == [False, True][: 1 + opens]
            assert door.heard()[0] == ("relay on" if opens else f"not opened: {TOO_LATE}")

    def test_a_flood_and_a_moments_stop_are_no_reason_to_come_too_late(self) -> None:
        with bench() as door:
            door.tell(*MOST * ["alive"], "open")
            door.turn()
            door.now += LATE
            door.tell("open")
            assert door.log.count("opened by voice") == 2

    def test_an_opening_from_before_the_door_was_stopped_comes_too_late(self) -> None:
        with bench() as door:
            door.now += LATE + 1
            door.tell("open")
            assert door.relay == [False]
            assert "not opened" in door.heard()[0]
            door.tell("open")
            assert door.relay == [False, True]


class TestButton:
    def test_it_opens_for_one_lease(self) -> None:
        with bench() as door:
            door.press()
            assert door.heard() == ["relay on", "opened by button", "state unlocked"]
            door.wait(LEASE)
            assert door.relay == [False, True, False]

    def test_it_opens_without_a_voice(self) -> None:
        with bench() as door:
            door.voice.close()
            door.wait(60)
            door.press()
            assert door.relay == [False, True]

    def test_it_opens_though_the_voice_hangs(self) -> None:
        with bench(lease=0.5) as door:
            for _ in range(300):  # until no word more fits
                door.press()
                door.wait(0.5)
            assert door.relay == [False] + 300 * [True, False]
            assert door.heard()
            door.press()
            assert door.heard()[0].startswith("lost ")

    def test_it_opens_under_a_flood(self) -> None:
        with bench() as door:
            mock = door.pins.pin(f"GPIO{BUTTON}")
            mock.drive_low()
            for _ in range(10):
                for _ in range(50):
                    door.voice.send(b"nonsense")
                door.wait(0.01)
            assert door.relay == [False, True]

    def test_one_that_is_stuck_opens_once(self) -> None:
        with bench() as door:
            door.drive(BUTTON, False)
            door.wait(3 * LEASE)
            assert door.relay == [False, True, False]

    def test_it_opens_during_every_fault_and_alarm(self) -> None:
        with bench(tamper=TAMPER) as door:
            door.tell("show fault")
            door.drive(CONTACT, False)
            assert door.process.machine.state is State.FORCED
            assert door.process.machine.faults == {Fault.MICROPHONE, Fault.TAMPER}
            door.press()
            assert door.relay == [False, True]

    def test_a_spike_opens_nothing(self) -> None:
        with bench() as door:
            door.drive(BUTTON, False, seconds=0.02)
            door.drive(BUTTON, True)
            assert door.relay == [False]


class TestContact:
    def test_somebody_passes(self) -> None:
        with bench() as door:
            door.tell("open")
            door.drive(CONTACT, False)
            door.drive(CONTACT, True)
            door.wait(LEASE + GRACE)
            states = [word for word in door.heard() if word.startswith("state")]
            assert states == [
                "state unlocked", "state passing", "state unlocked", "state locking", "state shut",
            ]  # fmt: skip

    def test_a_door_that_is_held_is_heard_until_it_is_closed(self) -> None:
        with bench() as door:
            door.tell("open")
            door.drive(CONTACT, False)
            door.wait(LEASE + HELD)
            assert door.heard()[-1] == "state held"
            assert any(door.wait(1.0, seen=BUZZER))
            door.drive(CONTACT, True)
            assert not any(door.wait(1.0, seen=BUZZER))

    def test_a_door_that_is_forced_is_heard_until_it_is_closed(self) -> None:
        with bench() as door:
            door.drive(CONTACT, False)
            assert door.heard() == ["state forced"]
            assert any(door.wait(60.0, seen=BUZZER)[-100:])
            door.drive(CONTACT, True)
            assert not any(door.wait(1.0, seen=BUZZER))
            assert door.relay == [False]

    def test_a_door_found_open_is_not_forced(self) -> None:
        with bench(contact_closed="low") as door:
            assert door.process.machine.state is State.AJAR
            door.drive(CONTACT, False)
            door.wait(GRACE)
            assert door.process.machine.state is State.SHUT

    def test_a_box_that_is_closed_or_opened_is_told(self) -> None:
        with bench(tamper=TAMPER) as door:
            door.drive(TAMPER, False)
            assert door.heard() == ["fault tamper off"]
            door.drive(TAMPER, True)
            assert door.heard() == ["fault tamper on"]


class TestRelay:
    def test_openings_without_an_end_are_bounded_and_sound_an_alarm(self) -> None:
        with bench(lease=1.0, longest=5.0, contact=-1) as door:
            on: list[bool] = []
            words: list[str] = []
            for _ in range(150):
                door.tell(f"open {door.now + 1:.3f}")
                on += door.wait(0.5, seen=door.settings.pin)
                words += door.heard()
            held = [len(run) for run in "".join("01"[each] for each in on).split("0")]
            assert max(held) <= 500  # turns of 10 ms
            assert sum(on) < 0.2 * len(on)
            assert "fault resent on" in words and "fault resent off" in words
            assert door.process.machine.faults == {Fault.RESENT}
            assert any(
                each.startswith("not opened: the voice has held the relay for too long")
                for each in words
            )
            assert any(door.wait(2.0, seen=BUZZER))
            door.press()
            assert door.relay[-1]  # the exit button is not bound

    def test_a_queue_of_students_with_moments_of_rest_is_not_bounded(self) -> None:
        with bench(lease=1.0, longest=5.0, contact=-1) as door:
            for _ in range(20):
                door.tell(f"open {door.now + 1:.3f}")
                door.wait(2.5)
            assert door.relay.count(True) == 20

    def test_a_pulse_is_as_short_as_was_set(self) -> None:
        with bench(pulse=0.5) as door:
            assert door.process.relay.lease == 0.5  # its own timer ends it, too
            door.tell("open")
            door.wait(0.4)
            assert door.relay == [False, True]
            door.wait(0.2)
            assert door.relay == [False, True, False]
            assert door.process.machine.state is State.UNLOCKED
            door.tell("open")
            door.wait(1.0)
            assert door.relay == [False, True, False, True, False]

    def test_it_may_be_on_when_low(self) -> None:
        with bench(active_high=False) as door:
            door.tell("open")
            door.wait(LEASE + 1)
            assert door.relay == [False, True, False, True]  # its first level, then rest

    def test_without_threads_nothing_opens_and_the_door_goes_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with bench() as door:
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", _no_thread)
                door.tell("open")
                assert door.heard()[0].startswith("not opened: no lease can be timed")
            assert door.relay == [False]
            door.tell("open")
            assert door.relay == [False, True]

    def test_its_own_timer_ends_a_lease_though_the_loop_hangs(self) -> None:
        with bench(lease=0.2) as door:
            door.tell("open")
            assert door.process.relay.wait_for_rest(30)  # no turn meanwhile
            assert door.relay == [False, True, False]

    def test_it_is_off_first_when_the_door_ends(self) -> None:
        done = []
        with bench() as door:
            door.tell("open")
            panel = door.process.panel
            closing = panel.close
            panel.close = lambda: (done.append(door.relay[-1]), closing())  # type: ignore
        assert done == [False]

    def test_an_error_in_the_loop_leaves_it_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = Bench(wired())
        with pytest.raises(ZeroDivisionError), made.process:
            made.tell("open")
            assert made.relay == [False, True]
            monkeypatch.setattr(made.process.panel, "play", lambda *_: 1 // 0)
            made.process.run()
        assert made.relay == [False, True, False]
        made.voice.close()

    @pytest.mark.parametrize("fails", ["panel", "server", "by_hand"])
    def test_a_part_that_cannot_be_closed_keeps_no_other_open(
        self, fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sockets = {"server": tmp_path / "door", "by_hand": tmp_path / "door-hand"}
        door = DoorController(
            wired(),
            Server.listening(sockets["server"]),
            pins=mock_pins(),
            by_hand=HandServer.listening(sockets["by_hand"]),
        )
        monkeypatch.setattr(getattr(door, fails), "close", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            door.close()
        assert [name for name, path in sockets.items() if path.exists()] == [
            name for name in sockets if name == fails
        ]
        monkeypatch.undo()
        door.close()

    def test_a_pin_in_use_leaves_nothing_claimed(self) -> None:
        pins = mock_pins()
        with OutputDevice(GREEN, pin_factory=pins), pytest.raises(DeviceError, match="green"):
            DoorController(wired(), Server(), pins=pins)
        DoorController(wired(), Server(), pins=pins).close()

    def test_rest_drives_it_to_rest(self) -> None:
        pins = mock_pins()
        pin = pins.pin("GPIO17")
        pin.function = "output"
        pin.state = True  # as a killed door left it
        drive_to_rest(levels_of(DoorSettings()), pins=pins)
        assert [state.state for state in pin.states] == [False, True, False]


ACTIONS = st.one_of(
    st.floats(0.01, 2.0),
    st.sampled_from(["open", "rest", "alive", "show fault", "show unknown", "nonsense"]),
    st.sampled_from([(pin, high) for pin in (BUTTON, CONTACT, TAMPER) for high in (True, False)]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ACTIONS, max_size=25))
def test_whatever_happens_the_pin_is_on_within_a_lease_of_an_opening_and_never_else(
    story: list,
) -> None:
    lease = 1.5
    with bench(lease=lease, tamper=TAMPER) as door:
        opened, said = -lease, len(door.log)
        for what in story:
            if isinstance(what, tuple):
                mock = door.pins.pin(f"GPIO{what[0]}")
                (mock.drive_high if what[1] else mock.drive_low)()
            for _ in range(round(what * 100) if isinstance(what, float) else 5):
                door.now += 0.01
                if isinstance(what, str):
                    door.voice.send(what.encode())
                door.turn()
                if any(word.startswith("opened by") for word in door.log[said:]):
                    opened = door.now
                said = len(door.log)
                assert not door.level(door.settings.pin) or door.now - opened < lease
    assert not door.relay[-1]


class TestLights:
    @pytest.mark.parametrize(
        ("what", "green", "red"),
        [("listening", True, False), ("again", True, True), ("unknown", False, True)],
    )
    def test_the_voice_asks_for_them(self, what: str, green: bool, red: bool) -> None:
        with bench() as door:
            door.wait(1.0)
            door.tell(f"show {what}")
            assert any(door.wait(0.6, seen=GREEN)) is green
            assert any(door.wait(0.6, seen=RED)) is red

    def test_what_tells_something_is_over_by_itself(self) -> None:
        with bench() as door:
            door.tell("show unknown")
            assert any(door.wait(1.0, seen=RED))
            door.wait(1.0)
            assert not any(door.wait(1.0, seen=RED))

    def test_it_is_over_when_its_time_is(self) -> None:
        with bench() as door:
            door.tell("show refused")
            door.now += PATTERNS["refused"].lasts
            door.turn()
            assert door.level(GREEN)  # as at rest

    def test_what_is_told_twice_is_seen_twice(self) -> None:
        with bench() as door:
            door.tell("show unknown")
            door.wait(1.5)
            door.tell("show unknown")
            assert all(door.wait(0.5, seen=BUZZER))

    def test_listening_blinks_however_often_it_is_said(self) -> None:
        with bench() as door:
            levels = []
            for _ in range(100):
                door.tell("show listening")
                levels += door.wait(0.01, seen=GREEN)
            assert any(levels) and not all(levels)

    def test_an_open_door_is_green_and_beeps_once_each_time(self) -> None:
        with bench() as door:
            for _ in range(2):
                door.tell("open")
                assert all(door.wait(0.1, seen=BUZZER))
                assert not any(door.wait(0.5, seen=BUZZER)[20:])
                assert all(door.wait(0.5, seen=GREEN))

    def test_a_microphone_that_is_lost_is_a_fault_until_the_voice_says_otherwise(self) -> None:
        with bench() as door:
            door.tell("show fault")
            assert Fault.MICROPHONE in door.process.machine.faults
            assert any(door.wait(2.0, seen=RED))
            door.tell("show idle")
            assert Fault.MICROPHONE not in door.process.machine.faults
            door.wait(0.1)
            assert not any(door.wait(2.0, seen=RED))

    @pytest.mark.parametrize("settings", [DoorSettings(red=RED), wired()])
    def test_a_door_to_which_no_voice_ever_came_shows_it(self, settings: DoorSettings) -> None:
        pins = mock_pins()
        with DoorController(settings, Server(), pins=pins, clock=lambda: 0.0) as door:
            door.turn()
            assert pins.pin(f"GPIO{RED}").state

    def test_a_door_without_a_voice_shows_it(self) -> None:
        with bench() as door:
            door.tell("show listening")
            door.voice.close()
            door.wait(0.1)
            assert any(door.wait(2.0, seen=RED))
            assert not any(door.wait(2.0, seen=GREEN))


class TestProcess:
    def test_the_service_manager_is_told_that_it_serves_lives_and_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            manager.setblocking(False)
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
            monkeypatch.setenv("WATCHDOG_USEC", "2000000")
            told: list[Any] = []
            with bench() as door:
                door.process.stop()
                door.process.run()
                told.append(manager.recv(100))
                for _ in range(4):
                    door.now += 0.5
                    door.turn()
                    with suppress(BlockingIOError):
                        told.append((door.now, manager.recv(100)))
            assert told == [b"READY=1", (1001.0, b"WATCHDOG=1"), (1002.0, b"WATCHDOG=1")]
            assert manager.recv(100) == b"STOPPING=1"

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    @pytest.mark.parametrize("way", ["--socket", "--descriptor"])
    def test_a_signal_ends_it_in_good_order(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture,
        way: str,
        number: int,
    ) -> None:
        seen = []
        turn = DoorController.turn

        def turned(door: DoorController) -> None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as hand:
                hand.setblocking(False)
                reached = not hand.connect_ex(str(tmp_path / "door-hand"))
                assert reached is (way == "--socket")
                if reached:
                    hand.send(b"rest")
                turn(door)
                assert not reached or hand.recv(100).startswith(b"not opened")
            seen.append((door.relay.pin, door.relay.lease, written_down(tmp_path / "door.rest")))
            signal.raise_signal(number)

        monkeypatch.setattr(DoorController, "turn", turned)
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        options = [way, str(tmp_path / "door" if way == "--socket" else there.detach())]
        options += ["--trace", str(tmp_path / "trace")]
        before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
        try:
            with here, there:
                assert process.main(['{"pin": 4, "lease": 9.0, "mock": true}', *options]) == 0
        finally:
            for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
                signal.signal(each, handler)
        assert seen == [(4, 9.0, {})]  # simulated pins need no rest
        assert {path.name for path in tmp_path.iterdir()} == {"trace"}
        assert capfd.readouterr().err == ""  # the journal of a child's parent tells it

    @pytest.mark.parametrize("where", ["read", "full disk", "not read"])
    def test_the_journal_is_told_what_happens_where_that_needs_no_waiting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        read, write = socket.socketpair()  # as systemd's is; it may be read from, too
        read.send(b"?")
        write.setblocking(False)
        with suppress(BlockingIOError):
            while where == "not read":
                write.send(bytes(4096))
        write.setblocking(True)

        def run(door: DoorController) -> None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as voice:
                voice.connect(str(tmp_path / "door"))
                door.turn()

        monkeypatch.setattr(DoorController, "run", run)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        (tmp_path / "door-hand").touch()
        (tmp_path / "door.rest.new").mkdir()
        before = os.dup(2)
        disk = os.open("/dev/full", os.O_WRONLY)
        os.dup2(disk if where == "full disk" else write.fileno(), 2)
        try:
            assert process.main(['{"pin": 4}', "--socket", str(tmp_path / "door")]) == 0
        finally:
            os.dup2(before, 2)
            write.recv(1)
            for each in (before, disk, write.detach()):
                os.close(each)
        with read, read.makefile() as journal:
            told = journal.read().strip("\0").splitlines()
        assert len(told) == (3 if where == "read" else 0)
        if told:
            assert "a file of that name" in told[0] and "opened from the console" in told[0]
            assert "rest: cannot be written" in told[1] and told[2] == "fault voice off"

    def test_its_help_says_how_it_is_started(self, capsys: pytest.CaptureFixture) -> None:
        with pytest.raises(SystemExit):
            process.main(["--help"])
        said = " ".join(capsys.readouterr().out.split())
        ways = "(--socket PATH | --descriptor NUMBER | --rest)"
        assert f"python -m kaimen.door.process [-h] {ways} [--trace FILE] SETTINGS" in said
        assert "--trace FILE what mock pins do, as text" in said

    def test_it_is_told_one_way_to_serve(self, capsys: pytest.CaptureFixture) -> None:
        for ways in ([], ["--rest", "--descriptor", "3"]):
            with pytest.raises(SystemExit) as ended:
                process.main(["{}", *ways])
            assert ended.value.code == 2

    def test_it_loads_neither_numpy_nor_the_encoder(self) -> None:
        code = "import sys, kaimen.door.process, kaimen.door.client; print(*sys.modules)"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        loaded = told.stdout.decode().split()
        heavy = {"numpy", "rich", "soundfile", "hnswlib", "tflite_runtime", "ai_edge_litert"}
        assert "kaimen.door.process" in loaded
        assert not heavy & set(loaded)
        ours = {each.split(".")[1] for each in loaded if each.startswith("kaimen.")}
        assert ours == {"closing", "door", "errors", "names", "parsing", "settings", "systemd"}

    def test_an_unexpected_error_is_not_hidden(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(process.DoorController, "turn", lambda self: 1 // 0)
        values = json.dumps(asdict(wired()))
        with pytest.raises(ZeroDivisionError):
            process.main([values, "--socket", str(tmp_path / "door")])
        assert not (tmp_path / "door").exists()

    def test_a_pin_that_cannot_be_used_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
    ) -> None:
        pins = mock_pins()
        monkeypatch.setattr(process, "pins_of", lambda *_: pins)
        with OutputDevice(GREEN, pin_factory=pins):
            values = json.dumps(asdict(wired()))
            assert process.main([values, "--socket", str(tmp_path / "door")]) == 5
        assert f"green pin {GREEN} cannot be used" in capsys.readouterr().err
        assert not (tmp_path / "door").exists()

    @pytest.mark.parametrize(
        ("change", "refusal"),
        [
            ({"green": 99}, "[door] door.green must be a BCM number from 0 to 27, or -1"),
            ({"lease": "3"}, "[door] lease must be a float, not '3'"),
            ({"leese": 3.0}, "[door] knows no leese; did you mean lease?"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture, change: dict, refusal: str
    ) -> None:
        values = json.dumps({**asdict(wired()), **change})
        assert process.main([values, "--socket", str(tmp_path / "door")]) == 2
        assert refusal in capsys.readouterr().err
        assert not (tmp_path / "door").exists()


def _no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
