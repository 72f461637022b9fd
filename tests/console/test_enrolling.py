"""Enrolling through the page at a running gate, which then opens by that voice, and not after."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaimen.cli.main import main
from kaimen.console.roles import Role
from kaimen.gate import loan
from kaimen.rehearsal import RECORDINGS
from kaimen.settings import Settings
from kaimen.settings.door import PIN
from tests.console.conftest import Seen
from tests.sounds import silence
from tests.spoken_gate import say
from tests.voices import take

pytestmark = pytest.mark.slow

PATIENCE = 60.0  # seconds for which something is waited for


class SpokenGate:
    """A gate in a process of its own, and what its microphone hears."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder = folder
        self._output = output
        self._said = 0

    def hears(self, voice: str, *numbers: int) -> None:
        """Let somebody speak, once a second or so."""
        for number in numbers:
            self._said += 1
            sound = take(voice, number)
            say(self.folder, f"{self._said:03}", sound)
            say(self.folder, f"{self._said:03}-quiet", silence(1.8))

    @property
    def verdicts(self) -> list[str]:
        """What it answered so far."""
        lines = [json.loads(line) for line in self._output.read_text().splitlines() if line]
        return [each["verdict"] for each in lines if "verdict" in each]

    @property
    def armings(self) -> int:
        """How often it said for whom its door is armed."""
        return self._output.read_text().count("the door is armed")

    @property
    def openings(self) -> int:
        """How often the relay was switched on."""
        trace = self.folder / "trace"
        changes = [line.split() for line in trace.read_text().splitlines()]
        return sum(int(pin) == PIN and level == "1" for _, pin, level in changes)

    def wait_for(self, verdict: str) -> None:
        """Wait until it has answered so, last."""
        end = time.monotonic() + PATIENCE
        while self.verdicts[-1:] != [verdict]:
            assert time.monotonic() < end, self._output.read_text()
            time.sleep(0.1)

    def wait_until_it_is_armed_anew(self, armings: int) -> None:
        """Wait until it has taken a change over, which makes one more arming."""
        end = time.monotonic() + PATIENCE
        while self.armings <= armings:
            assert time.monotonic() < end, self._output.read_text()
            time.sleep(0.1)

    def wait_until_it_listens(self) -> None:
        end = time.monotonic() + PATIENCE
        while "listening to" not in self._output.read_text():
            assert time.monotonic() < end, self._output.read_text()
            time.sleep(0.1)


@pytest.fixture
def gate(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SpokenGate]:
    """A gate of the console's school, with one student."""
    monkeypatch.setattr(loan, "ANSWER", PATIENCE)
    config = tmp_path / "kaimen.toml"
    config.write_text(
        f'[gallery]\npath = "{settings.gallery.path}"\nkey = "{settings.gallery.key}"\n'
        f'[console]\nfeed = "{settings.console.feed}"\n[door]\nmock = true\nlease = 0.5\n'
        # A machine's takes are as alike as recordings.
        "[checks]\nreplay = false\nloudspeaker = false\n",
        encoding="utf-8",
    )
    takes = sorted((RECORDINGS / "bowen").glob("phrase-[1-5].mp3"))
    arguments = ["enroll", "--student", "bowen", *map(str, takes), "--config", str(config)]
    assert main(arguments) == 0
    folder = tmp_path / "said"
    folder.mkdir()
    output = tmp_path / "output"
    with output.open("w") as file:
        command = [sys.executable, "-m", "tests.spoken_gate", str(folder), str(config)]
        running = subprocess.Popen(command, stdout=file)
    gate = SpokenGate(folder, output)
    try:
        gate.wait_until_it_listens()
        yield gate
    finally:
        running.terminate()
        running.wait()


def test_who_is_enrolled_through_the_page_opens_the_door_until_they_are_removed(
    gate: SpokenGate, seen: Seen
) -> None:
    page = seen.page
    gate.hears("anning", 6)
    gate.wait_for("unknown")
    seen.sign_in(Role.REGISTRAR)
    seen.go("/students")
    page.get_by_role("link", name="Enroll a student").click()
    page.get_by_label("Name").fill("anning")
    page.get_by_label("Group").fill("7b")
    page.get_by_role("button", name="Begin at the gate's microphone").click()
    page.get_by_text("Say the phrase now.").wait_for()
    # Who may enter speaks among them: no take of this student, and no opening.
    gate.hears("anning", 1, 2)
    gate.hears("bowen", 6)
    gate.hears("anning", 3, 4, 5)
    page.get_by_text("Not like the takes before").first.wait_for()
    page.get_by_text("anning is enrolled with 5 recordings.").wait_for(timeout=60_000)
    assert gate.openings == 0
    assert gate.verdicts == ["unknown"]
    gate.hears("anning", 7)
    gate.wait_for("open")
    assert gate.openings == 1

    page.get_by_role("link", name="To the students").click()
    page.get_by_role("link", name="anning").click()
    page.get_by_text("Like the others").first.wait_for()
    page.get_by_role("link", name="Remove this student").click()
    armings = gate.armings
    page.get_by_role("button", name="Remove for good").click()
    page.get_by_text("anning is removed.").wait_for()
    gate.wait_until_it_is_armed_anew(armings)
    gate.hears("anning", 7)
    gate.wait_for("unknown")
    assert gate.openings == 1


def test_an_enrollment_that_is_stopped_keeps_nothing_and_the_gate_opens_again(
    gate: SpokenGate, seen: Seen
) -> None:
    page = seen.page
    seen.sign_in(Role.REGISTRAR)
    seen.go("/enrolling/new")
    page.get_by_label("Name").fill("anning")
    page.get_by_role("button", name="Begin at the gate's microphone").click()
    page.get_by_text("Say the phrase now.").wait_for()
    gate.hears("anning", 1)
    page.get_by_text("Good. Say it again.").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("nothing is kept").wait_for()
    gate.hears("bowen", 6)
    gate.wait_for("open")
    seen.go("/students")
    assert page.get_by_text("anning").count() == 0
