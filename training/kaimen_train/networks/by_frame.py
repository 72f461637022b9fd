"""Encoders of one frame at a time, from none to several layers: the first rungs of the ladder.

All hear the classic 39 features of a frame and average what they make of it over the phrase;
none looks at a neighbouring frame beyond what the 39 hold. The 39 are a linear function of the
log-mel features that the gate computes anyway, so they are a fixed first layer here, and every
rung runs at the gate like any other encoder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from kaimen.voice.features import CEPSTRA, DELTA_REACH, MELS, cepstral_basis, deltas

layers = keras.layers

WIDTH = 192  # of a layer, and of the point
DEEPER = 256  # of the hidden layers of ``several``
HIDDEN = 4  # of them
LIFT = 200.0  # height at which points of ``classic`` lie on a sphere; they reach about 20
REACH = 2 * DELTA_REACH  # frames on each side that the deltas' deltas see


def kernel39() -> NDArray[np.float32]:
    """Return the 39 features of a frame from its neighbourhood, (2 REACH + 1, MELS, 39)."""
    impulse = np.zeros((4 * REACH + 1, 1), np.float32)
    impulse[2 * REACH] = 1
    first = deltas(impulse)
    answers = np.concatenate((impulse, first, deltas(first)), axis=1)
    # Convolution layers correlate: an impulse's answer reads backwards.
    heard = answers[REACH : 3 * REACH + 1][::-1]
    kernels = heard[:, np.newaxis, :, np.newaxis] * cepstral_basis()[:, np.newaxis, :]
    return kernels.reshape(2 * REACH + 1, MELS, 3 * CEPSTRA)


def classic(frames: int | None = None) -> keras.Model:
    """No layer at all: the mean of the 39 features. Nothing to train."""
    heard, flow = _heard(frames)
    return _model(heard, layers.GlobalAveragePooling1D()(flow))


def single(frames: int | None = None) -> keras.Model:
    """sigmoid(X W + B), X the 39 features of a frame."""
    heard, flow = _heard(frames)
    flow = layers.Dense(WIDTH, "sigmoid", name="first")(_standard(flow))
    return _model(heard, _averaged(flow))


def relay(frames: int | None = None, *, first: Path | None = None) -> keras.Model:
    """A second such layer on the frozen output of a trained ``single``, whose weights lie there."""
    network = joint(frames)
    if first is None:
        return network
    trained = single(frames)
    trained.load_weights(first)
    for name in ("standard", "first"):
        layer = network.get_layer(name)
        layer.set_weights(trained.get_layer(name).get_weights())
        layer.trainable = False
    return network


def joint(frames: int | None = None, *, hidden: str | None = "sigmoid") -> keras.Model:
    """Two layers, trained as one; without a ``hidden`` sigmoid they are one in two pieces."""
    heard, flow = _heard(frames)
    flow = layers.Dense(WIDTH, hidden, name="first")(_standard(flow))
    flow = layers.Dense(WIDTH, "sigmoid", name="second")(flow)
    return _model(heard, _averaged(flow))


def several(frames: int | None = None) -> keras.Model:
    """Hidden layers with batch normalization, and a linear one that makes the point."""
    heard, flow = _heard(frames)
    flow = _standard(flow)
    for _ in range(HIDDEN):
        flow = layers.BatchNormalization()(layers.Dense(DEEPER, use_bias=False)(flow))
        flow = layers.ReLU(6.0)(flow)
    flow = layers.Dense(WIDTH, name="point")(flow)
    return _model(heard, layers.GlobalAveragePooling1D()(flow))


def _heard(frames: int | None) -> tuple[tf.Tensor, tf.Tensor]:
    heard = keras.Input((frames, MELS), name="features")
    kernel = keras.initializers.Constant(kernel39())
    fixed = layers.Conv1D(
        3 * CEPSTRA,
        2 * REACH + 1,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel,
        trainable=False,
        name="classic39",
    )
    return heard, fixed(heard)


def _standard(flow: tf.Tensor) -> tf.Tensor:
    """Each feature less its mean, over its deviation: otherwise the first cepstra drown all."""
    return layers.BatchNormalization(center=False, scale=False, name="standard")(flow)


def _averaged(flow: tf.Tensor) -> tf.Tensor:
    """The mean over time, seen from the mean of all frames: sigmoids point one way otherwise."""
    flow = layers.BatchNormalization(center=False, scale=False, name="seen_from_the_mean")(flow)
    return layers.GlobalAveragePooling1D()(flow)


def _model(heard: tf.Tensor, point: tf.Tensor) -> keras.Model:
    return keras.Model(heard, layers.Activation("linear", dtype="float32")(point))
