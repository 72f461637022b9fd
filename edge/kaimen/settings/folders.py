"""Where files live if nobody says: the folders of systemd, or those of the user."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """Return where a gallery lives: systemd's state folder, or the user's data folder."""
    state = os.environ.get("STATE_DIRECTORY")
    if state:
        return Path(state)
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "kaimen"


def configuration_folder() -> Path:
    """Return where the key lives: systemd's configuration folder, or the user's."""
    given = os.environ.get("CONFIGURATION_DIRECTORY")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "kaimen"
