"""The first rungs of the ladder, held against their formulas in plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from kaimen.voice import features  # noqa: E402
from kaimen_train.networks import LADDER, RUNGS, WEIGHTS, Rung, by_frame  # noqa: E402
from tests.sounds import noise, spoken  # noqa: E402

# Keras 2.14 seeds itself in a way that Python has come to dislike.
pytestmark = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")

FRAMES = 60


@pytest.fixture(scope="module")
def heard() -> np.ndarray:
    """Log-mel features of a sound, (frames, MELS)."""
    return features.log_mel(spoken(0.7, 140) + noise(0.7, -40))


def inside(values: np.ndarray) -> np.ndarray:
    """Frames whose deltas see no edge."""
    return values[by_frame.REACH : -by_frame.REACH]


def test_the_fixed_layer_computes_the_classic_39(heard: np.ndarray) -> None:
    network = by_frame.classic(None)
    layer = tf.keras.Model(network.input, network.get_layer("classic39").output)
    expected = features.classic39(spoken(0.7, 140) + noise(0.7, -40))
    found = layer(heard[np.newaxis]).numpy()[0]
    np.testing.assert_allclose(inside(found), inside(expected), atol=1e-3)


def test_the_classic_point_is_their_mean(heard: np.ndarray) -> None:
    network = by_frame.classic(None)
    layer = tf.keras.Model(network.input, network.get_layer("classic39").output)
    frames = layer(heard[np.newaxis]).numpy()[0]
    np.testing.assert_allclose(
        network(heard[np.newaxis]).numpy()[0], frames.mean(axis=0), atol=1e-4
    )


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def standard39(network: tf.keras.Model, heard: np.ndarray) -> np.ndarray:
    layer = tf.keras.Model(network.input, network.get_layer("standard").output)
    found: np.ndarray = layer(heard[np.newaxis]).numpy()[0]
    return found


def test_a_single_layer_is_the_mean_of_sigmoids(heard: np.ndarray) -> None:
    network = by_frame.single(None)
    weights, bias = network.get_layer("first").get_weights()
    expected = sigmoid(standard39(network, heard) @ weights + bias).mean(axis=0)
    # Not trained yet, the mean over all phrases is nought and the deviation one.
    np.testing.assert_allclose(network(heard[np.newaxis]).numpy()[0], expected, rtol=2e-3)


@pytest.mark.parametrize("hidden", ["sigmoid", None])
def test_two_layers_are_a_layer_on_a_layer(heard: np.ndarray, hidden: str | None) -> None:
    network = by_frame.joint(None, hidden=hidden)
    first, second = (network.get_layer(name).get_weights() for name in ("first", "second"))
    flow = standard39(network, heard) @ first[0] + first[1]
    flow = sigmoid(flow) if hidden else flow
    expected = sigmoid(flow @ second[0] + second[1]).mean(axis=0)
    np.testing.assert_allclose(network(heard[np.newaxis]).numpy()[0], expected, rtol=2e-3)


def test_in_relay_the_first_layer_is_the_trained_one_and_stays(tmp_path: Path) -> None:
    single = by_frame.single(FRAMES)
    layer = single.get_layer("first")
    layer.set_weights([weight + 0.5 for weight in layer.get_weights()])
    (tmp_path / "single").mkdir()
    single.save_weights(tmp_path / "single" / WEIGHTS)
    network = RUNGS["relay"].builder(tmp_path)(None)
    for one, other in zip(
        network.get_layer("first").get_weights(), layer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    trained = {variable.name.split("/")[0] for variable in network.trainable_variables}
    assert trained == {"second"}


@pytest.mark.parametrize("rung", LADDER, ids=lambda rung: rung.name)
def test_every_rung_ends_in_one_point_of_a_phrase(rung: Rung, heard: np.ndarray) -> None:
    network = rung.make(FRAMES)
    window = np.stack(features.fit_frames(features.level_free(heard), FRAMES))
    points = network(window).numpy()
    assert points.shape == (len(window), network.output_shape[-1])
    assert np.isfinite(points).all() and points.any()
