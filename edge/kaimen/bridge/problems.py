"""The doctor's last findings, from the file that he writes them to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kaimen.bridge.source import GateLog
from kaimen.bridge.status import FAULTS, DoorStatus
from kaimen.parsing import read_json

LARGEST = 1 << 20  # bytes of a file of findings
STATES = ("ok", "attention", "broken")


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that may be wrong, and whether it is."""

    name: str  # lower-case letters, digits and _
    title: str
    state: str  # ok, attention or broken
    found: str = ""
    mend: str = ""

    @property
    def is_one(self) -> bool:
        """Return whether somebody should look at it."""
        return self.state != "ok"


def problems_of(source: GateLog, status: DoorStatus) -> list[Condition]:
    """Return what may be wrong, in a steady order: the gate, the door's faults, the doctor's."""
    runs = source.gate_runs()
    found = [
        Condition("gate", "gate", "ok" if runs else "broken", "" if runs else "it does not run")
    ]
    for name in FAULTS:
        there = name in status.faults
        found.append(Condition(f"fault_{name}", f"door: {name}", "broken" if there else "ok"))
    return found + (findings(source.doctor) if source.doctor else [])


def findings(path: Path) -> list[Condition]:
    """Return the lines of a doctor's file; one that is missing or being written has fewer."""
    try:
        with path.open("rb") as file:
            lines = file.read(LARGEST).split(b"\n")[:-1]
    except OSError:
        return []
    found = {}
    for line in lines:
        try:
            said = read_json(line)
            title, state = str(said["name"]), said["state"]
        except (ValueError, KeyError, TypeError):
            continue
        name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:60]
        if name and state in STATES:
            text = str(said.get("found") or "")[:250], str(said.get("mend") or "")[:250]
            found[name] = Condition(f"doctor_{name}", title[:60], state, *text)
    return list(found.values())
