"""A card lies beside its model and takes further figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kaimen.voice import LOUDSPEAKER, PHRASE, SHIPPED
from kaimen.voice.encoder import Card
from kaimen.voice.loudspeaker import LoudspeakerCard
from kaimen.voice.phrase import PhraseCard
from kaimen_train import cards


@pytest.mark.parametrize(
    ("model", "kind"), [(SHIPPED, Card), (PHRASE, PhraseCard), (LOUDSPEAKER, LoudspeakerCard)]
)
def test_a_card_is_read_as_it_was_written_and_keeps_what_was_measured(
    model: Path, kind: type[Card], tmp_path: Path
) -> None:
    if not model.exists():
        pytest.skip("no model is shipped")
    card, out = kind.read(model.with_suffix(".json")), tmp_path / model.name
    cards.write(model.read_bytes(), card, out)
    assert out.read_bytes() == model.read_bytes()
    assert kind.read(out.with_suffix(".json")) == card
    added = cards.add_measured(card, out, {"eval": {"eer": 0.5}})
    expected = replace(card, measured={**card.measured, "eval": {"eer": 0.5}})
    assert added == expected == kind.read(out.with_suffix(".json"))
