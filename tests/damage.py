"""Damage to files that is none by no chance, whatever was written there."""

from __future__ import annotations

from pathlib import Path


def flip(path: Path, at: int) -> None:
    """Change one bit of the byte at a place; a negative one counts from the end."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
