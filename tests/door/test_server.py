"""The talk with one voice process at a time."""

from __future__ import annotations

import select
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kaimen.door.protocol import LONGEST_REQUEST, DoorState, UnknownNotice
from kaimen.door.server import MOST, Server
from kaimen.errors import DeviceError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "door"


@pytest.fixture
def server(path: Path) -> Iterator[Server]:
    made = Server.listening(path)
    yield made
    made.close()


def call(path: Path) -> socket.socket:
    voice = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    voice.settimeout(60)
    voice.connect(str(path))
    return voice


def test_a_voice_comes_talks_and_goes(server: Server, path: Path) -> None:
    assert not server.connected
    with call(path) as voice:
        assert server.read(10) == []
        assert server.connected and server.came
        voice.send(b"open")
        voice.send(b"alive")
        assert server.read(10) == [b"open", b"alive"]
        server.say(DoorState("shut"))
        assert voice.recv(100) == b"state shut"
    server.read(10)
    assert not server.connected and not server.ended


def test_what_was_said_before_leaving_is_heard(server: Server, path: Path) -> None:
    with call(path) as voice:
        server.read(10)
        server.say(DoorState("shut"))  # not read: it resets the connection when the voice closes
        voice.send(b"open")
    assert server.read(10) == [b"open"]
    assert not server.connected


def test_a_second_voice_is_turned_away(server: Server, path: Path) -> None:
    with call(path) as one, call(path) as other:
        server.read(10)  # both were waiting: the first is taken
        server.read(10)
        assert other.recv(100) == b"busy"
        assert other.recv(100) == b""
        one.send(b"open")
        assert server.read(10) == [b"open"]


def test_a_second_voice_that_left_already_does_no_harm(server: Server, path: Path) -> None:
    with call(path) as one:
        server.read(10)
        call(path).close()
        server.read(10)
        one.send(b"open")
        assert server.read(10) == [b"open"]


def test_a_new_voice_is_taken_when_the_old_one_was_killed(server: Server, path: Path) -> None:
    old = call(path)
    server.read(10)
    assert server.connected
    old.close()
    with call(path) as new:  # the door learns of both at once
        server.came = False
        server.read(10)
        assert server.came
        server.say(UnknownNotice("hello"))
        assert new.recv(100) == b"hello"


def test_an_empty_packet_is_not_the_end(server: Server, path: Path) -> None:
    with call(path) as voice:
        server.read(10)
        voice.send(b"")
        assert server.read(10) == [b""]
        assert server.connected


def test_a_packet_that_is_too_long_is_cut_where_it_shows(server: Server, path: Path) -> None:
    with call(path) as voice:
        server.read(10)
        voice.send(b"open" + b" " * 1000)
        (packet,) = server.read(10)
        assert len(packet) == LONGEST_REQUEST + 1


def test_a_flood_is_read_in_portions(server: Server, path: Path) -> None:
    with call(path) as voice:
        server.read(10)
        for _ in range(2 * MOST):
            voice.send(b"open")
        assert len(server.read(10)) == MOST
        assert len(server.read(10)) == MOST


def test_a_voice_that_does_not_read_loses_words_and_is_told_how_many() -> None:
    voice, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    voice.setblocking(False)
    with voice, closing(Server.inherited(there.detach())) as server:
        for _ in range(2):
            for number in range(2000):
                server.say(UnknownNotice(f"word {number}"))
            heard = 0
            with pytest.raises(BlockingIOError):
                while voice.recv(100):
                    heard += 1
            server.say(DoorState("shut"))
            assert voice.recv(100) == f"lost {2000 - heard}".encode()
            assert voice.recv(100) == b"state shut"
        server.say(DoorState("held"))
        assert voice.recv(100) == b"state held"


def test_talking_to_nobody_does_no_harm(server: Server, path: Path) -> None:
    server.say(UnknownNotice("hello?"))
    with call(path):
        server.read(10)
    server.say(UnknownNotice("hello?"))
    assert not server.connected or server.read(10) == []


def test_only_its_owner_and_group_may_talk_to_the_door(server: Server, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.parametrize("removed", [False, True])
def test_the_socket_goes_with_the_door(path: Path, removed: bool) -> None:
    server = Server.listening(path)
    if removed:
        path.unlink()
    server.close()
    server.close()
    assert not path.exists() and server.ended


def test_it_waits_as_long_as_it_is_told_to(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class Poll:
        def register(self, talk: socket.socket, events: int) -> None:
            assert talk.fileno() > 2 and events == select.POLLIN

        def poll(self, milliseconds: float) -> list[object]:
            waited.append(milliseconds)
            return []

    monkeypatch.setattr(select, "poll", Poll)
    assert server.read(0.5) == [] and waited == [500.0]


def test_what_a_killed_door_left_behind_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(path))
        left.listen()
    assert path.exists()
    server = Server.listening(path)
    with call(path):
        assert server.read(10) == [] and server.connected
    server.close()


def test_a_door_that_serves_is_left_alone(server: Server, path: Path) -> None:
    with pytest.raises(DeviceError, match="another process serves it"):
        Server.listening(path)
    with call(path):
        server.read(10)
        server.read(10)
        assert path.exists()


def test_a_file_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(DeviceError, match="a file of that name"):
        Server.listening(path)
    assert path.read_text() == "mine"


def test_a_door_that_is_too_busy_to_answer_is_left_alone(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as busy:
        busy.bind(str(path))
        busy.listen(0)
        with call(path), pytest.raises(DeviceError, match="another process serves it"):
            Server.listening(path)  # one more would wait


@pytest.mark.parametrize(
    ("name", "why"),
    [("nowhere/door", "No such file or directory"), ("x" * 200, "AF_UNIX path too long")],
)
def test_a_place_where_no_socket_can_be_is_a_device_error(
    tmp_path: Path, name: str, why: str
) -> None:
    with pytest.raises(DeviceError, match=rf"no socket can be made there \({why}\)"):
        Server.listening(tmp_path / name)


def test_an_inherited_talk_ends_with_its_parent() -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = Server.inherited(there.detach())
    assert server.connected and server.came and not server.ended
    here.send(b"open")
    assert server.read(10) == [b"open"]
    here.close()
    server.read(10)
    assert server.ended
    server.close()


def test_a_descriptor_that_is_none_is_a_device_error() -> None:
    with pytest.raises(DeviceError, match="no socket"):
        Server.inherited(4321)
