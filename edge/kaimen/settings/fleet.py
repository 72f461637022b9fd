"""[fleet]: where this machine's place in a fleet is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kaimen.settings.folders import configuration_folder


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """[fleet]"""

    path: str = ""  # of the folder with its keys; empty: fleet in the configuration folder

    @property
    def folder(self) -> Path:
        """Return where the machine's keys are."""
        return Path(self.path) if self.path else configuration_folder() / "fleet"
