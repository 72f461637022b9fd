"""The ladder is climbed on a corpus as small as can be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from kaimen.voice.encoder import SHIPPED, Encoder
from kaimen_train.cli import main
from kaimen_train.data.corpus import Row
from kaimen_train.encoder import ladder
from kaimen_train.encoder.fit import EncoderPlan
from kaimen_train.encoder.ladder import climb
from kaimen_train.networks import LADDER, RUNGS
from tests.sounds import spoken
from tests.training.tiny import Batches

pytestmark = [
    # Keras 2.14 seeds itself in a way that Python has come to dislike.
    pytest.mark.filterwarnings("ignore:non-integer arguments to randrange"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
    pytest.mark.skipif(not SHIPPED.exists(), reason="no encoder is shipped"),
]
CLIMBED = ("classic39", "single", "relay", "deep")


@pytest.mark.slow
def test_every_rung_is_trained_exported_and_measured(
    tiny_phrases: list[Row], batches: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "LADDER", [RUNGS[name] for name in CLIMBED])
    plan = EncoderPlan(steps=2, warmup=1, save_every=2, check_every=2)
    steps = climb(tiny_phrases, tmp_path / "build", SHIPPED, plan)
    assert [step.name for step in steps] == list(CLIMBED)
    for step in steps:
        assert 0 <= step.phrase <= 1 and 0 <= step.fnir <= 1
        assert set(step.pair) == {"mandarin20"}
        assert step.milliseconds > 0 and step.bytes > 0
    for name in CLIMBED[:-1]:
        encoder = Encoder(tmp_path / "build" / "ladder" / f"{name}.tflite")
        point = encoder.embed(spoken(0.5))
        assert point.shape == (encoder.card.dimension,)
        assert np.linalg.norm(point) == pytest.approx(1, abs=1e-5)


def steps() -> list[ladder.Step]:
    """A step for each rung, with figures made up."""
    return [
        ladder.Step(
            rung.name,
            rung.what,
            rung.layers,
            1_000,
            4_000,
            1.0 + at,
            {"mandarin20": 0.3 / (at + 1)},
            0.2 / (at + 1),
            0.5,
        )
        for at, rung in enumerate(LADDER)
    ]


def test_the_command_shows_a_table_and_draws_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,corpus,split,speaker,text\n", encoding="utf-8")
    monkeypatch.setattr(ladder, "climb", lambda *_: steps())
    figure = tmp_path / "ladder.svg"
    assert main.main(["ladder", str(manifest), "--figure", str(figure)]) == 0
    shown = capsys.readouterr().out
    drawn = figure.read_text(encoding="utf-8")
    assert drawn.count("<svg") == 1
    for rung in LADDER:
        assert rung.name in shown
        assert rung.name in drawn  # as a comment beside the drawn letters
    assert main.main(["ladder", str(manifest), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == [rung.name for rung in LADDER]
