"""What the gate tells its watchers, and that none of them holds it up."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.gate.feed import EVERY, KEPT, MOST, Feed
from kaimen.sound import BLOCK
from tests.gate.test_daemon import LI, ONE, Microphone, Scene, scene

__all__ = ["scene"]


class Watcher:
    """Somebody at the socket."""

    def __init__(self, path: Path) -> None:
        self.talk = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.talk.connect(str(path))
        self.talk.setblocking(False)

    def read(self) -> list[dict[str, Any]]:
        content = b""
        while True:
            try:
                part = self.talk.recv(1 << 16)
            except BlockingIOError:
                break
            if not part:
                break
            content += part
        return [json.loads(line) for line in content.splitlines()]

    @property
    def is_dropped(self) -> bool:
        self.read()
        try:
            return self.talk.recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Feed]:
    with Feed.listening(tmp_path / "run" / "feed", pytest.fail) as made:
        yield made


@pytest.fixture
def watch(tmp_path: Path, feed: Feed) -> Iterator[Callable[[], Watcher]]:
    made: list[Watcher] = []

    def watch() -> Watcher:
        made.append(Watcher(tmp_path / "run" / "feed"))
        feed.look()
        return made[-1]

    yield watch
    for each in made:
        each.talk.close()


def hear(feed: Feed, level: float, seconds: float = 0.1) -> None:
    for _ in range(round(seconds * 16_000 / BLOCK)):
        feed.hear(np.full(BLOCK, level, np.float32), speaking=True)


def test_the_level_is_told_ten_times_a_second(feed: Feed, watch: Callable[[], Watcher]) -> None:
    watcher = watch()
    hear(feed, 0.1, seconds=1.0)
    told = watcher.read()
    assert [each["kind"] for each in told] == ["level"] * 10
    assert told[0] == {"kind": "level", "level": -20.0, "peak": -20.0, "speaking": True}
    assert EVERY == 1600


def test_a_new_watcher_is_told_how_it_is_and_what_was_decided_last(
    feed: Feed, watch: Callable[[], Watcher]
) -> None:
    feed.state("door", {"state": "shut"})
    for number in range(KEPT + 5):
        feed.decision({"number": number, "threshold": float("inf")})
    told = watch().read()
    assert told[0] == {"kind": "door", "state": "shut"}
    assert [each["number"] for each in told[1:]] == list(range(5, KEPT + 5))
    assert told[1]["threshold"] is None


def test_a_state_is_told_when_it_changes(feed: Feed, watch: Callable[[], Watcher]) -> None:
    watcher = watch()
    for relay in (False, False, True):
        feed.state("door", {"relay": relay})
    assert [each["relay"] for each in watcher.read()] == [False, True]


def test_a_watcher_that_does_not_read_is_dropped_and_the_others_stay(
    feed: Feed, watch: Callable[[], Watcher]
) -> None:
    slow, quick = watch(), watch()
    for _ in range(5000):
        feed.decision({"reason": "x" * 100})
        quick.read()
    assert slow.is_dropped and not quick.is_dropped


def test_more_watchers_than_there_is_room_for_are_turned_away(
    feed: Feed, watch: Callable[[], Watcher]
) -> None:
    watchers = [watch() for _ in range(MOST + 1)]
    assert [each.is_dropped for each in watchers] == [False] * MOST + [True]


def test_only_the_gates_own_user_may_watch(feed: Feed, tmp_path: Path) -> None:
    path = tmp_path / "run" / "feed"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_socket_that_a_killed_gate_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "feed"
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(path))
    left.close()
    with Feed.listening(path, pytest.fail):
        pass
    assert not path.exists()


@pytest.mark.parametrize("there", ["a file", "another gate"])
def test_a_gate_without_a_socket_goes_on_and_says_so(there: str, tmp_path: Path) -> None:
    path, said = tmp_path / "feed", []
    with Feed() if there == "a file" else Feed.listening(path, pytest.fail):
        if there == "a file":
            path.write_text("mine")
        with Feed.listening(path, said.append) as feed:
            hear(feed, 0.1)
            feed.decision({})
            feed.state("door", {})
        assert len(said) == 1 and "no console can watch" in said[0]
        assert path.exists()


def test_a_daemon_tells_what_it_hears(
    scene: Callable[..., Scene], feed: Feed, watch: Callable[[], Watcher]
) -> None:
    watcher = watch()
    here = scene([LI], Microphone(ONE, pulled=False))
    here.feed = feed
    here.run()
    spoken = [each["speaking"] for each in watcher.read() if each["kind"] == "level"]
    assert True in spoken and False in spoken
    assert here.service.microphone == "usb"
