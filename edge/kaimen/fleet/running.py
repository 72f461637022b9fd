"""The process of a desk or a gate of a fleet: for years, whatever goes wrong meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from kaimen.errors import KaimenError
from kaimen.fleet.gate import FleetGate
from kaimen.fleet.member import Member
from kaimen.parsing import read_json
from kaimen.systemd import notify

RETRY = 2.0  # seconds after an error
QUIET = 5.0  # seconds without a change, after which index and calibration are brought in line
AT_LAST = 60.0  # seconds after the first change, in which that is begun even without quiet


def serve(
    member: Member,
    stop: threading.Event,
    say: Callable[[str], None],
    also: Callable[[], None] = lambda: None,
) -> None:
    """Do what is due until told to stop; a disk that is full or busy is tried again."""
    notify("READY=1")
    said = ""
    while not stop.is_set():
        try:
            member.step()
            also()
            if member.replica.whole or not member.link.connected:
                said = ""
        except KaimenError as error:
            if str(error) != said:
                said = str(error)
                say(f"{error}; trying again")
            stop.wait(RETRY)
        status = "linked" if member.link.connected else f"no broker: {member.link.why_not}"
        notify("WATCHDOG=1", f"STATUS={len(member.replica.ledger.entries)} entries; {status}")
    notify("STOPPING=1")


class Settling:
    """Brings index and calibration in line with a gate's students, once these are quiet.

    In a process of its own: it needs the memory of a gate, and gives it back. Only a whole set is
    calibrated to: a desk attests it.
    """

    def __init__(self, gate: FleetGate, command: Sequence[str]) -> None:
        self._gate = gate
        self._command = list(command)
        self._version: int | None = None
        self._first = self._latest = 0.0
        self._process: subprocess.Popen[str] | None = None
        self.problem = ""  # why no door is armed

    def look(self) -> None:
        """Begin it where it is due, and take up how it went."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._end(self._process)
            self._process = None
        now = time.monotonic()
        written = self._gate.replica.written
        if self._version != written:
            self._first = self._first or now
            self._version, self._latest = written, now
        due = now - self._latest > QUIET or now - self._first > AT_LAST
        if self._first and due and self._gate.replica.names and self._gate.replica.whole:
            self._first = 0.0
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )

    def _end(self, process: subprocess.Popen[str]) -> None:
        out, _ = process.communicate()
        try:
            found: dict[str, Any] = read_json(out.splitlines()[-1])
            self.problem = str(found.get("error") or found.get("reason") or "")
        except (ValueError, IndexError):
            self.problem = f"index and calibration: exit code {process.returncode}"

    def close(self) -> None:
        """End it; the next start begins it again."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None


def own_command(*words: str, config: str | None) -> list[str]:
    """Return a command of Kaimen by the same settings, for a process of its own."""
    command = [sys.executable, "-m", "kaimen.cli.main", *words, "--json"]
    return [*command, "--config", config] if config else command
