"""What ``kaimen run`` is asked for beside the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What holds for one run, whatever the settings say and however often they are read."""

    config: Path | None = None  # of the settings
    microphone: str = ""  # a part of its name; empty: the settings' one
    play: Path | None = None  # a recording instead of a microphone
    wait: bool = False  # for a gallery and its calibration
    reader: Path | None = None  # of cards; none: the settings' one
    nearest: bool = False  # say whom a voice is like that is turned away
