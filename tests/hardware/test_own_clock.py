"""The emulated Pi by its own clock: who is let in is judged, seconds are not."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "emulated-pi"
VERDICT = json.dumps({"verdict": "unknown", "score": 0.1})
OPEN = json.dumps({"verdict": "open", "score": 0.9})


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


class FakePi:
    """Plays, and answers what a list says for each phrase; its clock goes on where it waits."""

    slower = 1.0

    def __init__(self, *answers: str, own_clock: bool = True) -> None:
        self.own_clock = own_clock
        self.played: list[str] = []
        self._answers = list(answers)
        self._said = ""
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def wait(self, seconds: float) -> None:
        self._now += seconds

    def run(self, command: str, timeout: float = 120) -> str:
        if command.startswith("aplay"):
            self.played.append(command.split("/")[-1])
            self._said = self._answers.pop(0)
            return ""
        said, self._said = self._said, ""
        return said


class FakeWatch:
    """A pin that went on in the phrases that opened, for ever so long."""

    def __init__(self, pi: FakePi, modules: Callable[[str], Any], seconds: float = 60.0) -> None:
        self._pi = pi
        self._pulse = modules("pi").Pulse(0.0, seconds)
        self.opened: list[bool] = []

    def since(self, when: float) -> list[Any]:
        return [self._pulse] if self.opened[len(self._pi.played) - 1] else []

    def wait_until(self, on: bool, timeout: float) -> bool:
        return not on


def played(
    modules: Callable[[str], Any], pi: FakePi, opened: list[bool], wanted: list[bool], kind: str
) -> Any:
    report = modules("report").Report()
    watch = FakeWatch(pi, modules)
    watch.opened = opened
    modules("playing").play_all(pi, watch, report, kind, wanted)
    return report


def test_a_phrase_is_played_once_whatever_came_of_it(modules: Callable[[str], Any]) -> None:
    pi = FakePi(OPEN, f"{VERDICT}\n{VERDICT}")
    report = played(modules, pi, [True, False], [True, True], "student")
    assert pi.played == ["01.wav", "02.wav"]
    assert report.wrong == ["student: 1 of 2 opened, 1 as here; 2 were heard as a phrase"]


def test_how_long_the_pin_was_on_is_not_judged(modules: Callable[[str], Any]) -> None:
    report = played(modules, FakePi(OPEN), [True], [True], "student")
    assert report.wrong == [] and "on" not in report.found["student"][0]


def test_by_the_clock_here_it_is_judged(modules: Callable[[str], Any]) -> None:
    report = played(modules, FakePi(OPEN, own_clock=False), [True], [True], "student")
    assert report.wrong == ["student 1: on no longer than its lease"]


def test_a_stranger_who_gets_in_is_wrong_whatever_a_gate_here_says(
    modules: Callable[[str], Any],
) -> None:
    report = played(modules, FakePi(OPEN), [True], [True], "stranger")
    assert report.wrong == ["stranger: 1 of 1 opened, 1 as here; 1 were heard as a phrase"]


def test_how_often_sound_was_dropped_is_what_the_gate_tells(modules: Callable[[str], Any]) -> None:
    pi = FakePi()
    pi._said = json.dumps({"kind": "gate", "shut": "", "microphone": "Loopback", "overruns": 7})
    assert modules("playing").dropped(pi) == 7


def test_without_a_card_it_is_said_how_one_is_made(
    modules: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "card.img").touch()
    options = argparse.Namespace(folder=tmp_path, phrases=10)
    with pytest.raises(SystemExit, match=r"installed\.sh"):
        modules("check").play_in_own_clock(options, modules("report").Report())
