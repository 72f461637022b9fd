"""The Live page: what the gate tells is shown at once, and the door opens by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from kaimen.audit import verify
from kaimen.console import watching, words
from kaimen.console.language import translator
from kaimen.console.pages import live
from kaimen.console.roles import Role
from kaimen.console.watching import Watching
from kaimen.doctor import chinese
from kaimen.door import by_hand
from kaimen.door.client import command_line
from kaimen.gate.feed import Feed
from kaimen.settings import DoorSettings, Settings
from kaimen.sound import BLOCK
from tests.console.conftest import Desk, Made, Seen, post
from tests.door.bench import ENOUGH, wait_until_it_listens

OPENED: dict[str, Any] = {
    "at": 1_700_000_000.25, "verdict": "open", "cause": "open", "student": "Chen <Li>",
    "claim": None, "score": 0.912, "threshold": 0.7, "latency": 0.4,
    "nearest": [{"student": "Chen <Li>", "score": 0.912}, {"student": None, "score": 0.512}],
    "checks": {"phrase": {"score": 0.8, "threshold": 0.4},
               "loudspeaker": {"score": -0.1, "threshold": -0.5}},
    "quality": {"seconds": 1.25, "peak": -12.0, "clipped": 0.0},
}  # fmt: skip


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DoorSettings]:
    """A door with mock pins at a socket, which is asked again where it comes too late."""
    monkeypatch.setattr(by_hand, "ANSWER", ENOUGH)
    monkeypatch.setattr(live, "open_by_hand", partial(by_hand.open_by_hand, patience=ENOUGH))
    settings = DoorSettings(mock=True, socket=str(tmp_path / "door"))
    running = subprocess.Popen(command_line(settings, "--socket", settings.socket))
    try:
        wait_until_it_listens(running, Path(settings.socket))
        yield settings
    finally:
        running.terminate()
        running.wait()


@contextlib.contextmanager
def hearing(feed: Feed) -> Iterator[None]:
    """Let a feed hear a quiet room, as a gate does with each block."""
    ended = threading.Event()
    block = np.full(BLOCK, 0.01, np.float32)

    def look() -> None:
        while not ended.wait(0.02):
            feed.hear(block, speaking=False)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def acts(desk: Desk) -> list[dict[str, Any]]:
    """What the console's log has, once it is known to be whole."""
    folder, key = desk.console.installation.acts_folder, desk.console.installation.acts_key
    assert verify(folder, key).problems == []
    lines = "".join(path.read_text() for path in sorted(folder.glob("*.jsonl")))
    return [json.loads(line) for line in lines.splitlines()]


def test_a_door_is_opened_by_hand_and_it_is_written_down_who_did(
    desk_of: Made, settings: Settings, door: DoorSettings
) -> None:
    desk = desk_of(replace(settings, door=door))
    guard = desk.signed_in(Role.GUARD)
    assert post(guard, "/live/open").status_code == 303
    assert "The door is open for 3 s." in guard.get("/live").text
    (line,) = acts(desk)
    assert (line["who"], line["did"]) == ("guard of the test", "opened the door by hand")


def test_a_door_that_cannot_be_asked_is_said_in_a_sentence(
    desk_of: Made, settings: Settings, tmp_path: Path
) -> None:
    door = DoorSettings(mock=True, socket=str(tmp_path / "none"))
    guard = desk_of(replace(settings, door=door)).signed_in(Role.GUARD)
    answer = post(guard, "/live/open", headers={"HX-Request": "true"})
    assert answer.status_code == 409 and "the door cannot be asked" in answer.text
    assert "<html" not in answer.text


def test_a_door_that_is_the_gates_child_is_not_opened(guard: TestClient, desk: Desk) -> None:
    answer = post(guard, "/live/open")
    assert answer.status_code == 409 and "give [door] a socket first" in answer.text
    assert not desk.console.installation.acts_folder.exists()


