"""What a voice process can do with a door that is another process."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kaimen.door import client, process
from kaimen.door.client import KEPT, WANTED, Door, Gone, command_line
from kaimen.door.protocol import NoticesLost, Open, RelayStatus, request_from_bytes
from kaimen.door.relay import Relay
from kaimen.errors import DeviceError, OpeningRefused
from kaimen.settings import DoorSettings
from kaimen.settings.door import PIN
from tests.door.bench import BUZZER, ENOUGH, GREEN, opened, stopped, wait_until_it_listens, wired
from tests.hardware.trace import traced

ROOT = Path(__file__).parents[2]
LONG = 60.0  # seconds: a lease that no test waits for
SHORT = 0.3


@contextmanager
def child(folder: Path, **others: object) -> Iterator[Door]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "LEAVING", ENOUGH)  # none is killed that only takes long to end
        with Door.start(wired(**others), trace=folder / "trace") as door:
            yield door


@contextmanager
def served(folder: Path, **others: object) -> Iterator[subprocess.Popen[bytes]]:
    """A door that listens at folder/door."""
    options = ["--socket", str(folder / "door"), "--trace", str(folder / "trace")]
    process = subprocess.Popen(command_line(wired(**others), *options), stderr=subprocess.PIPE)
    try:
        wait_until_it_listens(process, folder / "door")
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate(timeout=ENOUGH)


def relay(folder: Path) -> list[bool]:
    return [level.on for level in traced(folder / "trace", PIN)]


@pytest.fixture
def talk() -> Iterator[tuple[Door, socket.socket]]:
    """A door that is played by the test."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door = Door(here)
    yield door, there
    door.close()
    there.close()


def test_a_child_opens_for_one_lease_and_rests(tmp_path: Path) -> None:
    with child(tmp_path, lease=SHORT) as door:
        assert not door.is_on
        opened(door)
        assert door.wait_for_rest(ENOUGH)
        assert not door.is_on
        assert relay(tmp_path) == [True, False]
        said = _events_until(door, "state shut", times=2)
        assert said[:3] == ["fault voice off", "relay off", "state shut"]
        assert {"relay on", "opened by voice", "relay off"} < set(said)
        assert door.events() == []


def test_leaving_switches_off_and_ends_the_child(tmp_path: Path) -> None:
    with child(tmp_path, lease=LONG) as door:
        opened(door)
        assert not door.wait_for_rest(0.05)
        assert door.is_on
        process = door._child
    assert relay(tmp_path) == [True, False]
    assert process is not None and process.returncode == 0
    assert not door.is_on


def test_rest_ends_the_lease(tmp_path: Path) -> None:
    with child(tmp_path, lease=LONG) as door:
        opened(door)
        door.rest()
        assert door.wait_for_rest(ENOUGH)
        assert relay(tmp_path) == [True, False]


def test_lights_are_asked_for_by_name(tmp_path: Path) -> None:
    with child(tmp_path) as door:
        door.show("listening")
        until = time.monotonic() + ENOUGH
        while len(traced(tmp_path / "trace", GREEN)) < 4 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(traced(tmp_path / "trace", GREEN)) >= 4
        with pytest.raises(ValueError, match="one of listening"):
            door.show("open")


def test_a_gate_takes_a_door_or_a_relay() -> None:
    offered = {name for name in vars(Relay) if not name.startswith("_")}
    assert offered <= {name for name in dir(Door) if not name.startswith("_")}
    assert {"__enter__", "__exit__"} <= set(dir(Door))


