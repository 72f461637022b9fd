"""The relay: off at rest, on only inside a lease.

The lease is ended by a timer of its own, which is started before the relay is switched on:
if there can be no timer there is no opening either.
"""

from __future__ import annotations

import threading

from gpiozero import Factory, OutputDevice

from kaimen.closing import Closing, close_all
from kaimen.door.pins import claiming
from kaimen.errors import DeviceError
from kaimen.settings.door import LEASE, PIN


class Relay(Closing):
    """The relay of a door. Closed is the state of rest."""

    def __init__(
        self, pin: int = PIN, *, pins: Factory, lease: float = LEASE, active_high: bool = True
    ) -> None:
        if not 0 < lease <= 60:
            raise ValueError(f"a lease of {lease} s; choose more than 0 and at most 60")
        self.pin = pin
        self.lease = lease
        self._lock = threading.Lock()
        self._resting = threading.Condition(self._lock)
        self._timer: threading.Timer | None = None
        with claiming("relay", pin):
            self._device = OutputDevice(
                pin, active_high=active_high, initial_value=False, pin_factory=pins
            )

    @property
    def is_on(self) -> bool:
        """Return whether the door may be opened right now."""
        return not self._device.closed and bool(self._device.value)

    def open(self) -> None:
        """Switch on for one lease; a second opening begins a new lease.

        Raises DeviceError, with nothing switched, where no timer can end the lease.
        """
        with self._lock:
            if self._device.closed:
                raise DeviceError("the relay was closed; start the gate again")
            timer = threading.Timer(self.lease, self._end)
            timer.daemon = True
            try:
                timer.start()  # where this fails, a lease that is running still ends
            except RuntimeError as error:
                raise DeviceError(
                    f"no lease can be timed ({error}), so the relay stays as it is; "
                    "free memory or start the gate again"
                ) from None
            if self._timer is not None:
                self._timer.cancel()
            self._timer = timer
            self._device.on()

    def _end(self) -> None:
        with self._lock:
            # A lease that was renewed while its end waited for the lock has not ended.
            if threading.current_thread() is self._timer:
                self._rest()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if not self._device.closed:
            self._device.off()
        self._resting.notify_all()

    def rest(self) -> None:
        """Switch off now."""
        with self._lock:
            self._rest()

    def wait_for_rest(self, timeout: float | None = None) -> bool:
        """Wait until the relay is off; False if it still was on after ``timeout`` seconds."""
        with self._resting:
            return self._resting.wait_for(lambda: self._timer is None, timeout)

    def close(self) -> None:
        """Switch off and give the pin back: an explicit off first, a given-back pin floats."""
        with self._lock:
            close_all(self._rest, self._device.close)
