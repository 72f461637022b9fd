"""Real pins on a Raspberry Pi, mock pins everywhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpiozero import Factory
from gpiozero.pins.mock import MockFactory, MockPin

from kaimen.door.board import on_a_pi
from kaimen.errors import DeviceError
from kaimen.settings.door import DoorSettings


def real_pins() -> Factory:
    """Return the pins of this Raspberry Pi's header. Raises DeviceError."""
    from kaimen.door.gpiod_pins import GpiodFactory

    return GpiodFactory()


def mock_pins(file: Path | None = None) -> MockFactory:
    """Pins that only remember what was done to them; in a file, too, if one is given.

    A line of the file is a change: the time of the monotonic clock that all processes of this
    machine share in seconds, the pin as a BCM number, and its level, 0 or 1.
    """
    return MockFactory() if file is None else _TracedFactory(file)


class _TracedPin(MockPin):  # type: ignore[misc]
    def _change_state(self, value: bool) -> bool:
        changed = bool(super()._change_state(value))
        if changed:
            self._factory.write(f"{time.monotonic():.6f} {self._number} {int(value)}\n")
        return changed


class _TracedFactory(MockFactory):  # type: ignore[misc]
    def __init__(self, file: Path) -> None:
        super().__init__(pin_class=_TracedPin)
        try:
            self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise DeviceError(f"{file}: cannot be written ({error.strerror})") from None

    def write(self, line: str) -> None:
        """Unbuffered: what a killed process did is still in the file."""
        os.write(self._file, line.encode())


def pins_of(settings: DoorSettings, trace: Path | None = None) -> Factory:
    """Return the pins of a door: real on a Pi unless mock pins are asked for.

    ``trace``: a file for what mock pins do. Raises DeviceError.
    """
    return real_pins() if on_a_pi() and not settings.mock else mock_pins(trace)


@contextmanager
def claiming(name: str, pin: int) -> Iterator[None]:
    """Make whatever goes wrong with a pin that is being claimed a DeviceError with its name."""
    try:
        yield
    except Exception as error:  # gpiozero's own errors, and the kernel's for a pin that is taken
        raise DeviceError(f"{name} pin {pin} cannot be used: {error}") from None


@dataclass(frozen=True, slots=True)
class Change:
    """A pin changed: when, in seconds after the change before, and to what."""

    after: float
    on: bool


def trace(pins: MockFactory, pin: int) -> list[Change]:
    """Return everything a mock pin did since it was made or forgotten, its first state included."""
    return [Change(float(at), bool(state)) for at, state in pins.pin(f"GPIO{pin}").states]


def forget(pins: MockFactory, pin: int) -> None:
    """Begin the trace of a mock pin anew, with the state it is in."""
    pins.pin(f"GPIO{pin}").clear_states()
