"""[door]: what is wired to the door, and how long one decision opens it."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.errors import SettingsError

PIN = 17  # of the relay, a BCM number
LEASE = 3.0  # seconds


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """[door]; pins are BCM numbers, -1 for what is not wired."""

    pin: int = PIN  # of the relay
    lease: float = LEASE  # seconds one decision may hold the relay
    longest: float = 300.0  # seconds openings one after the other may hold the relay
    pulse: float = 0.0  # seconds of a lease that the relay is on; 0: all of it
    active_high: bool = True
    contact: int = -1  # tells whether the door stands open
    contact_closed: str = "low"  # or "high": the contact's level while the door is closed
    held: float = 20.0  # seconds the door may stand open after a lease
    button: int = -1  # exit button
    tamper: int = -1  # switch in the box, low while it is closed
    green: int = -1
    red: int = -1
    buzzer: int = -1
    socket: str = ""  # where 'kaimen door' listens; empty: the door is started as a child
    mock: bool = False  # pins that only remember, even on a Pi

    def __post_init__(self) -> None:
        if not 0 < self.lease <= 60:
            raise SettingsError("door.lease must be more than 0 and at most 60 seconds")
        if not self.lease < self.longest <= 3600:
            raise SettingsError("door.longest must be more than the lease and at most 3600 seconds")
        if not 0 <= self.pulse <= self.lease:
            raise SettingsError("door.pulse must be from 0 to the lease, in seconds")
        if not 0 < self.held <= 3600:
            raise SettingsError("door.held must be more than 0 and at most 3600 seconds")
        if self.contact_closed not in ("low", "high"):
            raise SettingsError("door.contact_closed must be low or high")
        if not 0 <= self.pin <= 27:
            raise SettingsError("door.pin must be a BCM number from 0 to 27")
        used = {self.pin: "pin"}
        for name in ("contact", "button", "tamper", "green", "red", "buzzer"):
            pin = getattr(self, name)
            if not -1 <= pin <= 27:
                raise SettingsError(f"door.{name} must be a BCM number from 0 to 27, or -1")
            if pin in used:
                raise SettingsError(f"door.{name} must be another pin than door.{used[pin]}: {pin}")
            if pin >= 0:
                used[pin] = name
