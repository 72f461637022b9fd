"""The deep encoder: a small network over spectra, then over time.

Two-dimensional convolutions see a spectrum as a picture: a voice a little higher is the same
pattern a little further up, and need not be learned again at each pitch. Time and mel bands are
halved on the way; then each block looks one step to both sides and is gated by the phrase as a
whole; all blocks' outputs together are pooled over time. Taken from CAM++ (H. Wang et al.,
Interspeech 2023, arXiv 2303.00332): the two-dimensional front; from ECAPA-TDNN (B. Desplanques
et al., Interspeech 2020, arXiv 2005.07143): residual blocks with squeeze-and-excitation and the
aggregation of all of them. Different on purpose, so that int8 loses little: pooling by mean and
mean absolute deviation under a sigmoid gate instead of softmax attention and standard deviation
(softmax over many frames gives weights of a few 1/256, and a square root has no int8 kernel in
the gate's runtime).
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf
from tensorflow import keras

from kaimen.voice.features import MELS

layers = keras.layers

LAYERS = 14  # convolutions and dense layers in a row, less the gates beside them
CEILING = 6.0  # of every activation: what stands out costs all others bits


@dataclass(frozen=True, slots=True)
class DeepShape:
    """The shape of a deep encoder."""

    front: int = 32  # channels of the pictures
    channels: int = 192
    blocks: int = 3
    squeeze: int = 48
    pooled: int = 384
    dimension: int = 192


def build(frames: int | None = None, shape: DeepShape = DeepShape()) -> keras.Model:
    """Return an encoder from (batch, frames, MELS) to (batch, dimension), not yet unit-length."""
    heard = keras.Input((frames, MELS), name="features")
    flow = picture(layers.Reshape((-1, MELS, 1))(heard), shape.front, stride=(2, 2))
    for _ in range(2):
        short = layers.Conv2D(shape.front, 1, (1, 2), use_bias=False)(flow)
        change = picture(flow, shape.front, stride=(1, 2))
        change = picture(change, shape.front, active=False)
        flow = layers.ReLU(CEILING)(layers.Add()([layers.BatchNormalization()(short), change]))
    flow = step(layers.Reshape((-1, MELS // 8 * shape.front))(flow), shape.channels)
    levels = []
    for _ in range(shape.blocks):
        change = step(flow, shape.channels, width=3)
        change = step(change, shape.channels, active=False)
        gate = layers.GlobalAveragePooling1D(keepdims=True)(change)
        gate = layers.Dense(shape.squeeze, "relu")(gate)
        gate = layers.Dense(shape.channels, "sigmoid")(gate)
        flow = layers.ReLU(CEILING)(layers.Add()([flow, layers.Multiply()([change, gate])]))
        levels.append(flow)
    flow = step(layers.Concatenate()(levels), shape.pooled)
    weight = layers.Dense(shape.pooled, "sigmoid")(step(flow, shape.squeeze))
    mean = layers.GlobalAveragePooling1D(keepdims=True)(layers.Multiply()([flow, weight]))
    # |flow - mean|, in two halves: the runtime has no fast int8 kernel for absolute values, and
    # maximum and minimum would force one scale upon the flow and its mean.
    above = layers.ReLU()(layers.Subtract()([flow, mean]))
    below = layers.ReLU()(layers.Subtract()([mean, flow]))
    spread = layers.Multiply()([layers.Add()([above, below]), weight])
    pooled = layers.Concatenate()([layers.Flatten()(mean), layers.GlobalAveragePooling1D()(spread)])
    pooled = layers.BatchNormalization()(pooled)
    point = layers.Dense(shape.dimension, name="point")(pooled)
    return keras.Model(heard, layers.Activation("linear", dtype="float32")(point))


def picture(
    flow: tf.Tensor, channels: int, stride: tuple[int, int] = (1, 1), active: bool = True
) -> tf.Tensor:
    """Return what a convolution over bands and time makes of flow (batch, time, bands, any)."""
    flow = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)(flow)
    flow = layers.BatchNormalization()(flow)
    return layers.ReLU(CEILING)(flow) if active else flow


def step(flow: tf.Tensor, channels: int, width: int = 1, active: bool = True) -> tf.Tensor:
    """Return what a convolution over time makes of flow (batch, time, any)."""
    flow = layers.Conv1D(channels, width, padding="same", use_bias=False)(flow)
    flow = layers.BatchNormalization()(flow)
    return layers.ReLU(CEILING)(flow) if active else flow
