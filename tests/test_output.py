"""Output that ends nothing: closed, full, stuck or broken."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from kaimen.output import BestEffort, best_effort

TALK = """
import sys
from kaimen.output import best_effort, fill_standard_descriptors
from kaimen.screen import Screen
fill_standard_descriptors()
with best_effort():
    for screen in (Screen(as_json=True), Screen(as_json=False)):
        for _ in range(200):
            screen.result({"a": "b" * 500}, "b" * 500)
            screen.note("c" * 500)
    sys.stdout.write("d" * 100_000)
    open(sys.argv[1], "w").write("done")
"""


@pytest.mark.parametrize(
    "ends", [">/dev/full", "2>/dev/full >/dev/full", ">&-", ">&- 2>&-", "<&- >&- 2>&-", "| true"]
)
def test_whatever_happens_to_its_output_a_program_goes_on(ends: str, tmp_path: Path) -> None:
    done = tmp_path / "done"
    command = f'"$0" -c "$1" "$2" {ends}'
    script = f"set -o pipefail; {command}"
    ended = subprocess.run(
        ["bash", "-c", script, sys.executable, TALK, str(done)], capture_output=True, check=False
    )
    assert done.read_text(encoding="utf-8") == "done"
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("ends", [">/dev/full", ">/dev/full 2>&1", ">&-", ">&- 2>&-", "| true"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_an_error_that_cannot_be_shown_has_its_exit_code(
    ends: str, more: list[str], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[door]\npin = 99\n", encoding="utf-8")
    script = f'set -o pipefail; "$0" -m kaimen.cli.main settings "$@" {ends}'
    command = ["bash", "-c", script, sys.executable, "--config", str(wrong), *more]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr


def test_nobody_waits_for_whoever_does_not_read() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        best = BestEffort(stream)
        for _ in range(1000):
            assert best.write("x" * 999 + "\n") == 1000
        assert os.read(reading, 5) == b"xxxxx"
        os.close(reading)
        best.write("broken")
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_what_is_taken_is_written() -> None:
    stream = io.StringIO()
    assert BestEffort(stream).write("x" * 5000) == 5000
    assert stream.getvalue() == "x" * 5000


def test_a_closed_stream_takes_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    assert BestEffort(stream).write("x") == 1


def test_the_streams_of_before_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    before: TextIO = sys.stderr
    with best_effort():
        sys.stdout.write("x")
        assert sys.stderr is not before
    assert sys.stdout is None and sys.stderr is before