def test_the_child_of_a_process_that_was_killed_ends_with_the_relay_off(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from kaimen.door.client import Door\n"
        "from tests.door.bench import opened\n"
        "from kaimen.settings import DoorSettings\n"
        f"door = Door.start(DoorSettings(lease={LONG}, mock=True), trace=Path({str(tmp_path)!r}, "
        "'trace'))\n"
        "opened(door); print(door._child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=ROOT)
    assert told.returncode == -signal.SIGKILL
    pid = int(told.stdout)
    until = time.monotonic() + ENOUGH
    with suppress(FileNotFoundError, ProcessLookupError):  # it is gone
        # Z: ended; whoever adopted it has not looked yet.
        while "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert relay(tmp_path) == [True, False]


def test_a_child_that_was_killed_has_its_pin_put_to_rest(tmp_path: Path) -> None:
    """A relay that is on when low: the pin's first level is on, and rest is seen in the trace."""
    with child(tmp_path, lease=LONG, active_high=False) as door:
        opened(door)
        assert door._child is not None
        os.kill(door._child.pid, signal.SIGKILL)
        with pytest.raises(DeviceError, match="the door has ended"):
            door.wait_for_rest(ENOUGH)
        assert door.events()[-1] == Gone()
        with pytest.raises(DeviceError, match="the door has ended"):
            door.open()
        assert relay(tmp_path) == [True, False]  # rest is high; low is on
    assert relay(tmp_path) == [True, False, True]


def test_a_child_that_cannot_use_its_pins_says_why(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="trace: cannot be written"):
        Door.start(wired(), trace=tmp_path / "nowhere" / "trace")


def test_a_child_with_settings_that_cannot_be_says_why() -> None:
    settings = wired()
    object.__setattr__(settings, "green", 99)
    with pytest.raises(DeviceError, match=r"door.green must be a BCM number"):
        Door.start(settings)


def test_mock_pins_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def nothing_starts(command: list[str], **_: object) -> None:
        seen.extend(command)
        raise FileNotFoundError(2, "no such program")

    monkeypatch.setattr(subprocess, "Popen", nothing_starts)
    with pytest.raises(DeviceError, match="cannot be started"):
        Door.start(DoorSettings(mock=True))
    assert '"mock": true' in seen[3]


def test_a_child_says_nothing_to_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with child(tmp_path) as door:
            door.alive()
        with pytest.raises(BlockingIOError):
            manager.recv(100)


def test_a_child_is_told_nothing_of_what_systemd_expects_of_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: dict[str, str] = {}

    def started(*_: object, env: dict[str, str], **__: object) -> None:
        told.update(env)
        raise OSError(12, "Cannot allocate memory")

    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LANG"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(subprocess, "Popen", started)
    with pytest.raises(DeviceError, match=r"cannot be started \(Cannot allocate memory\)"):
        Door.start(wired())
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(told)
    assert told["LANG"] == "1"


def test_a_door_that_cannot_begin_says_why_to_whoever_started_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for settings, why in (({"pin": 99}, "BCM number"), ({"mock": False}, "no pins here")):

        def none(*_: object) -> None:
            raise DeviceError("no pins here")

        monkeypatch.setattr(process, "pins_of", none)
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with here:
            code = process.main([json.dumps(settings), "--descriptor", str(there.detach())])
            assert code in (2, 5)
            said = here.recv(1000).decode()
            assert said.startswith("failed ") and why in said
            assert here.recv(1000) == b""
        assert why in capsys.readouterr().err


def test_voices_come_and_go_while_the_door_stays(tmp_path: Path) -> None:
    with served(tmp_path, lease=SHORT):
        for _ in range(3):
            with Door.connect(tmp_path / "door") as door:
                opened(door)
                assert door.wait_for_rest(ENOUGH)
        assert relay(tmp_path) == 3 * [True, False]


def test_a_second_voice_is_told_that_there_is_one(tmp_path: Path) -> None:
    with served(tmp_path), Door.connect(tmp_path / "door") as door:
        with pytest.raises(DeviceError, match="another voice process has the door"):
            Door.connect(tmp_path / "door")
        opened(door)
        assert "opened by voice" in map(str, door.events())


def test_a_door_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="start 'kaimen door --socket") as caught:
        Door.connect(tmp_path / "nowhere")
    assert caught.value.exit_code == 5


def test_a_door_that_hangs_does_not_greet(tmp_path: Path) -> None:
    with served(tmp_path) as process:
        stopped(process)
        with pytest.raises(DeviceError, match="did not greet"):
            Door.connect(tmp_path / "door", timeout=0.2)


def test_a_door_that_has_not_answered_yet_does_not_hang(
    talk: tuple[Door, socket.socket],
) -> None:
    door, _ = talk
    for _ in range(3):
        door.alive()


