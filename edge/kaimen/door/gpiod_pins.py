"""gpiozero's pins on the kernel's libgpiod, found by the chip's label and never blipping.

gpiozero's own factories claim an output low and drive it afterwards, which switches an
active-low relay on for a moment, and go by the chip's number.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

from gpiozero.exc import PinFixedPull, PinInvalidFunction, PinInvalidPull, PinSetInput
from gpiozero.pins.pi import PiFactory, PiPin

from kaimen.door.chip import HeaderChip, Line, header_chip, output

REVISION = 0xA02082  # of a Pi 3B; pins 0 to 27 are the same on all, known to gpiozero or not
LOOK = 0.2  # seconds within which a thread that waits for edges sees that it is to end


class GpiodFactory(PiFactory):  # type: ignore[misc]
    """The pins of this Pi's header."""

    def __init__(self, chip: HeaderChip | None = None) -> None:
        """Find the chip. Raises DeviceError."""
        super().__init__()
        self.chip = header_chip() if chip is None else chip
        self.pin_class = GpiodPin

    def _get_revision(self) -> int:
        return REVISION

    @staticmethod
    def ticks() -> float:
        """Return the time in seconds, of the clock that edges are stamped with."""
        return time.monotonic()

    @staticmethod
    def ticks_diff(later: float, earlier: float) -> float:
        """Return the seconds between two of them."""
        return later - earlier


class GpiodPin(PiPin):  # type: ignore[misc]
    """A line, claimed when it is first told what it is to be."""

    def __init__(self, factory: GpiodFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._line: Line | None = None
        self._function = "input"
        self._pull = "floating"
        self._bounce: float | None = None
        self._edges = "both"
        self._watching: threading.Event | None = None  # set: the thread is to end

    def close(self) -> None:
        """Give the line back."""
        self.when_changed = None
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

    def _claim_input(self, *, edges: bool = False) -> Line:
        from gpiod import LineSettings
        from gpiod.line import Bias, Direction, Edge

        try:
            bias = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "floating": Bias.DISABLED}
            chosen = bias[self._pull]
        except KeyError:
            raise PinInvalidPull(f"invalid pull {self._pull!r} for pin {self!r}") from None
        self._release()
        self._line = self.factory.chip.request(
            self._number,
            LineSettings(
                direction=Direction.INPUT,
                bias=chosen,
                edge_detection=Edge[self._edges.upper()] if edges else Edge.NONE,
                debounce_period=timedelta(seconds=self._bounce or 0.0),
            ),
        )
        self._function = "input"
        return self._line

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value == "input":
            self._claim_input(edges=self._watching is not None)
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

    def _get_bounce(self) -> float | None:
        return self._bounce

    def _set_bounce(self, value: float | None) -> None:
        self._bounce = value
        if self._line is not None and self._function == "input":
            self._claim_input(edges=self._watching is not None)

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        handler, self.when_changed = self.when_changed, None
        self._edges = value
        self.when_changed = handler

    def _enable_event_detect(self) -> None:
        line = self._claim_input(edges=True)
        self._watching = threading.Event()
        threading.Thread(
            target=self._watch, args=(line, self._watching), name=f"edges of {self!r}", daemon=True
        ).start()

    def _disable_event_detect(self) -> None:
        if self._watching is not None:
            self._watching.set()
            self._watching = None
            self._claim_input()

    def _watch(self, line: Line, ended: threading.Event) -> None:
        from gpiod import EdgeEvent
        from gpiod.exception import RequestReleasedError

        with_rise = EdgeEvent.Type.RISING_EDGE
        try:
            while not ended.is_set():
                if line.request.wait_edge_events(LOOK):
                    for event in line.request.read_edge_events():
                        ticks = event.timestamp_ns / 1e9
                        self._call_when_changed(ticks, int(event.event_type is with_rise))
        except (RequestReleasedError, OSError):
            return  # the line was given back meanwhile
