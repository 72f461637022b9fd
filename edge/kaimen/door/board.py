"""Which board this is, by the name that its device tree gives it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path("/")  # of this machine's /proc
PI = re.compile(r"Raspberry Pi (?:Compute Module )?(\d*)")
FAST = 4  # the first generation whose processor looks ahead: a Cortex-A72


def board_of(root: Path | None = None) -> str:
    """Return a board's own name, such as "Raspberry Pi 4 Model B Rev 1.4"; empty without one."""
    path = (root or ROOT) / "proc/device-tree/model"
    try:
        return path.read_bytes().decode(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def is_pi(board: str) -> bool:
    """Return whether a board of this name is a Raspberry Pi."""
    return PI.search(board) is not None


def on_a_pi() -> bool:
    """Return whether this machine is a Raspberry Pi."""
    return is_pi(board_of())


def is_slow(board: str) -> bool:
    """Return whether it is a Pi 3, a Zero, a Compute Module 3, or older."""
    found = PI.search(board)
    # Zeros and the boards of before the Pi 2 have no number there.
    return found is not None and int(found[1] or 1) < FAST
