"""The phrase encoder: what was said in each part of a phrase, whoever said it.

Like the deep encoder it sees spectra as pictures first, then steps of time; unlike it, it does not
average over time, since the order of sounds is what words are. Its last convolution looks at a
third of the phrase at a time and makes a direction of each such part.
"""

from __future__ import annotations

from tensorflow import keras

from kaimen.voice.features import MELS
from kaimen_train.networks.deep import CEILING, picture, step

layers = keras.layers

FRAMES = 96  # that every phrase is stretched to
FRONT = (16, 32, 32, 48)  # channels of the pictures
CHANNELS = 128
BLOCKS = 3
PART = 8  # steps of 4 frames that a part has
APART = 4  # from part to part
DIMENSION = 64
PARTS = (FRAMES // 4 - PART) // APART + 1


def build(frames: int = FRAMES) -> keras.Model:
    """Map (batch, frames, MELS) to (batch, parts, DIMENSION), not yet unit-length."""
    heard = keras.Input((frames, MELS), name="features")
    flow = layers.Reshape((frames, MELS, 1))(heard)
    for channels, stride in zip(FRONT, ((1, 2), (2, 2), (1, 1), (2, 2)), strict=True):
        flow = picture(flow, channels, stride)
    flow = step(layers.Reshape((frames // 4, MELS // 8 * FRONT[-1]))(flow), CHANNELS)
    for _ in range(BLOCKS):
        change = step(step(flow, CHANNELS, 3), CHANNELS, 3, active=False)
        flow = layers.ReLU(CEILING)(layers.Add()([flow, change]))
    flow = layers.Dropout(0.1)(flow)
    parts = layers.Conv1D(DIMENSION, PART, APART, name="parts")(flow)
    return keras.Model(heard, layers.Activation("linear", dtype="float32")(parts))
