"""Short runs on shares of the voices, with networks and a corpus as small as can be."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from kaimen_train.cli import main
from kaimen_train.data.corpus import Row
from kaimen_train.encoder.fit import EncoderPlan
from kaimen_train.evaluation import curve
from kaimen_train.networks import RUNGS, Rung, deep
from tests.training.tiny import Batches

pytestmark = [
    # Keras 2.14 seeds itself in a way that Python has come to dislike.
    pytest.mark.filterwarnings("ignore:non-integer arguments to randrange"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]
SMALL = deep.DeepShape(front=2, channels=8, blocks=1, squeeze=4, pooled=16, dimension=8)


@pytest.mark.slow
def test_a_run_on_half_of_the_voices_hears_half_of_them(
    tiny_phrases: list[Row], batches: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Rung("deep", "small", 1, partial(deep.build, shape=SMALL))
    monkeypatch.setitem(RUNGS, "deep", small)
    plan = EncoderPlan(steps=2, warmup=1, save_every=2, check_every=2)
    heard = []
    for share in (0.5, 1.0):
        (point,) = curve.curve(tiny_phrases, tmp_path, [share], plan)
        assert batches.clips is not None
        named = {
            (label["corpus"], label["speaker"])
            for label in batches.clips.labels
            if label["speaker"]
        }
        assert point.speakers == len(named)
        assert 0 <= point.phrase <= 1 and set(point.pair) == {"mandarin20"}
        heard.append(named)
    assert heard[0] < heard[1]
    assert len(heard[0]) * 2 == len(heard[1])


def test_the_command_shows_a_table_and_draws_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,corpus,split,speaker,text\n", encoding="utf-8")
    points = [
        curve.Point(share, round(800 * share), {"commands": 0.05 / share}, 0.01 / share)
        for share in curve.SHARES
    ]
    monkeypatch.setattr(curve, "curve", lambda *_: points)
    figure = tmp_path / "curve.svg"
    assert main.main(["curve", str(manifest), "--figure", str(figure)]) == 0
    assert "800" in capsys.readouterr().out
    assert figure.read_text(encoding="utf-8").count("<svg") == 1
    assert main.main(["curve", str(manifest), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["speakers"] for line in lines] == [100, 200, 400, 800]
