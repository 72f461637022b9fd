"""Real pins on a Raspberry Pi, mock pins everywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpiozero import Factory
from gpiozero.pins.mock import MockFactory

from edge.errors import DeviceError

MODEL = Path("/proc/device-tree/model")


def on_a_pi() -> bool:
    """Whether this machine is a Raspberry Pi."""
    try:
        return "Raspberry Pi" in MODEL.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def real_pins() -> Factory:
    """The pins of this Raspberry Pi. Raises DeviceError."""
    try:
        from gpiozero.pins.lgpio import LGPIOFactory

        return LGPIOFactory()
    except Exception as error:  # lgpio raises its own error class, and ImportError without it
        raise DeviceError(
            f"the pins cannot be used ({error}); install 'kaimen[pi]', join the group gpio, "
            "or set mock = true under [door]"
        ) from None


def mock_pins() -> MockFactory:
    """Pins that only remember what was done to them."""
    return MockFactory()


@dataclass(frozen=True, slots=True)
class Change:
    """A pin changed: when, in seconds after the change before, and to what."""

    after: float
    on: bool


def trace(pins: MockFactory, pin: int) -> list[Change]:
    """Everything a mock pin did since it was made or forgotten, its first state included."""
    return [Change(float(at), bool(state)) for at, state in pins.pin(f"GPIO{pin}").states]


def forget(pins: MockFactory, pin: int) -> None:
    """Begin the trace of a mock pin anew, with the state it is in."""
    pins.pin(f"GPIO{pin}").clear_states()
