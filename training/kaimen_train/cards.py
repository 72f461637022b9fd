"""A model's file, and the card beside it that says what it is and how it was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from kaimen.storage import write_whole
from kaimen.voice.encoder import Card
from kaimen.voice.loudspeaker import LoudspeakerCard
from kaimen.voice.phrase import PhraseCard

AnyCard = TypeVar("AnyCard", Card, PhraseCard, LoudspeakerCard)


def write(content: bytes, card: AnyCard, model: Path) -> None:
    """Write a model and its card. Raises StorageError."""
    write_whole(model, content)
    write_card(card, model)


def write_card(card: AnyCard, model: Path) -> None:
    """Write a card beside its model. Raises StorageError."""
    text = json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n"
    write_whole(model.with_suffix(".json"), text.encode())


def add_measured(card: AnyCard, model: Path, figures: Mapping[str, Any]) -> AnyCard:
    """Write a card with further figures beside its model; return it. Raises StorageError."""
    card = replace(card, measured={**card.measured, **figures})
    write_card(card, model)
    return card
