"""A card read by two pins, for a panel that knows nothing newer than Wiegand.

Both lines rest high. A bit is a low pulse of 50 µs on the line of its value, one every 2 ms. Nobody
answers on these wires: whether a read arrived is not known, an open box cannot be told, and who
reaches the wires can write on them. OSDP is better wherever there is a choice.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gpiozero import Factory, OutputDevice

from kaimen.bridge.card_format import Bits
from kaimen.bridge.source import EVERY, GateLog
from kaimen.bridge.status import openings
from kaimen.closing import Closing, close_all
from kaimen.door.pins import claiming, pins_of
from kaimen.errors import SettingsError
from kaimen.gate.supervisor import Pulse
from kaimen.settings import DoorSettings, WiegandSettings

PULSE = 50_000  # ns that a line is low
PERIOD = 2_000_000  # ns from one pulse to the next
APART = 0.25  # seconds between two reads, so that a panel takes none for a part of another
SPIN = 500_000  # ns before a pulse in which the processor is kept: sleeping is that inexact
PATIENCE = 30.0  # seconds without a sign of life


def send(
    read: Bits,
    lines: tuple[OutputDevice, OutputDevice],
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Send the bits, as evenly as a program can; both lines rest at the end, whatever happens.

    A bit is a pulse on the line of its value, which is low while it is on. ``clock`` counts ns;
    ``sleep`` takes seconds.
    """
    due = clock() + SPIN
    for bit in read:
        sleep(max(0, due - clock() - SPIN) / 1e9)
        while clock() < due:
            pass
        line, end = lines[bit], clock() + PULSE
        try:
            line.on()
            while clock() < end:
                pass
        finally:
            line.off()
        due = clock() + PERIOD - PULSE  # a late pulse delays the others: never two at once


class DataLines(Closing):
    """Two pins that rest high."""

    def __init__(self, settings: WiegandSettings, pins: Factory) -> None:
        """Claim them. Raises DeviceError."""
        self._devices: list[OutputDevice] = []
        try:
            for name in ("data0", "data1"):
                pin = getattr(settings, name)
                with claiming(name, pin):
                    self._devices.append(
                        OutputDevice(pin, active_high=False, initial_value=False, pin_factory=pins)
                    )
        except BaseException:
            self.close()
            raise

    @property
    def pair(self) -> tuple[OutputDevice, OutputDevice]:
        """Return the line of a 0, and that of a 1."""
        return self._devices[0], self._devices[1]

    def close(self) -> None:
        """Give the pins back."""
        close_all(*(each.close for each in self._devices))


class WiegandBridge:
    """Sends a read for each opening; none twice, and none late."""

    name = "Wiegand output"
    patience = PATIENCE

    def __init__(
        self,
        settings: WiegandSettings,
        door: DoorSettings,
        source: GateLog,
        say: Callable[[str], None],
        *,
        pins: Factory | None = None,
    ) -> None:
        """Take the settings. Raises SettingsError for what cannot be."""
        self._settings, self._door, self._source, self._say = settings, door, source, say
        self._pins = pins
        used = [
            getattr(door, name)
            for name in ("pin", "contact", "button", "tamper", "green", "red", "buzzer")
        ]
        for name in ("data0", "data1"):
            if getattr(settings, name) in used:
                raise SettingsError(f"wiegand.{name} is a pin of the door; choose another")
        source.require_cards(settings, "wiegand")

    def run(self, pulse: Pulse) -> None:
        """Serve until told to stop. Raises DeviceError for a pin that cannot be used."""
        follower = self._source.follower()
        pins = pins_of(self._door) if self._pins is None else self._pins
        with DataLines(self._settings, pins) as lines:
            pulse.wait(APART)  # what a bridge that was killed began is no part of a read any more
            while not pulse.stopped:
                for record in openings(follower.waiting()):
                    read = self._source.read_for(record, self._settings, self._say)
                    if read is not None:
                        send(read, lines.pair)
                    pulse.wait(APART)
                    pulse.alive()
                pulse.well()
                pulse.wait(EVERY)
