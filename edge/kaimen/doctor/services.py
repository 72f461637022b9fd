"""The services: whether they run, begin at boot, and are shut in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kaimen.doctor.finding import Finding, Health, Patient, attention, broken, ok

UNITS = ("kaimen-rest", "kaimen-door", "kaimen-gate")
# Not every gate has these: one that is not enabled has no line.
CHOSEN = ("kaimen-console", "kaimen-bridge", "kaimen-fleet", "kaimen-fleet-desk")
TIMERS = ("kaimen-consents", "kaimen-doctor")
FOLDERS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
EXPOSED = 2.0  # by systemd-analyze, where 0 is not at all and 10 is wholly
WIDE_OPEN = 5.0
INSTALL = "sudo deploy/install.sh, then sudo systemctl enable --now " + " ".join(UNITS)


def check(patient: Patient) -> Iterator[Finding]:
    """Yield each unit of a gate, what else is enabled, and how exposed the most exposed one is."""
    if not (patient.root / "run/systemd/system").exists():
        yield attention(
            "services",
            "no systemd runs here: nothing starts the gate, and nothing starts it again",
            "none is needed to try things out; at a door, use a system with systemd",
        )
        return
    for unit in UNITS:
        yield _unit(patient, unit)
    for unit in CHOSEN:
        if _is_enabled(patient, unit):
            yield _unit(patient, unit)
    for unit in TIMERS:
        if _is_enabled(patient, f"{unit}.timer"):
            yield _timer(patient, unit)
    yield _hardening(patient)


def _unit(patient: Patient, unit: str) -> Finding:
    active = patient.call("systemctl", "is-active", unit) or "unknown"
    enabled = patient.call("systemctl", "is-enabled", unit) or "not-found"
    said = f"{active}, {enabled}"
    if enabled == "not-found":
        return attention(unit, "not installed", INSTALL)
    if active == "failed":
        return broken(unit, said, f"read why: journalctl -u {unit} -n 20")
    if active != "active":
        again = "it ends and is started again" if active == "activating" else "it does not run"
        return attention(
            unit, f"{said}: {again}", f"sudo systemctl restart {unit}; journalctl -u {unit} -n 20"
        )
    if enabled != "enabled":
        return attention(unit, f"{said}: not at the next boot", f"sudo systemctl enable {unit}")
    return ok(unit, said)


def _is_enabled(patient: Patient, unit: str) -> bool:
    return patient.call("systemctl", "is-enabled", unit) == "enabled"


def _timer(patient: Patient, unit: str) -> Finding:
    """Tell whether a timer is enabled, and how what it starts ended the last time."""
    if patient.call("systemctl", "is-active", unit) == "failed":
        return broken(
            f"{unit}.timer", "what it started failed", f"read why: journalctl -u {unit} -n 20"
        )
    return _unit(patient, f"{unit}.timer")


def _hardening(patient: Patient) -> Finding:
    found: dict[str, float] = {}
    for unit in UNITS:
        places = [patient.root / folder / f"{unit}.service" for folder in FOLDERS]
        path = next((each for each in places if each.exists()), None)
        if path is None:
            return attention("hardening", f"{unit} is not installed", INSTALL)
        said = patient.call(
            "systemd-analyze", "security", "--offline=true", "--no-pager", str(path)
        )
        exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said or "")
        if exposure is None:
            return attention(
                "hardening", "not known: systemd-analyze does not say", "update systemd, to 250"
            )
        found[unit] = float(exposure[1])
    worst = max(found, key=lambda unit: found[unit])
    said = f"exposure {found[worst]:.1f} of 10 ({worst})"
    if found[worst] <= EXPOSED:
        return ok("hardening", said, exposure=found[worst])
    state = Health.BROKEN if found[worst] > WIDE_OPEN else Health.ATTENTION
    mend = "sudo deploy/install.sh puts the units back; see what was changed with systemctl cat"
    return Finding("hardening", state, said, mend, {"exposure": found[worst]})
