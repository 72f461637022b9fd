"""Who speaks in the corpora, and whom training does not see."""

from __future__ import annotations

import math
from collections import defaultdict
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


def some(voices: set[tuple[str, str]], share: float) -> set[tuple[str, str]]:
    """Return a share of each corpus's voices, given as (corpus, voice); always the same ones."""
    of_corpus: dict[str, list[str]] = defaultdict(list)
    for corpus, voice in voices:
        of_corpus[corpus].append(voice)
    chosen = set()
    for corpus, names in of_corpus.items():
        ordered = sorted(names, key=lambda name: sha256(name.encode()).digest())
        chosen |= {(corpus, name) for name in ordered[: math.ceil(share * len(ordered))]}
    return chosen


def voice_of(label: Mapping[str, object]) -> str:
    """Return the speaker, or the recording where there is no name."""
    return str(label["speaker"] or label["path"])
