"""`kaimen doctor` through a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pexpect
import pytest

from tests.doctor.pi import Pi
from tests.setup.terminal import of_no_width
from tests.sounds import noise

pytestmark = pytest.mark.slow

PATIENCE = 60.0  # seconds; the machines that test are slow


def doctor(pi: Pi, *options: str) -> pexpect.spawn:
    given = ["--config", str(pi.written()), "--root", str(pi.root), "--play", str(pi.sound)]
    return pexpect.spawn(
        sys.executable,
        ["-m", "kaimen.cli.main", "doctor", *given, *options],
        timeout=PATIENCE,
        dimensions=(80, 200),
        env=of_no_width(),
        encoding="utf-8",
        cwd=str(Path(__file__).parents[2]),
    )


def test_a_person_reads_a_table_with_what_to_do(pi: Pi) -> None:
    process = doctor(pi, "--seconds", "0.4")
    process.expect("examining")
    for line in ("ok.*microphone", "noise floor", "lease", "broken.*gallery", "enroll", "power"):
        process.expect(line)
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 1


def test_interrupted_it_ends_with_nothing_changed(pi: Pi) -> None:
    pi.hears(noise(60.0, -50.0))
    process = doctor(pi, "--seconds", "60")
    process.expect("examining")
    process.sendintr()
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 130
    assert "Traceback" not in process.before
    assert not pi.data.exists()
