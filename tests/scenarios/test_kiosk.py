"""Enrolling at a running gate: the door stays shut meanwhile, and opens by the same voice after."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from kaimen.cli.main import main
from kaimen.door.client import Door
from kaimen.gate import loan
from kaimen.gate.loan import Lender, loan_path
from kaimen.rehearsal import RECORDINGS
from kaimen.settings.door import PIN
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.played import Played
from tests.door.bench import ENOUGH, opened
from tests.sounds import in_a_room, silence
from tests.voices import take

pytestmark = pytest.mark.slow

# A borrower who waits for a gate on a busy machine.
PATIENT = """
import sys
from kaimen.cli.main import main
from kaimen.gate import loan
loan.ANSWER = 60.0
sys.exit(main())
"""


class Day(Played):
    """Quiet until something has happened, then a sound; and that again."""

    def __init__(self, *heard: tuple[threading.Event, Samples]) -> None:
        super().__init__(silence(0), "a day")
        self._heard = heard

    def blocks(self) -> Iterator[Samples]:
        self.began, count = time.monotonic(), 0
        for block in self._in_no_time():
            count += len(block)
            time.sleep(max(0.0, self.began + count / SAMPLE_RATE - time.monotonic()))
            yield block

    def _in_no_time(self) -> Iterator[Samples]:
        room = itertools.cycle(_whole(in_a_room(silence(10))))
        for happened, sound in self._heard:
            yield from itertools.islice(room, 50)  # a second
            while not happened.is_set():
                yield next(room)
            yield from _whole(sound)


def _whole(sound: Samples) -> Samples:
    """The blocks of a sound, without what is left at its end."""
    return sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)


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
    # Takes, with somebody who may enter among them; the new student, once the gate knows of them.
    takes = [take("anning", number) for number in range(1, 8)]
    said = [*takes[:2], take("bowen", 6), *takes[2:5]]
    spoken = [piece for each in said for piece in (silence(1.7), each)]
    trace = tmp_path / "trace"
    monkeypatch.setattr(Door, "open", opened)
    monkeypatch.setattr(Door, "start", partial(Door.start, trace=trace))
    monkeypatch.setattr(loan, "HANGING", ENOUGH)
    lent, done = threading.Event(), threading.Event()
    take_block = Lender.take

    def taken(lender: Lender, block: Samples, name: str) -> bool:
        is_lent = take_block(lender, block, name)
        if is_lent:
            lent.set()
        return is_lent

    monkeypatch.setattr(Lender, "take", taken)
    day = Day(
        (lent, in_a_room(*spoken, silence(1))), (done, in_a_room(silence(5), takes[6], silence(1)))
    )
    monkeypatch.setattr(Played, "open", lambda path: day)
    told_by: list[subprocess.CompletedProcess[str]] = []
    opened_before: list[str] = []

    def enroll() -> None:
        while not loan_path(tmp_path / "gallery.sqlite").exists():
            time.sleep(0.05)
        command = [sys.executable, "-c", PATIENT, "enroll", "--kiosk", "anning"]
        command += ["--json", "--config", str(config)]
        try:
            told_by.append(subprocess.run(command, capture_output=True, text=True, check=False))
            opened_before.extend(_switched(trace))
        finally:
            lent.set()
            done.set()

    registrar = threading.Thread(target=enroll)
    registrar.start()
    assert main(["run", "--play", "day", "--json", "--config", str(config)]) == 0
    registrar.join()
    assert told_by[0].returncode == 0, told_by[0].stdout
    told = [json.loads(line) for line in told_by[0].stdout.splitlines()]
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
