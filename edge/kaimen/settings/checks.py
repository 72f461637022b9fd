"""[checks]: what must be so besides the voice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChecksSettings:
    """[checks]"""

    phrase: bool = True  # the words that were enrolled
    loudspeaker: bool = True  # no sound of one
    replay: bool = True  # nothing that was heard before
