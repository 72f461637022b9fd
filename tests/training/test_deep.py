"""The deep encoder, small; and what quantization makes of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from kaimen.sound import SAMPLE_RATE, Samples  # noqa: E402
from kaimen.voice import features  # noqa: E402
from kaimen.voice.encoder import RUNTIMES, Card, Encoder  # noqa: E402
from kaimen.voice.score import RULE  # noqa: E402
from kaimen_train.encoder.quantize import quantize, rotate, usual  # noqa: E402
from kaimen_train.networks import deep  # noqa: E402
from tests.sounds import noise, spoken  # noqa: E402

# Keras 2.14 seeds itself in a way that Python has come to dislike.
pytestmark = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")

SMALL = deep.DeepShape(front=4, channels=16, blocks=2, squeeze=8, pooled=24, dimension=12)
FRAMES = 60


def randomized(network: tf.keras.Model) -> tf.keras.Model:
    """The network as training might leave it: no bias is zero, no deviation is one."""
    random = np.random.default_rng(0)
    for layer in network.layers:
        if layer.weights and not isinstance(layer, tf.keras.layers.Conv1D):
            layer.set_weights(
                [
                    weight + np.abs(random.normal(0, 0.2, weight.shape))
                    if "variance" in variable.name
                    else weight + random.normal(0, 0.2, weight.shape)
                    for weight, variable in zip(layer.get_weights(), layer.weights, strict=True)
                ]
            )
    return network


def voice(pitch: float) -> Samples:
    """A sound that is FRAMES long."""
    length = (FRAMES - 1) * features.HOP + features.WINDOW
    seconds = length / SAMPLE_RATE
    return spoken(seconds, pitch) + noise(seconds, -45, seed=int(pitch))


@pytest.fixture(scope="module")
def network() -> tf.keras.Model:
    """A small network for windows of FRAMES."""
    tf.keras.utils.set_random_seed(0)
    return randomized(deep.build(FRAMES, SMALL))


@pytest.fixture(scope="module")
def heard() -> np.ndarray:
    """Windows of voices at many pitches, (40, FRAMES, MELS)."""
    sounds = [voice(90 + 5 * number) for number in range(40)]
    return np.stack([features.level_free(features.log_mel(sound)) for sound in sounds])


def cosines(points: np.ndarray) -> np.ndarray:
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    return directions @ directions.T


@pytest.mark.parametrize("shape", [SMALL, deep.DeepShape(2, 8, 1, 4, 16, 5)])
def test_an_encoder_ends_in_its_dimension(shape: deep.DeepShape) -> None:
    network = deep.build(FRAMES, shape)
    assert network.input_shape == (None, FRAMES, features.MELS)
    assert network.output_shape == (None, shape.dimension)


def test_the_encoder_of_the_gate_has_the_shape_it_was_shipped_with() -> None:
    network = deep.build()
    assert network.output_shape == (None, 192)
    assert network.count_params() == 1_003_888


@pytest.mark.slow
def test_every_block_has_weights_of_its_own() -> None:
    counts = [
        deep.build(shape=deep.DeepShape(2, 8, blocks, 4, 16, 5)).count_params()
        for blocks in range(1, 4)
    ]
    assert np.diff(counts, 2) == [0]
    assert counts[0] < counts[1]


@pytest.mark.parametrize("frames", [1, 37, 150])
def test_a_network_without_a_length_hears_any(frames: int) -> None:
    network = deep.build(shape=SMALL)
    heard = np.random.default_rng(0).normal(size=(2, frames, features.MELS))
    points = network(heard.astype(np.float32)).numpy()
    assert points.shape == (2, SMALL.dimension)
    assert np.isfinite(points).all()


@pytest.mark.slow
def test_one_set_of_weights_serves_any_length(network: tf.keras.Model, heard: np.ndarray) -> None:
    free = deep.build(shape=SMALL)
    free.set_weights(network.get_weights())
    np.testing.assert_allclose(free(heard).numpy(), network(heard).numpy(), atol=1e-4)


def test_a_point_does_not_depend_on_who_else_is_in_the_batch(
    network: tf.keras.Model, heard: np.ndarray
) -> None:
    alone = network(heard[3:4]).numpy()
    np.testing.assert_allclose(alone, network(heard).numpy()[3:4], atol=1e-4)


def test_a_rotation_changes_points_but_no_cosine(
    network: tf.keras.Model, heard: np.ndarray
) -> None:
    turned = tf.keras.models.clone_model(network)
    turned.set_weights(network.get_weights())
    rotate(turned)
    before, after = network(heard).numpy(), turned(heard).numpy()
    assert np.abs(before - after).max() > 0.1
    np.testing.assert_allclose(cosines(after), cosines(before), atol=1e-4)
    np.testing.assert_allclose(
        np.linalg.norm(after, axis=1), np.linalg.norm(before, axis=1), rtol=1e-4
    )


def test_an_extreme_window_is_not_usual(network: tf.keras.Model, heard: np.ndarray) -> None:
    shown = heard.copy()
    shown[17] *= 20
    kept = usual(network, shown)
    assert kept.shape == (len(shown),)
    assert not kept[17]
    assert kept.any()


@pytest.fixture(scope="module")
def encoder(
    network: tf.keras.Model, heard: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The small network in eight bits, with its card."""
    content = quantize(network, heard)
    path = tmp_path_factory.mktemp("encoder") / "encoder.tflite"
    path.write_bytes(content)
    card = Card(
        name="small",
        sha256=hashlib.sha256(content).hexdigest(),
        frames=FRAMES,
        values=features.MELS,
        dimension=SMALL.dimension,
        features=features.constants(),
        strangers={"mean": 0.0, "deviation": 1.0},
        training={},
        measured={},
        score=RULE,
    )
    path.with_suffix(".json").write_text(json.dumps(asdict(card)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_everything_in_the_file_is_an_integer(encoder: Path) -> None:
    interpreter = tf.lite.Interpreter(model_path=str(encoder))
    (taken,), (given) = interpreter.get_input_details(), interpreter.get_output_details()
    assert taken["dtype"] == given[0]["dtype"] == np.int8
    kinds = {tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    assert not kinds & {np.float16, np.float32, np.float64}


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_both_runtimes_give_the_point_of_the_network(
    encoder: Path, network: tf.keras.Model, runtime: str
) -> None:
    pytest.importorskip(f"{runtime}.interpreter")
    small = Encoder(encoder, runtime=runtime)
    for pitch in (100.0, 150.0, 210.0):
        sound = voice(pitch)
        exact = network(features.level_free(features.log_mel(sound))[np.newaxis]).numpy()[0]
        assert small.embed(sound) @ exact / np.linalg.norm(exact) > 0.98
