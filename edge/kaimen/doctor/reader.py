"""What says who comes beside the microphone: whether it is there, and what it may open."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from kaimen.doctor.finding import Finding, Patient, attention, broken, ok
from kaimen.registry.database import PATIENCE
from kaimen.registry.opening import open_file
from kaimen.settings import Settings

KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a serial line or a reader that types"),
    (stat.S_ISREG, "a file"),
)


def check(patient: Patient) -> Iterator[Finding]:
    """Yield the reader, and who may enter by card and PIN."""
    settings = patient.settings
    yield _reader(patient, settings)
    with_pin = _students_with_pin(settings.gallery.file)
    if with_pin or settings.reader.pin:
        yield _pins(with_pin, settings)


def _students_with_pin(registry: Path) -> int:
    """How many there are; none in a registry that is not there or that the gallery's line is of."""
    if not registry.exists():
        return 0
    try:
        with closing(open_file(registry, (), PATIENCE).connection) as database:
            ((count,),) = database.execute("SELECT count(*) FROM pins")
            return int(count)
    except (OSError, sqlite3.Error):
        return 0


def _reader(patient: Patient, settings: Settings) -> Finding:
    written, policy = settings.reader.path, settings.gate.policy
    if not written:
        if policy != "voice":
            return broken(
                "reader",
                f'nobody can say who they are, and [gate] policy is "{policy}"',
                "set [reader] path, or the policy to voice",
            )
        return ok("reader", "none is set, and none is needed")
    path = patient.root / written.lstrip("/")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return attention(
            "reader",
            f"{written}: not there; the gate waits for it",
            "plug it in, or name another in [reader]; see 'ls /dev/serial/by-id /dev/input/by-id'",
        )
    kind = next((name for fits, name in KINDS if fits(mode)), "")
    if not kind:
        return broken("reader", f"{written}: this is no reader", "name another path in [reader]")
    if not os.access(path, os.R_OK):
        return attention(
            "reader",
            f"{written}: this user may not read it",
            "join the groups dialout and input, or use sudo",
        )
    speed = f", {settings.reader.baud} baud where it is serial" if stat.S_ISCHR(mode) else ""
    return ok("reader", f"{written}: {kind}{speed}")


def _pins(students: int, settings: Settings) -> Finding:
    numbers = {"students": float(students)}
    if not settings.reader.pin:
        return attention(
            "pins of students",
            f"{students} students have a PIN, and no door asks for it",
            "set [reader] pin = true, or 'kaimen students --no-pin'",
            **numbers,
        )
    if not settings.reader.path:
        return attention(
            "pins of students",
            "[reader] pin is on, and there is no reader",
            "set its path",
            **numbers,
        )
    if not students:
        return attention(
            "pins of students",
            "[reader] pin is on, and nobody has a PIN",
            "set one with 'kaimen students NAME --pin', or turn it off",
            **numbers,
        )
    return ok("pins of students", f"{students} students may enter by card and PIN", **numbers)
