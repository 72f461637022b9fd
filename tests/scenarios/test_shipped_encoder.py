"""The encoder that ships: the same points in both runtimes, and nearly those in float."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kaimen.sound import Samples
from kaimen.voice import SHIPPED, SMALL
from kaimen.voice.encoder import RUNTIMES, Encoder
from kaimen_train.data.corpus import of_split, read_manifest, speech_of

MANIFEST = Path(os.environ.get("KAIMEN_SPEECH", "../shared/speech")) / "manifest.csv"
WEIGHTS = Path("training/kaimen_train/weights")
SHIP = {  # of each model: its float weights, and the least cosines of runtimes and precisions
    SHIPPED: ("large.weights.h5", 0.97, 0.975),
    SMALL: ("deep.weights.h5", 0.999, 0.995),
}
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


def points(speech: list[Samples], model: Path, runtime: str) -> np.ndarray:
    encoder = Encoder(model, runtime=runtime)
    return np.stack([encoder.embed(samples) for samples in speech])


@pytest.mark.parametrize("model", SHIP, ids=["large", "small"])
def test_both_runtimes_make_nearly_the_same_points(model: Path, speech: list[Samples]) -> None:
    for runtime in RUNTIMES:
        pytest.importorskip(runtime)
    first, second = (points(speech, model, runtime) for runtime in RUNTIMES)
    _, least, _ = SHIP[model]
    assert np.sum(first * second, axis=1).min() >= least


# Keras warns of what it will drop one day.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", SHIP, ids=["large", "small"])
def test_eight_bits_make_nearly_the_points_of_the_float_network(
    model: Path, speech: list[Samples]
) -> None:
    pytest.importorskip("tensorflow")
    from kaimen_train.encoder.export import float_network

    weights, _, least = SHIP[model]
    encoder = Encoder(model)
    card = encoder.card
    windows = [encoder.windows(encoder.features_of(samples)) for samples in speech]
    # The network itself: writing it as a file takes ten times as long as running it.
    float32 = float_network(WEIGHTS / weights, card)
    exact = float32.predict(np.concatenate(windows), batch_size=10, verbose=0)
    if card.lift is not None:
        exact = np.pad(exact, ((0, 0), (0, 1)), constant_values=card.lift)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    firsts = np.cumsum([0, *map(len, windows[:-1])])
    exact = np.add.reduceat(exact, firsts)  # a phrase's point is the mean of its windows
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    rounded = points(speech, model, RUNTIMES[0])
    assert np.sum(exact * rounded, axis=1).mean() >= least
