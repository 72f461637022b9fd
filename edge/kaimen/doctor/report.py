"""What of a machine and its gate is worth sending to who looks for a fault, and nothing else.

Only what is named here is written, never a text that somebody chose: no name of a student, a group,
a school, a user or the machine, no path, no voice, no key, no address. So a setting that is a text
is only said to be set, and of a finding that may quote such a text only the state and the numbers.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from kaimen import __version__
from kaimen.bench.phrase import voice
from kaimen.bench.timing import median
from kaimen.doctor.encoder import some_phrase
from kaimen.doctor.finding import Finding, Measured, Patient
from kaimen.door.board import board_of
from kaimen.door.chip import chips
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.settings.encoder import ENCODERS
from kaimen.settings.gate import POLICIES
from kaimen.sound.microphone import inputs
from kaimen.update import apt
from kaimen.voice import features
from kaimen.voice.network import RUNTIMES

# Texts of settings that the program itself knows.
WORDS = {*ENCODERS, *POLICIES, *RUNTIMES, "low", "high", ""}
# Findings that tell of the machine alone.
OPEN = {
    "pins", "relay at boot", "relay after a crash", "lease", "speed", "model", "noise floor",
    "rate", "card", "clock", "power", "hardening",
}  # fmt: skip
UNIT = "kaimen-"  # what a service's finding begins with

Part = tuple[str, Callable[[], Any]]


def parts(
    patient: Patient, settings: Settings | None, found: Iterable[Finding], screen: Screen
) -> list[Part]:
    """Return what a report is made of, each by its name; ``settings`` None for a broken file."""
    return [
        ("kaimen", _program),
        ("machine", lambda: _machine(patient)),
        ("chips", lambda: list(chips(patient.root / "dev"))),
        ("cards", lambda: _cards(patient)),
        ("inputs", lambda: list(_inputs())),
        ("milliseconds", lambda: _speeds(screen)),
        ("settings", lambda: _shown(settings)),
        ("findings", lambda: [_finding(each) for each in found]),
    ]


def report(parts: Iterable[Part]) -> dict[str, Any]:
    """Return the report. A part that cannot be had is the kind of its error, and stops nothing."""
    made: dict[str, Any] = {"written": datetime.date.today().isoformat()}
    for name, part in parts:
        try:
            made[name] = part()
        except Exception as error:  # its text may quote what nobody wants to send
            made[name] = {"error": type(error).__name__}
    return made


def _program() -> dict[str, Any]:
    wanted = importlib.metadata.requires("kaimen") or []
    names = {re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in wanted}
    return {
        "version": __version__,
        "package": apt.installed(),
        "python": platform.python_version(),
        "libraries": dict(_versions(sorted(names))),
    }


def _versions(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def _machine(patient: Patient) -> dict[str, Any]:
    known = dict(
        line.split("=", 1)
        for line in (patient.text("etc/os-release") or "").splitlines()
        if "=" in line
    )
    revision = patient.root / "proc/device-tree/system/linux,revision"
    memory = re.search(r"MemTotal: +(\d+) kB", patient.text("proc/meminfo") or "")
    return {
        "board": board_of(patient.root),
        "revision": revision.read_bytes().hex() if revision.exists() else None,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": int(memory[1]) // 1024 if memory else None,
        "kernel": f"{platform.release()} {platform.version()}",
        "system": {name: known.get(name, "").strip('"') for name in ("ID", "VERSION_ID")},
        "systemd": (patient.call("systemctl", "--version") or "").partition("\n")[0],
    }


def _cards(patient: Patient) -> list[str]:
    """Return the sound cards, as the kernel names them."""
    return [line.strip() for line in (patient.text("proc/asound/cards") or "").splitlines()]


def _inputs() -> Iterator[dict[str, Any]]:
    """Yield the microphones that the kernel has; a sound server's may be named after somebody."""
    for each in inputs():
        if "(hw:" in each["name"]:
            yield {
                "name": each["name"],
                "channels": each["max_input_channels"],
                "rate": each["default_samplerate"],
            }


def _speeds(screen: Screen) -> dict[str, float]:
    """Return milliseconds of a phrase's features, and of a point by each model in each runtime."""
    sound = some_phrase()
    taken = {"features": median(lambda: features.log_mel(sound))}
    for model, path in ENCODERS.items():
        taken |= {f"{model}: {name}": each for name, each in voice(path, sound, screen).items()}
    return {name: round(seconds * 1000, 2) for name, seconds in taken.items()}


def _shown(value: Any) -> Any:
    """Return settings: numbers, and words that the program knows; others only as "set"."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _shown(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, str):
        return value if value in WORDS else "set"
    return f"{len(value)} of them" if isinstance(value, tuple | list | dict) else "set"


def _finding(finding: Finding) -> dict[str, Any]:
    own = finding.name in OPEN or finding.name.startswith(UNIT)
    return {
        "name": finding.name,
        "state": finding.state.value,
        "found": finding.found if own else None,
        "measured": {name: value for name, value in finding.measured.items() if _counts(value)},
    }


def _counts(value: Measured) -> bool:
    return isinstance(value, int | float) or value in WORDS
