"""ALSA's names of sound cards, as an operator copies them from ``arecord -L``."""

from __future__ import annotations

import re
from pathlib import Path

CARDS = Path("/proc/asound")

_NAME = re.compile(
    r"(?:plug)?hw:(?:CARD=)?(?P<card>[^,]+)(?:,(?:DEV=)?(?P<device>\d+))?", re.IGNORECASE
)


def listed_as(name: str, cards: Path = CARDS) -> str | None:
    """Return how PortAudio lists a device: "hw:CARD=Mic,DEV=0" or "plughw:1" as "(hw:1,0)".

    None for what is no such name, or a card that is not there. PortAudio converts rates and
    formats by itself, so that hw and plughw are the same to it.
    """
    parts = _NAME.fullmatch(name.strip())
    if parts is None:
        return None
    card = parts["card"]
    if not card.isdigit():
        try:
            card = (cards / card).readlink().name.removeprefix("card")
        except (OSError, ValueError):
            return None
    return f"(hw:{card},{parts['device'] or 0})"
