"""What a search of the gallery finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """A student, and how alike the probe is."""

    student: str
    score: float
