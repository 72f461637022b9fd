"""[review]: whether doubtful phrases are kept for a while, to be listened to."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.errors import SettingsError

LONGEST = 90  # days


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """[review]"""

    days: int = 0  # that doubtful phrases are kept, encrypted; 0: none is ever kept
    share: float = 0.0  # of all other phrases that is kept, too, drawn at random

    def __post_init__(self) -> None:
        if not 0 <= self.days <= LONGEST:
            raise SettingsError(f"review.days must be from 0 to {LONGEST}")
        if not 0 <= self.share <= 1:
            raise SettingsError("review.share must be from 0 to 1, for example 0.05")
        if self.share and not self.days:
            raise SettingsError("review.share keeps nothing without review.days")
