"""Enrolling at a running gate: the door stays shut meanwhile, and opens by the same voice after."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import soundfile

from kaimen.cli.main import main
from kaimen.door.client import Door
from kaimen.gate.loan import loan_path
from kaimen.rehearsal import RECORDINGS
from kaimen.settings.door import PIN
from kaimen.sound import SAMPLE_RATE
from tests.sounds import in_a_room, silence
from tests.voices import take

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[door]\nmock = true\nlease = 1.0\n"
        # A machine's takes are as alike as recordings.
        "[checks]\nreplay = false\nloudspeaker = false\n",
        encoding="utf-8",
    )
    takes = sorted((RECORDINGS / "bowen").glob("phrase-[1-5].mp3"))
    arguments = ["enroll", "--student", "bowen", *map(str, takes), "--config", str(path)]
    assert main(arguments) == 0
    return path


def test_somebody_is_enrolled_at_the_gate_and_nobody_comes_in_meanwhile(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    # Quiet, until the borrower is there; takes, with somebody who may enter among them; quiet,
    # until the school is calibrated; the new student.
    takes = [take("anning", number) for number in range(1, 8)]
    said = [*takes[:2], take("bowen", 6), *takes[2:5]]
    spoken = [piece for each in said for piece in (silence(1.7), each)]
    sound = in_a_room(silence(10), *spoken, silence(25), takes[6], silence(1))
    day = tmp_path / "day.wav"
    soundfile.write(day, sound, SAMPLE_RATE)
    trace = tmp_path / "trace"
    monkeypatch.setattr(Door, "start", partial(Door.start, trace=trace))
    done: list[subprocess.CompletedProcess[str]] = []
    opened_before: list[str] = []

    def enroll() -> None:
        while not loan_path(tmp_path / "gallery.sqlite").exists():
            time.sleep(0.05)
        command = [sys.executable, "-m", "kaimen.cli.main", "enroll", "--kiosk", "anning"]
        command += ["--json", "--config", str(config)]
        done.append(subprocess.run(command, capture_output=True, text=True, check=False))
        opened_before.extend(_switched(trace))

    registrar = threading.Thread(target=enroll)
    registrar.start()
    assert main(["run", "--play", str(day), "--json", "--config", str(config)]) == 0
    registrar.join()
    assert done[0].returncode == 0, done[0].stdout
    told = [json.loads(line) for line in done[0].stdout.splitlines()]
    kept = [each["kept"] for each in told if each.get("event") == "take"]
    assert kept == [True, True, False, True, True, True]
    assert opened_before == []
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[0] == "{"]
    assert [each["verdict"] for each in answers if "verdict" in each] == ["open"]
    assert _switched(trace) == ["1", "0"]


def _switched(trace: Path) -> list[str]:
    """What the relay's pin did."""
    changes = [line.split() for line in trace.read_text().splitlines()]
    return [level for _, pin, level in changes if int(pin) == PIN]
