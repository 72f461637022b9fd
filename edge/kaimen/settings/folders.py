"""Where files live if nobody says: the folders of systemd, or those of the user."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """Return where a gallery lives: systemd's state folder, or the user's data folder."""
    return _folder("STATE_DIRECTORY", "XDG_DATA_HOME", ".local/share")


def configuration_folder() -> Path:
    """Return where the key lives: systemd's configuration folder, or the user's."""
    return _folder("CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME", ".config")


def _folder(of_service: str, of_user: str, usual: str) -> Path:
    given = os.environ.get(of_service)
    if given:
        return Path(given)
    return Path(os.environ.get(of_user) or Path.home() / usual) / "kaimen"
