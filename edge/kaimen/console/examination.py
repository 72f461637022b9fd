"""What the doctor finds, asked of a process of its own: models that it loads are gone with it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaimen.parsing import read_json

LISTENED = 1.0  # seconds at the microphone, where no gate has it
PATIENCE = 120.0  # seconds that an examination may take on the slowest board
FRESH = 30.0  # seconds in which nobody examines again
LATER = 10  # of niceness: the gate decides first


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, and when."""

    findings: Sequence[dict[str, Any]]
    at: float  # seconds since 1970
    failed: str = ""  # why nothing was found


class Examination:
    """The last examination, made anew once it is old; one at a time for all who ask."""

    def __init__(self, config: Path | None) -> None:
        self._config = config
        self._lock = asyncio.Lock()
        self.last: Examined | None = None

    async def latest(self) -> Examined:
        """Return what is found now, or was a moment ago."""
        async with self._lock:
            if self.last is None or not 0 <= time.time() - self.last.at < FRESH:
                self.last = await self._examined()
            return self.last

    async def _examined(self) -> Examined:
        options = ["--json", "--seconds", str(LISTENED)]
        if self._config is not None:
            options += ["--config", str(self._config)]
        asked = await asyncio.create_subprocess_exec(
            *("nice", "-n", str(LATER), sys.executable, "-m", "kaimen.cli.main", "doctor"),
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, complaint = await asyncio.wait_for(asked.communicate(), PATIENCE)
        except TimeoutError:
            return Examined([], time.time(), "it took too long")
        finally:
            if asked.returncode is None:
                asked.kill()
                await asked.wait()
        findings = [_finding(line) for line in said.decode(errors="replace").splitlines()]
        found = [each for each in findings if each is not None]
        why = complaint.decode(errors="replace").strip().splitlines()
        return Examined(found, time.time(), "" if found else (why[-1:] or ["it said nothing"])[0])


def _finding(line: str) -> dict[str, Any] | None:
    try:
        found = read_json(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"name", "state", "found"} <= found.keys() else None
