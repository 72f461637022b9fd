"""[gallery]: where the registry and its key are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kaimen.settings.folders import configuration_folder, data_folder


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """[gallery]"""

    path: str = ""  # of the registry; empty: gallery.sqlite in the data folder
    key: str = ""  # of the file with the key; empty: gallery.key in the configuration folder

    @property
    def file(self) -> Path:
        """Return where the registry is; index and calibration lie beside it."""
        return Path(self.path) if self.path else data_folder() / "gallery.sqlite"

    @property
    def key_file(self) -> Path:
        """Return where the key is: elsewhere, so that neither is of use without the other."""
        return Path(self.key) if self.key else configuration_folder() / "gallery.key"
