"""[privacy]: how long what is known of students is kept."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.errors import SettingsError

LONGEST = 3650  # days


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """[privacy]"""

    erase_after: int = 30  # days from the end of a consent until the voice is erased
    keep_log: int = 0  # days that lines of the audit log are kept; 0: until the log is full

    def __post_init__(self) -> None:
        if not 0 <= self.erase_after <= LONGEST:
            raise SettingsError(f"privacy.erase_after must be from 0 to {LONGEST} days")
        if not 0 <= self.keep_log <= LONGEST:
            raise SettingsError(f"privacy.keep_log must be from 0 to {LONGEST} days")
