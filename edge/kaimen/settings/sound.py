"""[sound]: which microphone the gate listens to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SoundSettings:
    """[sound]"""

    microphone: str = ""  # a part of its name; empty: the system's default
