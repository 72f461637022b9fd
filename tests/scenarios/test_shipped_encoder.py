"""The encoder that ships: the same points in both runtimes, and nearly those in float."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from edge.sound import Samples
from edge.voice import features
from edge.voice.encoder import RUNTIMES, SHIPPED, Encoder
from training.corpus import of_split, read_manifest, speech_of

MANIFEST = Path(os.environ.get("KAIMEN_SPEECH", "../shared/speech")) / "manifest.csv"
WEIGHTS = Path("training/weights/deep.weights.h5")
RECORDINGS = 100

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MANIFEST.exists(), reason=f"no real voices at {MANIFEST}"),
]


@pytest.fixture(scope="module")
def speech() -> list[Samples]:
    """Speech of eval recordings of every corpus, of one window each."""
    rows = of_split(read_manifest(MANIFEST), "eval")
    chosen = rows[:: len(rows) // RECORDINGS][:RECORDINGS]
    found = [speech_of(row.file) for row in chosen]
    assert len(found) == RECORDINGS
    return found


def points(speech: list[Samples], runtime: str) -> np.ndarray:
    encoder = Encoder(runtime=runtime)
    return np.stack([encoder.embed(samples) for samples in speech])


def test_both_runtimes_make_the_same_points(speech: list[Samples]) -> None:
    for runtime in RUNTIMES:
        pytest.importorskip(runtime)
    first, second = (points(speech, runtime) for runtime in RUNTIMES)
    assert np.sum(first * second, axis=1).min() >= 0.999


# Keras warns of what it will drop one day.
@pytest.mark.filterwarnings("ignore")
def test_eight_bits_make_nearly_the_points_of_the_float_network(speech: list[Samples]) -> None:
    pytest.importorskip("tensorflow")
    from training.networks import deep
    from training.quantize import rotate

    card = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
    network = deep.build(frames=card["frames"])
    network.load_weights(WEIGHTS)
    rotate(network)
    heard = [features.level_free(features.log_mel(samples)) for samples in speech]
    windows = [features.fit_frames(values, card["frames"]) for values in heard]
    single = [index for index, each in enumerate(windows) if len(each) == 1]
    exact = network.predict(np.stack([windows[index][0] for index in single]), 32, verbose=0)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    rounded = points([speech[index] for index in single], RUNTIMES[0])
    assert np.sum(exact * rounded, axis=1).mean() >= 0.99