def test_an_opening_that_cannot_be_written_down_does_not_happen(
    desk_of: Made, settings: Settings, door: DoorSettings
) -> None:
    desk = desk_of(replace(settings, door=door))
    desk.console.installation.acts_folder.write_text("no folder")
    answer = post(desk.signed_in(Role.GUARD), "/live/open")
    assert answer.status_code == 409
    assert "opened" not in answer.text


@pytest.mark.parametrize(
    ("shut", "said"),
    [
        ("it is not armed", "门保持关闭：它尚未启用。"),
        ("the listener hangs, the log ended", "门保持关闭：listener 没有反应，log 已停止。"),
    ],
)
def test_why_the_door_stays_shut_is_in_chinese_for_who_reads_chinese(shut: str, said: str) -> None:
    assert words.why({"cause": "shut", "shut": shut}, translator("zh"), chinese.sentence) == said


def test_every_cause_of_a_decision_has_its_words() -> None:
    text = translator("en")
    for cause in words.CAUSES:
        assert "{" not in words.why({"cause": cause, "shut": "x", "wait": 3}, text, str)


def test_watchers_share_one_connection_and_who_comes_later_is_told_the_same(
    tmp_path: Path,
) -> None:
    async def watch() -> list[list[str]]:
        watching = Watching(tmp_path / "feed")
        feeds = [watching.events() for _ in range(2)]

        async def following(number: int) -> str:
            while (kind := str((await anext(feeds[number]))["kind"])) == "level":
                pass
            return kind

        first = [await following(0) for _ in range(2)]
        feed.decision({**OPENED, "at": 2.0})
        first.append(await following(0))
        second = [await following(1) for _ in range(3)]
        assert len(feed._watchers) == 1
        for each in feeds:
            await each.aclose()
        return [first, second]

    with Feed.listening(tmp_path / "feed", pytest.fail) as feed, hearing(feed):
        feed.state("door", {"state": "shut"})
        feed.decision(OPENED)
        assert asyncio.run(watch()) == [["door", "decision", "decision"]] * 2


def test_a_gate_that_is_not_there_is_away(tmp_path: Path) -> None:
    async def watch() -> dict[str, Any]:
        events = Watching(tmp_path / "feed").events()
        found = await anext(events)
        await events.aclose()
        return found

    assert asyncio.run(watch()) == {"kind": "gate", "away": True}


@pytest.mark.parametrize("line", [b"[" * 100_000, b"\xff", b"{", b"x" * 2_000_000])
def test_a_gate_that_speaks_nonsense_is_away_until_it_is_met_again(
    line: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AGAIN", 0.0)
    said = [line, b'{"kind": "door", "state": "shut"}']

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((said.pop(0) if said else b"") + b"\n")
        writer.close()

    async def watch() -> list[dict[str, Any]]:
        async with await asyncio.start_unix_server(speak, tmp_path / "feed"):
            events = Watching(tmp_path / "feed").events()
            found = [await anext(events) for _ in range(2)]
            await events.aclose()
        return found

    away, door = asyncio.run(watch())
    assert away == {"kind": "gate", "away": True} and door["state"] == "shut"


@pytest.mark.slow
@pytest.mark.parametrize(("role", "named"), [(Role.GUARD, False), (Role.REGISTRAR, True)])
def test_a_browser_shows_a_decision_and_a_name_to_who_may_see_it(
    seen: Seen, settings: Settings, role: Role, named: bool
) -> None:
    with Feed.listening(settings.console.feed_path, pytest.fail) as feed, hearing(feed):
        feed.state("gate", {"shut": "", "microphone": "usb", "overruns": 0})
        feed.state("door", {"state": "shut", "relay": False, "faults": ["microphone"]})
        seen.sign_in(role)
        seen.go("/live")
        seen.page.get_by_text("usb").wait_for()
        feed.decision({**OPENED, "at": time.time()})
        seen.page.get_by_text("The voice is known.").wait_for()
        seen.page.get_by_text("Figures").click()
        seen.page.get_by_text("0.912, 0.700 is needed").wait_for()
        seen.page.get_by_text("Fault: the gate has no microphone.").wait_for()
        assert seen.page.get_by_text("Chen <Li>").count() == (1 if named else 0)
