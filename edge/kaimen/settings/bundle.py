"""[bundle]: where bundles are installed, and whose are taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kaimen.settings.folders import configuration_folder, data_folder


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """[bundle]"""

    path: str = ""  # of the two slots; empty: bundles in the data folder
    trusted: str = ""  # of the folder with public keys; empty: trusted in the configuration folder

    @property
    def folder(self) -> Path:
        """Return where bundles are installed."""
        return Path(self.path) if self.path else data_folder() / "bundles"

    @property
    def keys(self) -> Path:
        """Return where the public keys are whose bundles this gate takes."""
        return Path(self.trusted) if self.trusted else configuration_folder() / "trusted"
