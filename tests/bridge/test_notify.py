"""Messages to people, through a real Apprise to a server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kaimen.bridge.notify import NotifyBridge, happened
from kaimen.errors import SettingsError
from kaimen.monitoring.drift_watch import MENDED
from kaimen.settings import NotifySettings
from tests.bridge.gates import LoggedGate, Running, soon
from tests.bridge.test_webhook import Receiver

# Apprise loads a module of Python's own that later ones lack.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LoggedGate]:
    with LoggedGate(tmp_path / "state") as gate:
        gate.greet()
        yield gate


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def urls(tmp_path: Path, receiver: Receiver) -> Path:
    path = tmp_path / "urls"
    path.write_text(f"# the porter\njson://127.0.0.1:{receiver.server_address[1]}/\n")
    path.chmod(0o600)
    return path


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def bridge(
    gate: LoggedGate, urls: Path, clock: Clock, said: list[str] | None = None
) -> NotifyBridge:
    say = (lambda text: None) if said is None else said.append
    return NotifyBridge(NotifySettings(urls=str(urls)), gate.source, say, clock=clock)


def messages(receiver: Receiver) -> list[str]:
    return [each["message"] for each in receiver.events()]


def test_what_somebody_should_know_is_told_once_in_a_while(
    gate: LoggedGate, receiver: Receiver, urls: Path
) -> None:
    clock = Clock()
    with Running(bridge(gate, urls, clock)) as run:
        gate.decide("open", "李雷")
        gate.door("state forced")
        soon(lambda: len(receiver.posts) == 1)
        gate.door("state shut", "state forced")
        rounds = run.rounds
        soon(lambda: run.rounds > rounds + 2)
        assert messages(receiver) == ["the door was forced"]
        clock.now += 15 * 60
        gate.door("state shut", "state forced")
        soon(lambda: len(receiver.posts) == 2)
    with Running(bridge(gate, urls, clock)) as run:  # a restart sends nothing again
        gate.door("state shut", "state forced")
        gate.decide("refused", threshold=0.6)
        soon(lambda: len(receiver.posts) == 3)
    assert messages(receiver)[-1].startswith("too many unknown voices")


def test_the_doctors_broken_lines_are_told_with_what_to_do(
    gate: LoggedGate, receiver: Receiver, urls: Path, tmp_path: Path
) -> None:
    doctor = tmp_path / "doctor.json"
    lines = [
        {"name": "disk", "state": "broken", "found": "full", "mend": "make room"},
        {"name": "clock", "state": "attention", "found": "x", "mend": "y"},
        {"name": "drift", "state": "broken", "found": "more strangers", "mend": MENDED},
    ]
    doctor.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    gate.source = replace(gate.source, doctor=doctor)
    with Running(bridge(gate, urls, Clock())):
        soon(lambda: len(receiver.posts) == 1)
    assert messages(receiver)[0].splitlines() == [
        "disk: full → make room",
        f"drift: more strangers → {MENDED}",
    ]


def test_a_drift_that_nobody_could_look_for_is_no_drift(
    gate: LoggedGate, receiver: Receiver, urls: Path, tmp_path: Path
) -> None:
    doctor = tmp_path / "doctor.json"
    lines = [
        {"name": "drift", "state": "attention", "found": "the log is not yours", "mend": "sudo"},
        {"name": "disk", "state": "broken", "found": "full", "mend": "make room"},
    ]
    doctor.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    gate.source = replace(gate.source, doctor=doctor)
    with Running(bridge(gate, urls, Clock())):
        soon(lambda: len(receiver.posts) == 1)
    assert messages(receiver)[0].splitlines() == ["disk: full → make room"]


def test_who_cannot_be_reached_is_tried_again_and_no_more_than_every_minute(
    gate: LoggedGate, receiver: Receiver, urls: Path
) -> None:
    clock, said = Clock(), []
    receiver.answers = [500]
    with Running(bridge(gate, urls, clock, said)) as run:
        gate.door("state held")
        soon(lambda: len(said) > 0)
        rounds = run.rounds
        soon(lambda: run.rounds > rounds + 2)
        assert len(receiver.posts) == 1
        clock.now += 61
        soon(lambda: len(receiver.posts) == 2)
    assert "nobody could be told" in said[0]
    assert messages(receiver)[1] == "the door is held open"


REFUSED = {"kind": "decision", "verdict": "refused", "nearest": []}


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"kind": "door", "event": "state held"}, "held"),
        ({"kind": "door", "event": "state forced"}, "forced"),
        ({"kind": "door", "event": "fault tamper on"}, "tamper"),
        ({"kind": "door", "event": "fault microphone on"}, "microphone"),
        ({**REFUSED, "threshold": 0.6}, "lockout"),
        ({**REFUSED, "threshold": None}, None),  # the door was shut for everybody
        ({"kind": "door", "event": "fault tamper off"}, None),
        ({"kind": "door", "event": "state shut"}, None),
        ({**REFUSED, "threshold": 0.6, "nearest": [{"student": "x"}]}, None),
        ({"kind": "decision", "verdict": "unknown", "nearest": []}, None),
        ({"kind": "gate", "event": "state held"}, None),
    ],
)
def test_only_what_needs_somebody_is_a_message(record: dict[str, object], kind: str | None) -> None:
    found = happened(record)
    assert (found and found[0]) == kind


@pytest.mark.parametrize(
    ("content", "sentence"), [("# none\n", "no address in it"), ("nothing\n", "line 1: no Apprise")]
)
def test_addresses_that_are_none_are_refused(
    gate: LoggedGate, urls: Path, content: str, sentence: str
) -> None:
    urls.write_text(content)
    with pytest.raises(SettingsError, match=sentence):
        bridge(gate, urls, Clock())


def test_nobody_is_told_anything_unless_the_operator_asks() -> None:
    from kaimen.bridge.adapters import adapters_of
    from kaimen.bridge.source import GateLog
    from kaimen.settings import Settings

    assert adapters_of(Settings(), GateLog(Path("none"), bytes(32)), print) == []
