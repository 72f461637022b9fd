"""All checks in their order, and what becomes of one that cannot be made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kaimen.doctor import (
    bundle,
    door,
    drift,
    encoder,
    files,
    fleet,
    gallery,
    key,
    log,
    machine,
    microphone,
    reader,
    services,
)
from kaimen.doctor.finding import Check, Finding, Patient, of_error

# What is of the gate, and needs its settings.
GATE: Mapping[str, Check] = {
    "microphone": microphone.check,
    "door": door.check,
    "reader": reader.check,
    "encoder": encoder.check,
    "bundle": bundle.check,
    "gallery": gallery.check,
    "files": files.check,
    "key": key.check,
    "log": log.check,
    "drift": drift.check,
    "fleet": fleet.check,
    "disk": machine.disk,
}

# What is of the machine alone.
MACHINE: Mapping[str, Check] = {
    "clock": machine.clock,
    "power": machine.power,
    "services": services.check,
}


def examine(patient: Patient, checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Yield what the checks find; one that raises is a finding, too, and ends nothing."""
    for name, check in checks:
        try:
            yield from check(patient)
        except Exception as error:  # whatever it is, the next check may still tell something
            yield of_error(name, error)
