"""A network that rounds itself becomes an int8 file, and the file is kept small."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from kaimen_train.encoder.quantize import by_ranges, compact, exact  # noqa: E402
from kaimen_train.networks.campplus import Rounded, RoundedConv1D  # noqa: E402

# Keras 2.14 seeds itself in a way that Python has come to dislike.
pytestmark = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")

SHOWN = np.random.default_rng(0).uniform(-1, 1, (6, 12, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> tf.keras.Model:
    """One convolution that is rounded, and a deviation that is not."""
    tf.keras.utils.set_random_seed(0)
    heard = tf.keras.Input((12, 8))
    flow = Rounded(-128 / 127, 1.0)(heard)
    flow = Rounded(0.0, 4.0)(RoundedConv1D(16, 3, activation="relu")(flow))
    mean = tf.keras.layers.GlobalAveragePooling1D(keepdims=True)(flow)
    away = tf.keras.layers.Subtract()([flow, mean])
    squares = tf.keras.layers.Multiply()([away, away])
    return tf.keras.Model(heard, tf.sqrt(tf.reduce_mean(squares, 1) + 1e-6))


def points(content: bytes) -> np.ndarray:
    gate = tf.lite.Interpreter(model_content=content)
    gate.allocate_tensors()
    (taken,), (given,) = gate.get_input_details(), gate.get_output_details()
    found = []
    for window in SHOWN:
        gate.set_tensor(taken["index"], window[np.newaxis])
        gate.invoke()
        found.append(gate.get_tensor(given["index"])[0])
    return np.stack(found)


@pytest.mark.slow
def test_what_a_network_rounds_is_int8_and_the_rest_stays_float(network: tf.keras.Model) -> None:
    content = by_ranges(network)
    gate = tf.lite.Interpreter(model_content=content)
    kinds = {np.dtype(tensor["dtype"]).name for tensor in gate.get_tensor_details()}
    assert {"int8", "float32"} <= kinds
    np.testing.assert_allclose(points(content), network.predict(SHOWN, verbose=0), atol=0.02)


def test_a_file_made_compact_is_smaller_and_computes_the_same(network: tf.keras.Model) -> None:
    content = exact(network)
    small = compact(content)
    assert len(small) < len(content)
    tensors = tf.lite.Interpreter(model_content=small).get_tensor_details()
    assert not any(tensor["name"] for tensor in tensors)
    np.testing.assert_array_equal(points(small), points(content))
