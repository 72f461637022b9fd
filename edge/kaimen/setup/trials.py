"""What setup tries: a microphone, the relay for one lease, the contact, the button.

The relay is switched by a door in a process of its own, as by the gate: whatever becomes of
setup meanwhile, the lease ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gpiozero import Factory

from kaimen.closing import Closing
from kaimen.door.board import on_a_pi
from kaimen.door.chip import header_chip
from kaimen.door.client import Door
from kaimen.door.panel import Input
from kaimen.door.pins import mock_pins, real_pins
from kaimen.errors import DeviceError
from kaimen.settings import DoorSettings
from kaimen.sound import Samples
from kaimen.sound.loudness import Loudness, listened
from kaimen.sound.microphone import Microphone, connected
from kaimen.sound.played import Played

LISTENED = 5.0  # seconds of the meter
LEASE = 1.0  # seconds the relay is on for a trial


class Trials(Closing):
    """The devices of one machine; a context manager that leaves the relay at rest."""

    def __init__(self, began: DoorSettings, *, play: Path | None = None) -> None:
        """``began``: the door as it was set before; ``play``: a recording for a microphone."""
        self._began = began
        self._play = play
        self.heard = ""  # what was listened to last: its name, and the channel of several
        self._pins: Factory | None = None
        self._relay: DoorSettings | None = None  # that was tried last

    @property
    def simulated(self) -> bool:
        """Return whether pins only remember what is done to them."""
        return self._began.mock or not on_a_pi()

    @property
    def pins(self) -> str:
        """Return a sentence that says which pins are tried."""
        if self.simulated:
            return "pins are simulated: no relay is switched"
        try:
            return f"the header's pins are those of {header_chip()}"
        except DeviceError as error:
            return f"✗ {error}"

    def microphones(self) -> list[str]:
        """Return names of the microphones that are connected. Raises DeviceError."""
        return [str(self._play)] if self._play else connected()

    def listen(self, name: str, show: Callable[[Samples], object]) -> Loudness:
        """Listen for some seconds. Raises DeviceError and RecordingError."""
        source = Played.open(self._play) if self._play else Microphone(name or None)
        sound = listened(source, LISTENED, show)
        self.heard = source.name
        return Loudness.of(sound)

    def lease(self, door: DoorSettings) -> None:
        """Switch the relay on for one short lease, and wait for its end. Raises DeviceError."""
        self._relay = replace(
            DoorSettings(), pin=door.pin, active_high=door.active_high, lease=LEASE, mock=door.mock
        )
        with Door.start(self._relay) as started:
            started.open()
            started.wait_for_rest(LEASE + 1)

    def input(self, pin: int, name: str) -> Input:
        """Return a contact or a button, for looking at. Raises DeviceError."""
        if self._pins is None:
            self._pins = mock_pins() if self.simulated else real_pins()
        return Input(pin, name, pins=self._pins)

    def give_up(self) -> None:
        """Leave the relay as the settings that stay have it at rest.

        A pin keeps its level: after a trial at the wrong polarity, rest would be an open door.
        """
        began, tried = self._began, self._relay
        if tried and tried.pin == began.pin and tried.active_high != began.active_high:
            with (
                contextlib.suppress(DeviceError),
                Door.start(replace(tried, active_high=began.active_high)),
            ):
                pass

    def close(self) -> None:
        """Give the pins back."""
        if self._pins is not None:
            self._pins.close()
