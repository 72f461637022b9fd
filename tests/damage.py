"""Damages files so that they are changed for certain, whatever they hold."""

from __future__ import annotations

from pathlib import Path


def flip(path: Path, at: int) -> None:
    """Change one bit of the byte at a place; a negative one counts from the end."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