def test_a_door_that_hangs_later_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.2)
    with served(tmp_path) as process, Door.connect(tmp_path / "door") as door:
        stopped(process)
        with pytest.raises(DeviceError, match="hangs"):
            until = time.monotonic() + ENOUGH
            while time.monotonic() < until:
                door.alive()
                time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_switches_the_relay_off_before_anything_else(
    tmp_path: Path, number: signal.Signals
) -> None:
    with served(tmp_path, lease=LONG) as process:
        with Door.connect(tmp_path / "door") as door:
            opened(door)
            _events_until(door, "state unlocked")
            count = len((tmp_path / "trace").read_text().splitlines())
            process.send_signal(number)
            assert process.wait(ENOUGH) == 0
            after = (tmp_path / "trace").read_text().splitlines()[count:]
            # The beep may end on its own before; no light goes out before the relay.
            switched = [line.split()[1:] for line in after]
            off = [pin for pin, level in switched if level == "0" and pin != str(BUZZER)]
            assert off == [str(PIN), str(GREEN)]
            with pytest.raises(DeviceError, match="the door has ended"):
                door.wait_for_rest(ENOUGH)
        assert not (tmp_path / "door").exists()


def test_what_happens_is_written_for_the_journal(tmp_path: Path) -> None:
    with served(tmp_path, lease=SHORT) as process:
        with Door.connect(tmp_path / "door") as door:
            opened(door)
            door.wait_for_rest(ENOUGH)
        process.terminate()
        _, told = process.communicate(timeout=ENOUGH)
    lines = told.decode().splitlines()
    assert [each for each in lines if each.startswith(("opened", "relay"))] == [
        "relay on",
        "opened by voice",
        "relay off",
    ]


def test_a_journal_that_nobody_reads_stops_no_door(tmp_path: Path) -> None:
    with served(tmp_path, lease=0.02) as process:
        with Door.connect(tmp_path / "door") as door:
            for _ in range(1500):
                with suppress(OpeningRefused):  # a door that comes too late says that, too
                    door.open()
        assert process.poll() is None
        with Door.connect(tmp_path / "door") as door:
            opened(door)
            assert door.wait_for_rest(ENOUGH)


