"""A variational autoencoder of log-mel windows: a picture becomes a point, a point a picture.

Four convolutions halve time and mel bands each, a dense layer makes the mean and the logarithm
of the variance of a normal distribution over points (D. Kingma and M. Welling, "Auto-encoding
variational Bayes", ICLR 2014); the decoder is the mirror image. Transposed convolutions are four
wide at a stride of two, so that every pixel is reached as often and no chequerboard is drawn (A.
Odena et al., "Deconvolution and checkerboard artifacts", Distill, 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorflow import keras

from kaimen.voice.features import MELS

layers = keras.layers

SPREAD = 4.0  # nats: the deviation of a bin of level-free features


@dataclass(frozen=True, slots=True)
class AutoencoderShape:
    """The shape of an autoencoder."""

    frames: int = 128  # of a window: 1.28 s, a whole passphrase
    channels: tuple[int, ...] = (32, 48, 64, 64)  # each halves frames and mel bands
    full: int = 16  # channels of the last picture before the spectrogram
    dimension: int = 64


def encoder(shape: AutoencoderShape) -> keras.Model:
    """From windows (batch, frames, MELS) to means and log variances, (batch, 2 dimension)."""
    heard = keras.Input((shape.frames, MELS), name="features")
    flow = layers.Reshape((shape.frames, MELS, 1))(heard)
    for channels in shape.channels:
        flow = layers.Conv2D(channels, 3, 2, padding="same", use_bias=False)(flow)
        flow = layers.ReLU()(layers.BatchNormalization()(flow))
    point = layers.Dense(2 * shape.dimension)(layers.Flatten()(flow))
    return keras.Model(heard, layers.Activation("linear", dtype="float32")(point), name="encoder")


def decoder(shape: AutoencoderShape) -> keras.Model:
    """From points (batch, dimension) to level-free log-mel features (batch, frames, MELS)."""
    point = keras.Input((shape.dimension,), name="point")
    halved = 2 ** len(shape.channels)
    small = (shape.frames // halved, MELS // halved, shape.channels[-1])
    # With a bias, which normalization leaves where it is: the picture at the origin.
    flow = layers.Dense(small[0] * small[1] * small[2])(point)
    flow = layers.ReLU()(layers.BatchNormalization()(layers.Reshape(small)(flow)))
    for channels in (*reversed(shape.channels[:-1]), shape.full):
        flow = layers.Conv2DTranspose(channels, 4, 2, padding="same", use_bias=False)(flow)
        flow = layers.ReLU()(layers.BatchNormalization()(flow))
    drawn = layers.Reshape((shape.frames, MELS))(layers.Conv2D(1, 3, padding="same")(flow))
    return keras.Model(point, layers.Rescaling(SPREAD, dtype="float32")(drawn), name="decoder")
