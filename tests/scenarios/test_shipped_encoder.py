"""The encoder that ships: the same points in both runtimes, and nearly those in float."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge.sound import Samples
from edge.voice.encoder import RUNTIMES, Encoder
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
def test_eight_bits_make_nearly_the_points_of_the_float_network(
    speech: list[Samples], tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow")
    from training.export import from_weights

    float32 = Encoder(from_weights(WEIGHTS, Encoder().card, tmp_path / "float32.tflite"))
    exact = np.stack([float32.embed(samples) for samples in speech])
    rounded = points(speech, RUNTIMES[0])
    assert np.sum(exact * rounded, axis=1).mean() >= 0.995
