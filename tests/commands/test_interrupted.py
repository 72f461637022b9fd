"""Ctrl-C at any moment of a command: 130, and nothing on the screen."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kaimen.cli.main import COMMANDS, main

# Until a line of ours is run, Ctrl-C is Python's own.
START = """
import sys
from kaimen.cli.start import main
from kaimen.interrupt import end_at_once

end_at_once()
print("begins", flush=True)
sys.exit(main())
"""
# Sends the signal at the moment that a module is asked for.
DRIVER = """
import os, signal, sys
from kaimen.cli.start import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

wanted = sys.argv.pop(1)
sys.meta_path.insert(0, Finder())
sys.exit(main())
"""


@pytest.mark.parametrize(
    "module", ["kaimen.cli.main", "kaimen.cli.demo", "numpy", "rich.table", "hnswlib", "soundfile"]
)
def test_ctrl_c_while_modules_are_loaded_shows_nothing(module: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DRIVER, module, "demo"], capture_output=True, cwd=tmp_path
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_in_the_first_second_shows_nothing(command: str, tmp_path: Path) -> None:
    options = {
        "embed": ["x.wav", "--out", "x.npz"],
        "listen": ["x.wav"],
        "audit": ["verify"],
        "bundle": ["status"],
        "backup": ["x"],
        "restore": ["x"],
        "attack": ["--speech", "x", "--phrase", "x"],
        "enroll": ["--from", str(Path(__file__).parents[2] / "edge/kaimen/rehearsal/recordings")],
    }
    script = tmp_path / "kaimen"
    script.write_text(START, encoding="utf-8")
    for delay in (0, 0.05, 0.1, 0.2, 0.4, 0.7):
        running = subprocess.Popen(
            [sys.executable, script, command, *options.get(command, [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
            start_new_session=True,
        )  # fmt: skip
        assert running.stdout is not None and running.stdout.readline() == b"begins\n"
        time.sleep(delay)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert b"Traceback" not in said and b"Exception ignored" not in said, said


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["enrol"], "there is no command 'enrol'; did you mean enroll?"),
        (["xyzzy"], "the commands are demo, setup,"),
        (["listen", "--clam", "x", "y.wav"], "'--clam' is not understood; did you mean --claim?"),
        (["students", "--remoev=x"], "did you mean --remove?"),
        (["calibrate", "li"], "'li' is not understood; see --help"),
        (["a\x1b[2J"], r"'a\x1b[2J'"),
    ],
)
def test_who_mistypes_is_told_what_was_meant(
    given: list[str], meant: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(given)
    assert stopped.value.code == 2 and meant in capsys.readouterr().err
