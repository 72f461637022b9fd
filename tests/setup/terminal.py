"""Somebody at a terminal, who is asked by `kaimen setup`."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pexpect

PATIENCE = 60.0  # seconds; the machines that test are slow


@dataclass(frozen=True)
class Step:
    """A question, a wrong answer and what is said to it, and the right one."""

    asks: str
    answer: str
    wrong: str = ""
    says: str = ""


# The answers of a whole session, all of them other than the defaults.
SESSION = (
    Step("Microphone: .*: $", "default", "studio", "no microphone is called 'studio'"),
    Step("Keep .*: $", "yes", "perhaps", "is none of"),
    Step("Pin of the relay.*: $", "4", "28", "from 0 to 27"),
    Step("the relay is on: .*: $", "low", "middle", "is none of high, low"),
    Step("Switch the relay on .*: $", "yes", "maybe", "is none of yes, skip"),
    Step("Did the door open.*: $", "yes", "what", "is none of yes, no, reversed"),
    Step("Seconds that .*: $", "2.5", "0", "more than 0 and at most 60"),
    Step("Pin of the door's contact.*: $", "22", "4", "another pin than door.pin"),
    Step("while the door is closed.*: $", "high", "both", "is none of high, low"),
    Step("Open and close the door; Enter goes on\r\n *(open|closed)\r\n", ""),
    Step("Was that right.*: $", "yes", "who", "is none of yes, no"),
    Step("Pin of the exit button.*: $", "23", "22", "another pin than door.contact"),
    Step("Press the exit button.*Enter goes on\r\n *not pressed\r\n", ""),
    Step("Was that right.*: $", "yes", "no idea", "is none of yes, no"),
    Step("Card reader.*: $", "/dev/null", "usb", "must begin with /"),
    Step("Write .*: $", "yes", "later", "is none of yes, no"),
)


def of_no_width() -> dict[str, str]:
    """The environment, without how wide readline found the terminal of the tests."""
    return {name: os.environ[name] for name in os.environ.keys() - {"COLUMNS", "LINES"}}


class Services:
    """A systemctl that writes down what it is asked to do, and what had been written by then."""

    def __init__(self, folder: Path, *, failing: str = "") -> None:
        self.folder = folder / "systemd"
        self.folder.mkdir()
        self._calls = self.folder / "calls"
        program = self.folder / "systemctl"
        program.write_text(
            f"""#!/bin/sh
shift  # --no-ask-password
if [ "$1" = is-active ]; then echo active; exit 0; fi
if [ "$1" = "{failing}" ]; then echo "{failing}: not you" >&2; exit 4; fi
echo "$* $(ls {folder}/etc)" >> {self._calls}
""",
            encoding="ascii",
        )
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []


class Terminal:
    """A setup that runs; its folder holds nothing but what setup wrote and ``before``."""

    def __init__(
        self, folder: Path, voice: Path, *options: str, services: Services | None = None
    ) -> None:
        self.folder = folder / "etc"
        self.folder.mkdir(exist_ok=True)
        self.file = self.folder / "kaimen.toml"
        self.trace = folder / "trace"
        self.moves = folder / "moves"
        self.moves.touch()
        arguments = ["-m", "tests.setup.rehearsed", str(self.trace), str(self.moves)]
        arguments += ["--config", str(self.file), "--play", str(voice), *options]
        environment = of_no_width()
        if services is not None:
            environment["PATH"] = f"{services.folder}:{environment['PATH']}"
        self.process = pexpect.spawn(
            sys.executable,
            arguments,
            timeout=PATIENCE,
            dimensions=(50, 300),
            env=environment,
            encoding="utf-8",
            cwd=str(Path(__file__).parents[2]),
        )

    def asked(self, step: Step) -> None:
        """Wait for a question."""
        self.process.expect(re.compile(step.asks, re.DOTALL))

    def answer(self, text: str) -> None:
        self.process.sendline(text)

    def said(self, text: str) -> None:
        """Wait for a sentence."""
        self.process.expect_exact(text)

    def session(self, *steps: Step) -> None:
        """Answer questions rightly."""
        for step in steps:
            self.asked(step)
            self.answer(step.answer)

    def interrupt(self) -> None:
        """Ctrl-C, as a key, until it ends.

        The C library prompts and then waits: a signal that falls between goes unanswered until
        somebody presses again.
        """
        for _ in range(3):
            self.process.sendintr()
            until = time.monotonic() + PATIENCE / 3
            while time.monotonic() < until:
                if not self.process.isalive():
                    return
                time.sleep(0.05)

    def move(self, pin: int, level: str) -> None:
        """Move an input."""
        with self.moves.open("a") as file:
            file.write(f"{pin} {level}\n")

    def ended(self) -> int:
        """The exit code."""
        self.process.expect(pexpect.EOF)
        self.process.close()
        assert self.process.exitstatus is not None, self.process.signalstatus
        return int(self.process.exitstatus)

    def kill(self, number: signal.Signals) -> None:
        self.process.kill(number)

    @property
    def levels(self) -> list[tuple[int, int]]:
        """Pin and level of everything the relay's pins did."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return [(int(pin), int(level)) for _, pin, level in map(str.split, lines)]
