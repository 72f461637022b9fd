"""``kaimen enroll --microphone``: sounds in the microphone's place, and what becomes of them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from kaimen.cli.at_microphone import COLUMNS, meter
from kaimen.cli.main import main
from kaimen.enrollment.advice import Advice
from kaimen.enrollment.at_microphone import HeardLevel
from kaimen.interrupt import INTERRUPTED
from kaimen.sound import SAMPLE_RATE, Samples, microphone
from kaimen.terminal import Terminal
from tests.portaudio import FakePortAudio, device
from tests.voices import said, take, takes_of


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio(device(0, "USB Microphone", SAMPLE_RATE))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(microphone, "PATIENCE", 0.3)
    monkeypatch.setattr(microphone, "WAITING", 5_000)
    return fake


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[door]\nmock = true\n",
        encoding="utf-8",
    )
    return path


class Desk:
    """A registrar at the gate's microphone."""

    def __init__(
        self, config: Path, portaudio: FakePortAudio, capsys: pytest.CaptureFixture
    ) -> None:
        self._config = config
        self._portaudio = portaudio
        self._capsys = capsys

    def enroll(self, student: str, sound: Samples, *options: str) -> int:
        self._portaudio.sound = sound
        return self.run("enroll", "--microphone", student, *options)

    def run(self, *arguments: str) -> int:
        return main([*arguments, "--json", "--config", str(self._config)])

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def recordings(self, student: str) -> list[int]:
        """Numbers of the student's recordings; none of one who is not enrolled."""
        self.told()
        self.run("students", student, "--recordings")
        return [each["recording"] for each in self.told() if "recording" in each]


@pytest.fixture
def desk(config: Path, portaudio: FakePortAudio, capsys: pytest.CaptureFixture) -> Desk:
    return Desk(config, portaudio, capsys)


def takes(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in told if each.get("event") == "take"]


def test_five_takes_enroll_and_each_is_told_with_its_advice_and_the_chance_at_the_end(
    desk: Desk,
) -> None:
    sound = said(*takes_of("anning", 2), take("bowen", 1), *takes_of("anning")[2:])
    assert desk.enroll("anning", sound, "--group", "7b", "--consent", "2099-07-31") == 0
    told = desk.told()
    assert [each["advice"] for each in takes(told)] == [
        "next", "next", "same_voice", "next", "next", "done",
    ]  # fmt: skip
    assert [each["progress"] for each in takes(told)] == [20, 40, 40, 60, 80, 100]
    assert 0 <= takes(told)[-1]["chance"] <= 1
    assert any(each.get("event") == "level" and each["speaking"] for each in told)
    assert {"student": "anning", "recordings": 5, "refused": 0} in told
    assert len(desk.recordings("anning")) == 5


def test_what_is_given_up_half_way_leaves_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = iter(range(10_000))

    def given_up(*_: object) -> float:
        if next(heard) > 150:
            raise KeyboardInterrupt
        return -30.0

    monkeypatch.setattr("kaimen.enrollment.at_microphone.decibels", given_up)
    assert desk.enroll("anning", said(*takes_of("anning"))) == INTERRUPTED
    assert desk.recordings("anning") == []


def test_a_pulled_microphone_leaves_nothing_and_says_what_to_do(desk: Desk) -> None:
    assert desk.enroll("anning", said(*takes_of("anning", 2))) == 5
    assert "check its plug" in desk.told()[-1]["error"]
    assert desk.recordings("anning") == []


def test_a_second_day_is_added_and_not_unasked(desk: Desk) -> None:
    assert desk.enroll("anning", said(*takes_of("anning"))) == 0
    before = desk.recordings("anning")
    assert desk.enroll("anning", said(*takes_of("anning"))) == 2
    assert desk.recordings("anning") == before
    other_day = [take("anning", number) for number in (6, 7)]
    sound = said(*(each * level for level in (0.5, 0.8, 0.6) for each in other_day))
    assert desk.enroll("anning", sound, "--add") == 0
    assert len(desk.recordings("anning")) == 10


def test_one_take_comes_in_place_of_one_recording(desk: Desk) -> None:
    assert desk.enroll("anning", said(*takes_of("anning"))) == 0
    first, *others = desk.recordings("anning")
    sound = said(take("bowen", 1), take("anning", 6))
    assert desk.enroll("anning", sound, "--replace-recording", str(first)) == 0
    assert [each["kept"] for each in takes(desk.told())] == [False, True]
    now = desk.recordings("anning")
    assert first not in now
    assert set(others) < set(now)
    assert len(now) == 5
    assert desk.enroll("anning", sound, "--replace-recording", "999") == 4
    assert desk.recordings("anning") == now


def test_whoever_is_enrolled_already_is_refused_under_a_second_name(desk: Desk) -> None:
    assert desk.enroll("anning", said(*takes_of("anning"))) == 0
    sound = said(*(each * np.float32(0.7) for each in takes_of("anning")))
    assert desk.enroll("bowen", sound) == 3
    assert desk.recordings("bowen") == []


def test_a_dry_run_judges_and_writes_nothing(desk: Desk) -> None:
    assert desk.enroll("anning", said(*takes_of("anning")), "--dry-run") == 0
    assert desk.recordings("anning") == []


@pytest.mark.parametrize(
    "options",
    [
        ["--microphone", "anning", "--student", "bowen"],
        ["--microphone", "anning", "take.mp3"],
        ["--microphone", "anning", "--from", "school"],
        ["--replace-recording", "3"],
        ["--kiosk", "anning", "--microphone", "anning"],
    ],
)
def test_what_does_not_go_together_is_said(
    options: list[str], config: Path, capsys: pytest.CaptureFixture
) -> None:
    try:
        code = main(["enroll", *options, "--config", str(config)])
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 2


def test_a_kiosk_without_a_running_gate_says_what_to_start(desk: Desk) -> None:
    assert desk.run("enroll", "--kiosk", "anning") == 5
    assert "kaimen run" in desk.told()[-1]["error"]


@pytest.mark.parametrize("level", [-120.0, -60.0, -31.5, 0.0, 3.0, float("nan")])
def test_the_meter_fits_a_narrow_terminal(level: float) -> None:
    assert meter(HeardLevel(level, speaking=True), 100).cell_len <= COLUMNS


class NarrowTerminal(Terminal):
    """Sixty columns that somebody looks at."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr)
        self.width = COLUMNS


@pytest.mark.parametrize("student", ["anning", "a name that is rather long for a narrow terminal"])
def test_a_person_at_a_narrow_terminal_sees_the_meter_and_the_advice(
    student: str,
    config: Path,
    portaudio: FakePortAudio,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("kaimen.terminal.Terminal", NarrowTerminal)
    portaudio.sound = said(*takes_of("anning"))
    assert main(["enroll", "--microphone", student, "--config", str(config)]) == 0
    shown = capsys.readouterr().err
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert "█" in plain
    assert "说" in plain
    assert Advice.DONE.english[:20] in plain
    for line in re.split(r"[\r\n]+", plain):
        assert cell_len(line) <= COLUMNS, line
