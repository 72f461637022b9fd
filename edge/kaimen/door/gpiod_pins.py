"""gpiozero's pins on the kernel's libgpiod, found by the chip's label and never blipping.

gpiozero's own factories claim an output low and drive it afterwards, which switches an
active-low relay on for a moment, and go by the chip's number. Inputs are polled: no edges.
"""

from __future__ import annotations

from typing import Any

from gpiozero.exc import PinFixedPull, PinInvalidFunction, PinInvalidPull, PinSetInput
from gpiozero.pins.pi import PiFactory, PiPin

from kaimen.door.chip import Line, header_chip, output

REVISION = 0xA02082  # of a Pi 3B; pins 0 to 27 are the same on all, known to gpiozero or not


class GpiodFactory(PiFactory):  # type: ignore[misc]
    """The pins of this Pi's header."""

    def __init__(self) -> None:
        """Find the chip. Raises DeviceError."""
        super().__init__()
        self.chip = header_chip()
        self.pin_class = GpiodPin

    def _get_revision(self) -> int:
        return REVISION


class GpiodPin(PiPin):  # type: ignore[misc]
    """A line, claimed when it is first told what it is to be."""

    def __init__(self, factory: GpiodFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._line: Line | None = None
        self._function = "input"
        self._pull = "floating"

    def close(self) -> None:
        """Give the line back."""
        self._release()

    def output_with_state(self, state: bool) -> None:
        """Become an output of this level, in one call to the kernel."""
        self._release()
        self._line = self.factory.chip.request(self._number, output(bool(state)))
        self._function = "output"

    def input_with_pull(self, pull: str) -> None:
        """Become an input with a pull, in one call to the kernel."""
        self._pull = pull
        self._claim_input()

    def _release(self) -> None:
        if self._line is not None:
            self._line.release()
            self._line = None

    def _claim_input(self) -> Line:
        from gpiod import LineSettings
        from gpiod.line import Bias, Direction

        try:
            bias = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "floating": Bias.DISABLED}
            chosen = bias[self._pull]
        except KeyError:
            raise PinInvalidPull(f"invalid pull {self._pull!r} for pin {self!r}") from None
        self._release()
        self._line = self.factory.chip.request(
            self._number, LineSettings(direction=Direction.INPUT, bias=chosen)
        )
        self._function = "input"
        return self._line

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value == "input":
            self._claim_input()
        elif value != "output":
            raise PinInvalidFunction(f"invalid function {value!r} for pin {self!r}")
        else:
            # Without a level of its own an output begins with the one that its line has.
            line = self._line or self._claim_input()
            self.output_with_state(line.high)

    def _get_state(self) -> bool:
        return (self._line or self._claim_input()).high

    def _set_state(self, value: bool) -> None:
        if self._line is None or self._function == "input":
            raise PinSetInput(f"cannot set state of pin {self!r}")
        self._line.set(bool(value))

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if self._function != "input":
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        self.input_with_pull(value)
