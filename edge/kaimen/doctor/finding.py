"""What a check finds, and of what: one line of the doctor's table."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from kaimen.door.board import board_of, is_pi
from kaimen.errors import KaimenError
from kaimen.installation import Installation
from kaimen.settings import Settings

PATIENCE = 10.0  # seconds a program of the machine may take to answer

Measured = float | str | None


class Health(StrEnum):
    """How it is: well; not as it should be, though the gate works; or the gate does not."""

    OK = "ok"
    ATTENTION = "attention"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was examined, how it is, what was found, and what to do."""

    name: str
    state: Health
    found: str
    mend: str = ""
    measured: Mapping[str, Measured] = field(default_factory=dict)  # for programs


def ok(name: str, found: str, **measured: Measured) -> Finding:
    """Return that all is well."""
    return Finding(name, Health.OK, found, measured=measured)


def attention(name: str, found: str, mend: str, **measured: Measured) -> Finding:
    """Return that the gate works; somebody should look at it all the same."""
    return Finding(name, Health.ATTENTION, found, mend, measured)


def broken(name: str, found: str, mend: str, **measured: Measured) -> Finding:
    """Return that the gate cannot do its work, or is not safe."""
    return Finding(name, Health.BROKEN, found, mend, measured)


def halves(sentence: str) -> tuple[str, str]:
    """Return what is wrong and what to do, of a sentence that says both; the latter may be empty.

    A semicolon in parentheses is of what somebody else's program said.
    """
    depth = 0
    for at, character in enumerate(sentence):
        depth += (character == "(") - (character == ")")
        if depth <= 0 and sentence.startswith("; ", at):
            return sentence[:at], sentence[at + 2 :]
    return sentence, ""


def of_error(name: str, error: Exception) -> Finding:
    """Return what became of a check that could not be made."""
    if isinstance(error, KaimenError):  # one sentence: what is wrong; what to do
        return broken(name, *halves(str(error)))
    if isinstance(error, PermissionError):
        return attention(name, f"this user may not look at {error.filename}", "run it with sudo")
    return broken(
        name, f"could not be examined ({type(error).__name__}: {error})", "report this line"
    )


@dataclass(frozen=True, slots=True)
class Patient:
    """A gate that is examined: its parts, and the machine it is on."""

    installation: Installation
    root: Path = Path("/")  # of the machine's own files: /proc, /sys, /dev, programs
    seconds: float = 3.0  # to listen
    play: Path | None = None  # a recording in the microphone's place

    @property
    def settings(self) -> Settings:
        """Return the gate's settings."""
        return self.installation.settings

    @property
    def is_pi(self) -> bool:
        """Return whether the machine is a Raspberry Pi."""
        return is_pi(board_of(self.root))

    def text(self, path: str) -> str | None:
        """Return what is in a file of the machine; None where there is none."""
        try:
            text = (self.root / path).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return text.strip("\0\n ")

    def call(self, *command: str) -> str | None:
        """What a program of the machine says; None where there is none or it does not answer."""
        place = None if self.root == Path("/") else str(self.root / "usr/bin")
        program = shutil.which(command[0], path=place)
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip()


Check = Callable[[Patient], Iterable[Finding]]


def require_readable(path: Path) -> None:
    """Raise PermissionError where this user may not look: that says nothing of the file."""
    with contextlib.suppress(FileNotFoundError):
        path.open("rb").close()
