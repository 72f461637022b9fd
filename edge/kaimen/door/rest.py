"""Rest: the level of every output at which nothing is on, and driving the lines there.

It is for after a door that was killed and for before the first one starts. So it needs as little
as can be: neither gpiozero nor settings without a mistake. It goes by what a door wrote down as
it claimed its pins, and by what can be read of [door].
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kaimen.errors import DeviceError, SettingsError
from kaimen.parsing import read_json, read_toml
from kaimen.settings.door import DoorSettings
from kaimen.settings.section import filled

LIGHTS = ("green", "red", "buzzer")  # on when high
Levels = dict[int, bool]  # of outputs at rest, by BCM number; the relay's is the first


def levels_of(door: DoorSettings) -> Levels:
    """Return the levels of a door at rest."""
    lights = [getattr(door, name) for name in LIGHTS]
    return {door.pin: not door.active_high} | {pin: False for pin in lights if pin >= 0}


def levels_path(socket: Path | str) -> Path:
    """Return where a door that listens there writes down its levels of rest."""
    return Path(f"{socket}.rest")


def write_down(levels: Levels, path: Path) -> None:
    """Keep the levels for whoever comes after a killed door. Raises DeviceError."""
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_bytes(json.dumps(levels).encode())
        os.replace(new, path)  # noqa: PTH105 - one step, and no other module is loaded
    except OSError as error:
        raise DeviceError(f"{path}: cannot be written ({error.strerror})") from None


def written_down(path: Path) -> Levels:
    """Return what a door wrote down; nothing where none did."""
    with suppress(OSError, ValueError, AttributeError):
        found = read_json(path.read_bytes())
        return {int(pin): bool(high) for pin, high in found.items() if 0 <= int(pin) <= 27}
    return {}


def readable(path: Path | None) -> tuple[Levels, bool]:
    """Return the levels that can be read of [door], and whether its pins are simulated.

    Mistakes in other sections do not matter. With one in [door] only an output of which all is
    written counts: a default may stand where a misspelt name should. Raises SettingsError where
    not even the relay is known.
    """
    if path is None:
        return levels_of(DoorSettings()), False
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    table = _table(text)
    if table.get("mock") is True:
        return {}, True
    with suppress(SettingsError):
        return levels_of(filled(DoorSettings(), table, "[door]")), False
    pin, active_high = table.get("pin"), table.get("active_high")
    if type(pin) is not int or not 0 <= pin <= 27 or type(active_high) is not bool:
        raise SettingsError(
            f"{path}: [door] has a mistake, and does not say which pin and level the relay has; "
            "'kaimen settings' names it"
        )
    lights = [table.get(name) for name in LIGHTS]
    wired = {light for light in lights if type(light) is int and 0 <= light <= 27}
    return {pin: not active_high} | {light: False for light in wired if light != pin}, False


def _table(text: str) -> dict[str, Any]:
    """Return [door] of a TOML text; of one that is none, the lines of [door] that are."""
    with suppress(ValueError):
        found = read_toml(text).get("door", {})
        return found if isinstance(found, dict) else {"door": found}
    table: dict[str, Any] = {}
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            inside = line.split("#")[0].strip() == "[door]"
        elif inside:
            try:
                table |= read_toml(line)
            except ValueError:
                table[line] = None  # a mistake in [door] itself
    return table


def find_levels(settings: Path | None, socket: Path | str | None) -> tuple[Levels, bool]:
    """Return what is to be driven to rest, and whether pins are simulated.

    What the door wrote down may be on, and what the settings name now is the next door's: both.
    Of one pin the settings know better. Raises SettingsError where neither says anything.
    """
    stored = written_down(levels_path(socket)) if socket else {}
    try:
        chosen, mock = readable(settings)
    except SettingsError:
        if not stored:
            raise
        return stored, False
    return ({}, True) if mock else (stored | chosen, False)


def drive_to_rest(levels: Mapping[int, bool], *, pins: Any = None) -> None:
    """Drive every output to rest and give it back; of ``pins`` of gpiozero's, if given.

    One that cannot be driven keeps none of the others on. Raises DeviceError with the first.
    """
    failed: DeviceError | None = None
    for pin, high in levels.items():
        try:
            _drive(pin, high, pins)
        except DeviceError as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _drive(pin: int, high: bool, pins: Any) -> None:
    if pins is None:
        from kaimen.door.chip import drive

        drive(pin, high)
        return
    from gpiozero import OutputDevice

    OutputDevice(pin, initial_value=high, pin_factory=pins).close()
