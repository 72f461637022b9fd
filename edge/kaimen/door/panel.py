"""What is wired to the door beside its relay; all of it may be missing.

Inputs are polled. gpiozero's own debouncing calls back from threads of lgpio, passes the first
edge of a bounce on and is not there at all on mock pins.
"""

from __future__ import annotations

from gpiozero import Factory, InputDevice, OutputDevice

from kaimen.closing import close_all
from kaimen.door.patterns import PATTERNS, is_on
from kaimen.door.pins import claiming
from kaimen.door.rest import LIGHTS
from kaimen.settings.door import DoorSettings

BOUNCE = 0.03  # seconds a level must stay before it counts


class Input:
    """A switch to ground with the Pi's own pull-up, debounced; low is True."""

    def __init__(self, pin: int, name: str, *, pins: Factory) -> None:
        """Raises DeviceError. What it is at first is no news."""
        with claiming(name, pin):
            self._device = InputDevice(pin, pull_up=True, pin_factory=pins)
        self.low = self._seen = bool(self._device.value)
        self._since = 0.0  # when another level was seen

    def changed(self, now: float) -> bool:
        """Look at the pin; whether ``low`` is another than at the last look."""
        seen = bool(self._device.value)
        if seen != self._seen:
            self._seen, self._since = seen, now
        if seen == self.low or now - self._since < BOUNCE:
            return False
        self.low = seen
        return True

    def close(self) -> None:
        """Give the pin back."""
        self._device.close()


class Panel:
    """Contact, exit button, tamper switch, lights and buzzer."""

    def __init__(self, settings: DoorSettings, *, pins: Factory) -> None:
        """Claim every pin that is wired. Raises DeviceError."""
        self._inputs: list[Input] = []
        self._outputs: dict[str, OutputDevice] = {}
        self._playing, self._since = "", 0.0
        try:
            self.contact = self._input("contact", settings.contact, pins)
            self.button = self._input("button", settings.button, pins)
            self.tamper = self._input("tamper", settings.tamper, pins)
            for name in LIGHTS:
                self._output(name, getattr(settings, name), pins)
        except BaseException:
            self.close()
            raise
        self._closed_is_low = settings.contact_closed == "low"

    @property
    def stands_open(self) -> bool:
        """Return whether the contact says so; never without one."""
        return self.contact is not None and self.contact.low != self._closed_is_low

    @property
    def tampered(self) -> bool:
        """Return whether the box is open, or its wire cut; never without a switch."""
        return self.tamper is not None and not self.tamper.low

    def restart(self, name: str) -> None:
        """Begin anew where this pattern is being played."""
        if self._playing == name:
            self._playing = ""

    def play(self, name: str, now: float) -> None:
        """Set lights and buzzer to where the pattern is at ``now``."""
        if name != self._playing:
            self._playing, self._since = name, now
        pattern = PATTERNS[name]
        for light, device in self._outputs.items():
            on = is_on(getattr(pattern, light), now - self._since)
            if on != bool(device.value):
                (device.on if on else device.off)()

    def close(self) -> None:
        """Switch everything off and give the pins back."""
        outputs, inputs = self._outputs, self._inputs
        self._outputs, self._inputs = {}, []
        close_all(
            *(step for each in outputs.values() for step in (each.off, each.close)),
            *(each.close for each in inputs),
        )

    def _input(self, name: str, pin: int, pins: Factory) -> Input | None:
        if pin < 0:
            return None
        found = Input(pin, name, pins=pins)
        self._inputs.append(found)
        return found

    def _output(self, name: str, pin: int, pins: Factory) -> None:
        if pin < 0:
            return
        with claiming(name, pin):
            self._outputs[name] = OutputDevice(pin, initial_value=False, pin_factory=pins)
