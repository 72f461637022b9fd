"""Reads who says they are at the door: one student a line, as card readers write them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path


def read_claims(path: Path, claim: Callable[[str], None]) -> threading.Thread:
    """Pass on every line of a file, a pipe or a terminal as a claim, from a thread of its own."""

    def read() -> None:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip():
                    claim(line.strip())

    reader = threading.Thread(target=read, name="card reader", daemon=True)
    reader.start()
    return reader
