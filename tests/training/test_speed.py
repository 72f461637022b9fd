"""Times are of this machine; here it is only seen that they are of what they say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from kaimen.errors import EncoderError
from kaimen.voice import SMALL
from kaimen.voice.encoder import RUNTIMES, Encoder
from kaimen_train.cli import main
from kaimen_train.encoder import speed
from kaimen_train.encoder.export import from_weights
from kaimen_train.peers import call

WEIGHTS = Path(__file__).parents[2] / "training/kaimen_train/weights/deep.weights.h5"

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras warns of what it will drop one day


@pytest.mark.slow
def test_each_is_measured_and_the_first_is_the_one_that_ships(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    asked = []

    def seconds(sounds: Sequence[np.ndarray], peer: str) -> list[float]:
        asked.append((peer, {len(sound) for sound in sounds}))
        return [0.25] * len(sounds)

    monkeypatch.setattr(speed, "ROUNDS", 2)
    monkeypatch.setattr(call, "seconds", seconds)
    models = ["--encoder", str(SMALL), "--weights", str(WEIGHTS)]
    assert main.main(["speed", *models, "--peer", "ge2e", "--json"]) == 0
    taken = json.loads(capsys.readouterr().out)
    assert asked == [("ge2e", {24_000})]
    assert taken["ge2e"] == 250
    assert next(iter(taken)) == f"int8, {RUNTIMES[0]}"
    for runtime in RUNTIMES:
        for kind in ("int8", "float32"):
            assert taken[f"{kind}, {runtime}, network alone"] > 0
            assert taken[f"{kind}, {runtime}"] > 0


@pytest.mark.slow
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "some.weights.h5"
    weights.write_bytes(b"no weights")
    with pytest.raises(EncoderError, match=r"some\.weights\.h5"):
        from_weights(weights, Encoder(SMALL).card, tmp_path / "float32.tflite")
