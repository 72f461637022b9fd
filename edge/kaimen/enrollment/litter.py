"""Files and folders that computers leave behind beside recordings, and that are none."""

from __future__ import annotations

from pathlib import Path

# Of Macs, Windows and network stores; names that begin with a dot are hidden on purpose.
LEFT_BEHIND = {
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle",
    "$recycle.bin", "system volume information", "lost+found",
}  # fmt: skip


def is_litter(path: Path) -> bool:
    """Return whether a file or folder was left behind and nobody meant it."""
    return path.name.startswith(".") or path.name.casefold() in LEFT_BEHIND