def test_a_door_that_says_no_is_an_error(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    there.send(b"not opened: it is Sunday")
    before = time.monotonic()
    with pytest.raises(DeviceError, match="Sunday"):
        door.open()
    asked = request_from_bytes(there.recv(100))
    assert isinstance(asked, Open) and asked.until is not None
    assert before - 0.01 < asked.until - WANTED < time.monotonic() + 0.01


def test_an_opening_does_not_wait_long_for_a_slow_door(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    door.open()
    assert not door.wait_for_rest(0.05)  # it may be on any moment
    there.send(b"relay on")
    there.send(b"opened by voice")
    assert door.is_on
    there.send(b"relay off")
    assert door.wait_for_rest(0) and door.wait_for_rest()


def test_words_that_were_lost_take_no_answer_with_them(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    door.open()
    there.send(b"lost 12")
    assert door.wait_for_rest(0)
    assert door.events() == [NoticesLost(12)]


def test_a_door_that_takes_no_words_is_an_error_and_no_wait(
    talk: tuple[Door, socket.socket],
) -> None:
    door, _ = talk
    with pytest.raises(DeviceError, match="takes no words"):
        for _ in range(10_000):
            door.show("listening")
    door.rest()  # which is no error: the door ends its lease by itself


def test_a_packet_waits_for_room_for_as_long_as_it_may(
    talk: tuple[Door, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[tuple[int, float]] = []

    class Poll:
        def register(self, talk: socket.socket, events: int) -> None:
            self.events = events

        def poll(self, milliseconds: float) -> list[object]:
            waited.append((self.events, milliseconds))
            return []

    monkeypatch.setattr(select, "poll", Poll)
    monkeypatch.setattr(client, "SEND", 0.5)
    with pytest.raises(DeviceError, match="takes no words"):
        talk[0].show("idle")
    assert waited == [(select.POLLOUT, 500.0)]


@pytest.mark.parametrize("unread", [False, True])
def test_a_door_that_ended_says_so_once(talk: tuple[Door, socket.socket], unread: bool) -> None:
    door, there = talk
    if unread:  # what it said comes after the end, then
        door.show("idle")
    there.send(b"relay on")
    there.close()
    assert door.events() == [RelayStatus(True), Gone()]
    assert door.events() == [] and not door.is_on
    for asked in (door.open, door.alive, lambda: door.show("idle")):
        with pytest.raises(DeviceError, match="the door has ended"):
            asked()
    door.rest()


def test_somebody_may_wait_while_somebody_else_listens(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    there.send(b"relay on")
    assert door.is_on
    rested: list[bool] = []
    waiting = threading.Thread(target=lambda: rested.append(door.wait_for_rest(ENOUGH)))
    waiting.start()
    there.send(b"relay off")
    while waiting.is_alive():
        door.events()
    waiting.join()
    assert rested == [True]


def test_a_door_that_cannot_be_reached_at_once_is_said(tmp_path: Path) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as busy,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as first,
    ):
        busy.bind(str(tmp_path / "door"))
        busy.listen(0)
        first.connect(str(tmp_path / "door"))
        for name, why in (("door", "Resource"), ("x" * 200, "AF_UNIX path too long")):
            with pytest.raises(DeviceError, match=rf"no door can be reached there \({why}"):
                Door.connect(tmp_path / name)


@pytest.mark.parametrize("traced", [False, True])
def test_a_child_has_nothing_of_its_parent_but_their_talk_and_the_journal(
    traced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def started(command: list[str], **given: Any) -> None:
        seen.update(given, command=command)
        os.fstat(given["pass_fds"][0])
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", started)
    with pytest.raises(DeviceError):
        Door.start(wired(), trace=tmp_path / "trace" if traced else None)
    (talk,) = seen.pop("pass_fds")
    options = ["--trace", str(tmp_path / "trace")] if traced else []
    assert seen.pop("command") == command_line(wired(), "--descriptor", str(talk), *options)
    assert seen.pop("env")
    assert seen == {
        "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "start_new_session": True
    }  # fmt: skip


def test_a_heartbeat_is_answered_in_time_or_the_door_hangs(
    talk: tuple[Door, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    door, there = talk
    clock = SimpleNamespace()
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: clock.now))
    for clock.now in (100.0, 104.0, 105.0):
        door.alive()
    there.send(b"alive")
    for clock.now in (106.0, 107.0, 111.0):
        door.alive()
        assert door.events() == []
    clock.now = 111.1
    with pytest.raises(DeviceError, match="hangs"):
        door.alive()
    assert [there.recv(100) for _ in range(6)] == 6 * [b"alive"]


def test_a_refusal_holds_for_one_opening(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    there.send(b"not opened: it is Sunday")
    with pytest.raises(OpeningRefused, match=r"^the door did not open: it is Sunday$"):
        door.open()
    assert door.wait_for_rest(0)
    there.send(b"opened by voice")
    door.open()
    assert [str(each) for each in door.events()] == ["not opened: it is Sunday", "opened by voice"]
    assert door.wait_for_rest(0)


def test_what_others_opened_is_no_answer(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    there.send(b"opened by button")
    door.open()
    assert not door.wait_for_rest(0)


def test_a_door_that_ends_while_it_is_asked_did_not_open(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    there.shutdown(socket.SHUT_WR)
    with pytest.raises(DeviceError, match="the door has ended"):
        door.open()


def test_only_the_last_events_are_kept(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    for number in range(KEPT + 5):
        there.send(f"lost {number}".encode())
        assert not door.is_on
    assert door.events() == [NoticesLost(number) for number in range(5, KEPT + 5)]


def test_rest_is_asked_for_and_waits_a_moment(talk: tuple[Door, socket.socket]) -> None:
    door, there = talk
    there.send(b"relay on")
    door.rest()
    assert there.recv(100) == b"rest"
    assert door.is_on


@pytest.mark.parametrize(
    ("asks", "answer", "refused"),
    [(Door.open, b"not opened: no", True), (Door.rest, b"relay off", False)],
)
def test_who_asks_waits_for_the_doors_word(
    talk: tuple[Door, socket.socket],
    asks: Callable[[Door], None],
    answer: bytes,
    refused: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door, there = talk
    assert door.is_on is False
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: 0.0))  # it never ends
    there.send(b"relay on")
    assert door.is_on is True

    def answers() -> None:
        there.recv(100)
        time.sleep(0.02)
        there.send(answer)

    answering = threading.Thread(target=answers)
    answering.start()
    with pytest.raises(OpeningRefused) if refused else nullcontext():
        asks(door)
    assert door.is_on is refused
    answering.join()


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (b"state shut", None),
        (b"busy", "^another voice process has the door"),
        (b"failed pin 4 is busy", "^pin 4 is busy$"),
        (b"", "^the door did not greet"),
    ],
)
def test_a_door_is_taken_by_its_greeting(
    said: bytes, refusal: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*_: object, pass_fds: list[int], **__: object) -> SimpleNamespace:
        with socket.socket(fileno=os.dup(pass_fds[0])) as there:
            there.send(b"relay off")
            if said:
                there.send(said)
        return SimpleNamespace(wait=lambda _: 0)

    monkeypatch.setattr(subprocess, "Popen", started)
    with pytest.raises(DeviceError, match=refusal) if refusal else nullcontext():
        Door.start(wired(), timeout=ENOUGH).close()


def test_a_child_that_does_not_greet_is_not_waited_for_without_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "LEAVING", 0.01)
    monkeypatch.setattr(client, "GREETING", 0.01)
    monkeypatch.setattr(client, "command_line", lambda *_: ["sleep", "600"])
    with pytest.raises(DeviceError, match="did not greet"):
        Door.start(wired(), timeout=0.01)


@pytest.mark.parametrize(("does", "code"), [("exit 0", 0), ("exit 3", 3), ("exec sleep 60", -9)])
def test_only_the_pin_of_a_child_that_had_to_be_killed_is_put_to_rest(
    talk: tuple[Door, socket.socket],
    does: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door, there = talk
    door._child = child = subprocess.Popen(["sh", "-c", does])
    door._to_rest = ["sh", "-c", f"touch {tmp_path}/rested; exit 1"]
    monkeypatch.setattr(client, "LEAVING", 0.01 if code < 0 else ENOUGH)
    door.close()
    assert child.returncode == code
    assert (tmp_path / "rested").exists() is (code < 0)
    assert there.recv(100) == b"rest" and there.recv(100) == b""


def test_a_talk_that_cannot_be_closed_leaves_no_child_behind(
    talk: tuple[Door, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    door, _ = talk
    door._child = child = subprocess.Popen(["true"])
    with monkeypatch.context() as broken:
        broken.setattr(door, "_leave", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            door.close()
    assert child.returncode == 0


def test_rest_that_hangs_is_not_waited_for_without_an_end(
    talk: tuple[Door, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    door, there = talk
    there.close()
    monkeypatch.setattr(client, "GREETING", 0.01)
    door._child = subprocess.Popen(["sleep", "60"])
    door._child.kill()
    door._to_rest = ["sleep", "600"]
    door.close()


def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    with child(tmp_path) as door:
        door.close()
    door.close()


def test_the_settings_travel_whole() -> None:
    settings = wired(pulse=0.5)
    assert json.loads(command_line(settings)[3]) == asdict(settings)


def _events_until(door: Door, word: str, times: int = 1) -> list[str]:
    said: list[str] = []
    until = time.monotonic() + ENOUGH
    while said.count(word) < times and time.monotonic() < until:
        said += map(str, door.events())
        time.sleep(0.01)
    return said


def test_the_door_works_where_no_memory_is_both_written_and_executed() -> None:
    """As MemoryDenyWriteExecute=yes in its unit has it, here by the kernel's own switch."""
    refuse = "import ctypes, os, sys; code = ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)\n"
    run = "os.execv(sys.argv[1], sys.argv[1:]) if code == 0 else sys.exit(77)"
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = command_line(wired(), "--descriptor", str(there.fileno()))
    wrapped = [sys.executable, "-c", refuse + run, *command]
    with there, subprocess.Popen(wrapped, pass_fds=[there.fileno()]) as child:
        there.close()
        with Door(here) as door:
            try:
                door._be_greeted(ENOUGH)
            except DeviceError:
                if child.wait(ENOUGH) == 77:
                    pytest.skip("this kernel has no such switch")
                raise
            opened(door)
            assert not door.wait_for_rest(0.05)
