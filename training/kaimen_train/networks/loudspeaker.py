"""The network that hears loudspeakers, to be trained: kaimen.voice.loudspeaker runs the same."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

from kaimen.voice import features
from kaimen.voice.loudspeaker import CONVOLUTIONS, DENSE, EVEN, LAYERS, STRIDES, TAPS, Weights

FRAMES = 210  # of a batch; longer phrases are cut


class Pooled(layers.Layer):
    """Means and deviations over the frames that a phrase has: kaimen.voice.loudspeaker's."""

    def call(self, values: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        present = tf.sequence_mask(counts, tf.shape(values)[1], values.dtype)[..., tf.newaxis]
        counts = tf.cast(counts, values.dtype)[:, tf.newaxis]
        mean = tf.reduce_sum(values * present, 1) / counts
        apart = (values - mean[:, tf.newaxis]) * present
        variance = tf.reduce_sum(apart**2, 1) / counts
        return tf.concat((mean, tf.sqrt(variance + EVEN)), -1)


def network(
    dimension: int, filters: Sequence[int], dense: Sequence[int], dropped: float
) -> keras.Model:
    """What kaimen.voice.loudspeaker computes, for batches of padded phrases and their lengths."""
    values = layers.Input((FRAMES, features.MELS))
    counts = layers.Input((), dtype=tf.int32)
    beside = layers.Input((2 * dimension + 1,))  # and whether there is that
    pooled, found, present = [Pooled()(values, counts)], values, counts
    for name, count, taps, stride in zip(CONVOLUTIONS, filters, TAPS, STRIDES, strict=True):
        found = layers.Conv1D(count, taps, strides=stride, activation="relu", name=name)(found)
        present = (present - taps) // stride + 1
        pooled.append(Pooled()(found, present))
    hidden = layers.Concatenate()([*pooled, beside])
    for name, units in zip(DENSE, dense, strict=True):
        thinned = layers.Dropout(dropped)(hidden)
        hidden = layers.Dense(units, activation="relu", name=name)(thinned)
    odds = layers.Dense(1, name="output")(layers.Dropout(dropped)(hidden))
    return keras.Model((values, counts, beside), odds[:, 0])


def weights_of(made: keras.Model) -> Weights:
    """Return the network's weights as kaimen.voice.loudspeaker wants them."""
    found: Weights = {}
    for name in LAYERS:
        kernel, bias = made.get_layer(name).get_weights()
        found[name], found[f"{name}_bias"] = kernel.reshape(-1, kernel.shape[-1]), bias
    return found
