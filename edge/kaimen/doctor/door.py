"""Pins and lease: what can be said of them without moving any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kaimen.doctor.finding import Finding, Patient, attention, broken, halves, ok
from kaimen.door.chip import header_chip
from kaimen.door.client import Door
from kaimen.door.protocol import DoorState, FaultStatus
from kaimen.door.states import Fault, State
from kaimen.errors import DeviceError
from kaimen.settings import DoorSettings

WIRED = ("contact", "button", "tamper", "green", "red", "buzzer")
EEPROM = (0, 1)  # the firmware talks by them at every boot, to see whether there is a HAT
HELD_HIGH = (2, 3)  # 1.8 kOhm to 3.3 V on the board
PULLED_HIGH = range(9)  # at reset, by the chip; the others are pulled low (BCM2835, table 6-31)
LONG = 10.0  # seconds of a lease in which a second person walks in, too
GREETING = 2.0  # seconds a door that runs may take to greet


def check(patient: Patient) -> Iterator[Finding]:
    """The pins, what the relay does before anything of Kaimen runs, the lease, and the door."""
    door = patient.settings.door
    yield _pins(patient, door)
    yield _boot(door)
    if patient.is_pi and not door.mock:
        yield _crash(patient)
    yield _lease(door)
    yield _door(patient, door)


def _pins(patient: Patient, door: DoorSettings) -> Finding:
    wired = {"relay": door.pin}
    wired |= {name: getattr(door, name) for name in WIRED if getattr(door, name) >= 0}
    said = ", ".join(f"{name} {pin}" for name, pin in wired.items())
    if door.mock or not patient.is_pi:
        why = "mock = true" if door.mock else "this is no Raspberry Pi"
        mend = "take mock out of [door]" if door.mock else "none is needed to try things out"
        return attention("pins", f"simulated, no relay is switched ({why}): {said}", mend)
    devices = patient.root / "dev"
    chips = sorted(devices.glob("gpiochip*"))
    if chips and not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        return attention(
            "pins", f"this user may not use them: {said}", "join the group gpio, or use sudo"
        )
    try:
        chip = header_chip(devices)
        lines = [chip.offset(pin) for pin in wired.values()]
    except DeviceError as error:
        why, mend = halves(str(error))
        return broken("pins", why, mend)
    if lines != [*wired.values()]:
        said += f", on lines {', '.join(map(str, lines))}"
    return ok("pins", f"{said}; {chip}", chip=str(chip))


def _boot(door: DoorSettings) -> Finding:
    """Return what the relay does from power-up until kaimen-rest drives its pin."""
    pin, on = door.pin, "high" if door.active_high else "low"
    if pin in EEPROM:
        return broken(
            "relay at boot", f"the firmware moves GPIO{pin} at boot", "wire it to GPIO17, say"
        )
    if pin in HELD_HIGH and door.active_high:
        return broken(
            "relay at boot",
            f"the board holds GPIO{pin} high, where the relay is on",
            "wire it to GPIO17, say",
        )
    pulled = "high" if pin in PULLED_HIGH else "low"
    if pulled == on:
        other = "from 9 to 27" if door.active_high else "from 4 to 8"
        return attention(
            "relay at boot",
            f"GPIO{pin} is pulled {pulled} until kaimen-rest runs, and the relay is on when {on}",
            f"wire it to a pin {other}, or use a resistor against it (docs/how/door.md)",
        )
    return ok("relay at boot", f"off: GPIO{pin} is pulled {pulled}, the relay is on when {on}")


def _crash(patient: Patient) -> Finding:
    """Tell whether the kernel lets go of the pin of a process that died."""
    found = [patient.text(path) for path in ("boot/firmware/config.txt", "boot/config.txt")]
    lines = [line.strip() for text in found if text for line in text.splitlines()]
    if "dtparam=strict_gpiod" in lines:
        return ok("relay after a crash", "off: strict_gpiod is set")
    return attention(
        "relay after a crash",
        "the kernel keeps a pin's level when its process dies",
        "add dtparam=strict_gpiod to config.txt, and a pull-down resistor (docs/how/door.md)",
    )


def _lease(door: DoorSettings) -> Finding:
    said = f"{door.lease:g} s" + (f", the relay on for {door.pulse:g} s" if door.pulse else "")
    if door.lease > LONG:
        return attention(
            "lease",
            f"{said}: time for somebody else to walk in",
            "set it with 'kaimen setup --yes --lease 3'",
            lease=door.lease,
        )
    return ok("lease", said, lease=door.lease)


def _door(patient: Patient, door: DoorSettings) -> Finding:
    if not door.socket:
        if door.button >= 0:
            return attention(
                "door",
                "a child of 'kaimen run': without it the exit button does nothing",
                "set socket under [door], and run kaimen-door.service",
            )
        return ok("door", "'kaimen run' starts it")
    path = patient.root / door.socket.lstrip("/")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(None, None, str(path))
    return _asked(path)


def _asked(path: Path) -> Finding:
    """Return what a door that runs says as it greets; nothing is asked of it."""
    try:
        with Door.connect(path, timeout=GREETING) as found:
            events = found.events()
    except DeviceError as error:
        if "another voice process" in str(error):
            return ok("door", "it runs, and the gate has it")
        why, _ = halves(str(error))
        return broken("door", why, "sudo systemctl restart kaimen-door")
    if FaultStatus(Fault.TAMPER.value, True) in events:
        return broken("door", "its box is open, or the wire of its switch is cut", "look at it")
    state = next(each.name for each in events if isinstance(each, DoorState))
    if state in (State.FORCED.value, State.HELD.value, State.AJAR.value):
        return attention("door", f"it stands open ({state})", "close it, and look at its contact")
    return attention(
        "door", f"it runs ({state}), and no gate has it", "sudo systemctl start kaimen-gate"
    )
