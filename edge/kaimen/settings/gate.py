"""[gate]: what opens, and how patient the gate is with voices it does not know."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.errors import SettingsError

POLICIES = ("voice", "claim", "challenge")
FREE_TRIES = 3  # unknown voices before the first wait
LOCKOUT = 30.0  # seconds of the first wait
LONGEST_LOCKOUT = 960.0  # seconds: a prank must not shut a school out for a morning


@dataclass(frozen=True, slots=True)
class GateSettings:
    """[gate]"""

    free_tries: int = FREE_TRIES  # unknown voices before the door hears nobody for a while
    lockout: float = LOCKOUT  # seconds of the first wait, doubled by each further one; 0: never
    policy: str = "voice"  # what opens: voice; claim: and who one says one is; challenge: and words
    retry: bool = True  # ask once more who is nearly known
    stop_on_drift: bool = False  # open for no voice while strangers' scores break the promise
    grow: bool = False  # take in some phrases that opened, beside what enrolled a student

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise SettingsError(f"gate.policy must be one of {', '.join(POLICIES)}")
        if self.free_tries < 0 or not 0 <= self.lockout <= LONGEST_LOCKOUT:
            raise SettingsError(
                "gate.free_tries must not be negative, gate.lockout from 0 to "
                f"{LONGEST_LOCKOUT:g} seconds"
            )
