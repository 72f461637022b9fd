"""Who speaks in the corpora, and whom training does not see."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from kaimen_train.data.corpus import Row

HELD_OUT = {"mandarin20": 2, "commands": 30}  # speakers never trained on


def held_out(rows: list[Row]) -> set[tuple[str, str]]:
    """Return each (corpus, speaker) that training does not see, drawn by a hash of their names."""
    chosen: set[tuple[str, str]] = set()
    for corpus, count in HELD_OUT.items():
        speakers = {row.speaker for row in rows if row.corpus == corpus and row.speaker}
        ordered = sorted(speakers, key=lambda name: sha256(name.encode()).digest())
        # A small corpus keeps at least two thirds of its speakers for training.
        chosen |= {(corpus, name) for name in ordered[: min(count, len(ordered) // 3)]}
    return chosen


def voice_of(label: Mapping[str, object]) -> str:
    """Return the speaker, or the recording where there is no name."""
    return str(label["speaker"] or label["path"])
