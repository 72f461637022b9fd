"""An enrollment that is killed at any moment loses no acknowledged student, and goes on.

``KAIMEN_KILLS=200 pytest tests/enrollment/test_killed.py`` is the measurement.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kaimen.enrollment.enrollment import Status
from kaimen.gallery.gallery import Gallery
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from kaimen.voice.encoder import Encoder
from tests.enrollment.pretended import enrolled, gallery_at, hear, school

KILLS = int(os.environ.get("KAIMEN_KILLS", "5"))
STUDENTS = 60
LONGEST = 0.5  # seconds from the first acknowledged student to the kill
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pupils(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return school(tmp_path_factory.mktemp("school"), STUDENTS)


def killed(command: list[str], after: float, *, from_start: bool) -> list[str]:
    """Lines that a process wrote before it was killed, so long after its first one."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        first = "" if from_start else process.stdout.readline()
        time.sleep(after)
        process.kill()
        lines = (first + process.stdout.read()).splitlines(keepends=True)
    return [line.strip() for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("run", range(KILLS))
def test_no_acknowledged_student_is_lost_and_none_is_there_by_halves(
    run: int, pupils: Path, tmp_path: Path
) -> None:
    Vault().save(tmp_path / "key")
    chance = random.Random(run)
    command = [sys.executable, "-m", "tests.enrollment.killed", str(pupils), str(tmp_path)]
    # Some are killed before they write anything, or in the middle of making the file.
    from_start = run % 4 == 3
    after = chance.uniform(0, 3 * LONGEST if from_start else LONGEST)
    acknowledged = {line.split()[0] for line in killed(command, after, from_start=from_start)}

    gallery = gallery_at(tmp_path)
    there = set(gallery.students)
    assert acknowledged <= there
    assert len(there - acknowledged) <= 1  # written, and killed before it could be said
    for student in there:
        files = sorted((pupils / student).iterdir())
        expected = np.stack([hear(file.read_bytes()).voiceprint for file in files])
        assert gallery.voiceprints(student) == pytest.approx(expected, abs=1e-6)
    with sqlite3.connect(tmp_path / "gallery.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()

    outcomes = {each.student: each.status for each in enrolled(gallery, pupils)}
    assert {name for name, status in outcomes.items() if status is Status.UNCHANGED} == there
    assert len(gallery) == STUDENTS and gallery.recordings == 5 * STUDENTS
    gallery.registry.close()


def children(process: int) -> set[int]:
    return {
        int(child)
        for task in Path(f"/proc/{process}/task").iterdir()
        for child in (task / "children").read_text().split()
    }


def test_the_command_goes_on_where_it_was_killed_and_leaves_no_process(tmp_path: Path) -> None:
    config = tmp_path / "kaimen.toml"
    config.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "kaimen.cli.main", "enroll", "--from", str(RECORDINGS)]
    command += ["--config", str(config), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        acknowledged = [json.loads(process.stdout.readline())["student"] for _ in range(3)]
        workers = children(process.pid)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}/exe").exists() for worker in workers):
        assert time.monotonic() < deadline, "workers outlived the command"
        time.sleep(0.05)

    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    *students, summary = map(json.loads, done.stdout.splitlines())
    unchanged = {each["student"] for each in students if each.get("unchanged")}
    assert set(acknowledged) <= unchanged <= {each["student"] for each in students}
    encoder = Encoder()
    gallery = Gallery.open(
        tmp_path / "gallery.sqlite",
        Vault.load(tmp_path / "key"),
        encoder.identity,
        encoder.card.dimension,
    )
    assert len(gallery) == summary["students"] == len(list(RECORDINGS.glob("*/")))
    assert summary["threshold"] is not None
