"""CAM++ in Keras: the large encoder, begun from 3D-Speaker's weights.

H. Wang et al., "CAM++: A fast and efficient network for speaker verification using context-aware
masking", Interspeech 2023, arXiv 2303.00332. Weights: 3D-Speaker's for Mandarin and English,
Apache-2.0 (``training/kaimen_train/peers/campplus.py`` reads them).

What differs from the original, and why:

- Within the network, mel bands run from high to low. A convolution that halves an even number of
  bands is padded at one end only; the original pads the low end, TensorFlow the high end. Turned
  round they agree.
- Batch normalisation is folded into the convolution before it. Where it stands before an
  activation it stays, as a scale and a shift.
- Context is the mean over the whole window. The original adds means over 2 s; within a window
  of at most 2 s both are the same mean.
- Frames have a Hann window and no pre-emphasis, as everywhere at the gate, in Kaldi's 80 bands.
- The standard deviation over time stays in floating point: int8 has no square root, and a
  variance has too wide a range for eight bits.
- Nothing is cut off at zero at the end. The original has no such activation either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras
from tensorflow.keras import layers

from kaimen.voice.features import FINE

BANDS = FINE.mels
PICTURE = 32  # channels of the two-dimensional front
BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers of a dense block, dilation
GROWTH = 32  # channels that each layer adds
NECK = 128  # channels within a layer
DIMENSION = 192
LAYERS = 6 + 5 + 1 + 2 * sum(count for count, _ in BLOCKS) + len(BLOCKS) + 2  # in a row
RANGES = Path(__file__).parents[1] / "weights" / "large.ranges.json"  # see encoder/rounding.py
EPSILON = 1e-5  # of PyTorch's batch normalisation

Weights = Mapping[str, NDArray[Any]]


def _eight_bits(kernel: tf.Tensor) -> tf.Tensor:
    """Return a kernel (..., channels) as eight bits a channel keep it; gradients pass."""
    step = tf.reduce_max(tf.abs(kernel), list(range(len(kernel.shape) - 1))) / 127 + 1e-12
    return kernel + tf.stop_gradient(tf.round(kernel / step) * step - kernel)


class RoundedConv1D(layers.Conv1D):
    """A convolution whose kernel has eight bits a channel."""

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Return inputs, convolved."""
        return super().convolution_op(inputs, _eight_bits(kernel))


class RoundedConv2D(layers.Conv2D):
    """A convolution whose kernel has eight bits a channel."""

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Return inputs, convolved."""
        return super().convolution_op(inputs, _eight_bits(kernel))


class Scale(layers.Layer):
    """A factor of each channel."""

    def build(self, shape: tf.TensorShape) -> None:
        """Make the weights, (channels,)."""
        self.scale = self.add_weight("scale", shape[-1:], initializer="ones")

    def call(self, flow: tf.Tensor) -> tf.Tensor:
        """Return flow (..., channels), scaled."""
        return flow * self.scale


class Shift(layers.Layer):
    """A constant added to each channel."""

    def build(self, shape: tf.TensorShape) -> None:
        """Make the weights, (channels,)."""
        self.shift = self.add_weight("shift", shape[-1:], initializer="zeros")

    def call(self, flow: tf.Tensor) -> tf.Tensor:
        """Return flow (..., channels), shifted."""
        return flow + self.shift


class Spread(layers.Layer):
    """A standard deviation of the variance over time, as of a sample (n - 1)."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the root of variances (batch, channels), given what they are of."""
        variance, flow = inputs
        frames = flow.shape[1] or tf.cast(tf.shape(flow)[1], variance.dtype)
        return tf.sqrt(variance * (frames / (frames - 1)) + 1e-7)


Ranges = Mapping[str, tuple[float, float]]


class _Rounding:
    """Rounds tensors to eight bits where ranges are known; finds out what needs one otherwise."""

    def __init__(self, ranges: Ranges | None, exported: bool = False) -> None:
        self._ranges = ranges
        self.exported = exported
        self.conv1d = layers.Conv1D if ranges is None else RoundedConv1D
        self.conv2d = layers.Conv2D if ranges is None else RoundedConv2D

    def __call__(self, name: str, flow: tf.Tensor, shared: str = "") -> tf.Tensor:
        limits = None if self._ranges is None else self._ranges.get(shared or name)
        if limits is None:
            return layers.Activation("linear", name=f"{name}.rounded")(flow)
        return Rounded(*limits, name=f"{name}.rounded")(flow)


class Rounded(layers.Layer):
    """Eight bits between two limits, as the gate computes; gradients pass within them."""

    def __init__(self, low: float, high: float, **options: Any) -> None:
        super().__init__(**options)
        self.low, self.high = low, high

    def call(self, flow: tf.Tensor) -> tf.Tensor:
        """Return flow, rounded."""
        rounded = tf.quantization.fake_quant_with_min_max_args(
            tf.cast(flow, tf.float32), self.low, self.high
        )
        return tf.cast(rounded, flow.dtype)


def build(
    frames: int | None = None, *, ranges: Ranges | None = None, exported: bool = False
) -> keras.Model:
    """Return CAM++ from (batch, frames, BANDS) to (batch, DIMENSION), not yet unit-length.

    It takes log-mel features in fine bands less each band's mean over time. With ``ranges`` it
    computes as in eight bits what is named there. ``exported``, a scale and a shift are one
    depthwise convolution: eight bits a channel, where a product has eight bits a tensor.
    """
    rounded = _Rounding(ranges, exported)
    heard = keras.Input((frames, BANDS), name="features")
    flow = rounded("features", heard)
    flow = layers.Reshape((-1, BANDS, 1))(layers.Lambda(_turned_round, name="turned")(flow))
    flow = _picture(flow, "head.conv1", rounded)
    for block in ("head.layer1", "head.layer2"):
        for number, stride in enumerate((2, 1)):
            name = f"{block}.{number}"
            short = flow
            if stride == 2:
                # Of each two bands the original takes the lower one, which is now the second.
                short = rounded.conv2d(PICTURE, (1, 2), (1, 2), name=f"{name}.shortcut.0")(flow)
                short = rounded(f"{name}.shortcut.0", short)
            change = _picture(flow, f"{name}.conv1", rounded, stride)
            change = _picture(change, f"{name}.conv2", rounded, active=False)
            flow = rounded(f"{name}.sum", layers.ReLU()(layers.Add()([short, change])))
    flow = _picture(flow, "head.conv2", rounded, 2)
    flow = layers.Reshape((-1, BANDS // 8 * PICTURE))(flow)
    flow = layers.ZeroPadding1D((2, 1))(flow)
    flow = rounded.conv1d(NECK, 5, 2, activation="relu", name="xvector.tdnn.linear")(flow)
    flow = rounded("xvector.block1", flow)
    for number, (count, dilation) in enumerate(BLOCKS, start=1):
        block = f"xvector.block{number}"
        for layer in range(1, count + 1):
            change = _layer(flow, f"{block}.tdnnd{layer}", dilation, rounded, block)
            flow = layers.Concatenate()([flow, change])
        name = f"xvector.transit{number}"
        flow = _normalised(flow, f"{name}.nonlinear", rounded)
        last = number == len(BLOCKS)
        flow = rounded.conv1d(
            flow.shape[-1] // 2,
            1,
            activation="relu" if last else None,
            use_bias=last,
            name=f"{name}.linear",
        )(flow)
        flow = rounded("xvector.out" if last else f"xvector.block{number + 1}", flow)
    mean = layers.GlobalAveragePooling1D(keepdims=True, name="mean")(flow)
    away = layers.Subtract(name="away")([flow, mean])
    squares = layers.Multiply(name="squares")([away, away])
    variance = layers.GlobalAveragePooling1D(name="variance")(squares)
    spread = Spread(name="spread")([variance, flow])
    pooled = rounded("pooled", layers.Concatenate()([layers.Flatten()(mean), spread]))
    point = rounded("point", layers.Dense(DIMENSION, name="point")(pooled))
    return keras.Model(heard, layers.Activation("linear", dtype="float32")(point))


def _turned_round(flow: tf.Tensor) -> tf.Tensor:
    return flow[:, :, ::-1]


def _picture(
    flow: tf.Tensor, name: str, rounded: _Rounding, stride: int = 1, active: bool = True
) -> tf.Tensor:
    flow = rounded.conv2d(
        PICTURE, 3, (1, stride), "same", activation="relu" if active else None, name=name
    )(flow)
    return rounded(name, flow)


def _normalised(flow: tf.Tensor, name: str, rounded: _Rounding) -> tf.Tensor:
    if rounded.exported:
        flow = layers.DepthwiseConv1D(1, activation="relu", name=f"{name}.scale")(flow)
        return rounded(name, flow)
    scaled = rounded(f"{name}.scaled", Scale(name=f"{name}.scale")(flow))
    return rounded(name, layers.ReLU()(Shift(name=f"{name}.shift")(scaled)))


def _layer(flow: tf.Tensor, name: str, dilation: int, rounded: _Rounding, block: str) -> tf.Tensor:
    flow = _normalised(flow, f"{name}.nonlinear1", rounded)
    flow = rounded.conv1d(NECK, 1, activation="relu", name=f"{name}.linear1")(flow)
    flow = rounded(f"{name}.linear1", flow)
    local = rounded.conv1d(
        GROWTH,
        3,
        dilation_rate=dilation,
        padding="same",
        use_bias=False,
        name=f"{name}.cam_layer.linear_local",
    )(flow)
    local = rounded(f"{name}.cam_layer.linear_local", local)
    # The mean over everything and the mean over 2 s: twice the same (see "_converted").
    context = layers.GlobalAveragePooling1D(keepdims=True)(flow)
    context = rounded(f"{name}.context", context)
    context = rounded.conv1d(NECK // 2, 1, activation="relu", name=f"{name}.cam_layer.linear1")(
        context
    )
    context = rounded(f"{name}.cam_layer.linear1", context)
    context = rounded.conv1d(GROWTH, 1, name=f"{name}.cam_layer.linear2")(context)
    context = rounded(f"{name}.cam_layer.linear2", context)
    mask = rounded(f"{name}.mask", layers.Activation("sigmoid")(context))
    return rounded(name, layers.Multiply()([local, mask]), block)


def rounded(network: keras.Model, point: tuple[float, float]) -> keras.Model:
    """Return a trained network as it computes in eight bits; ``point`` is the range of points."""
    ranges = json.loads(RANGES.read_text(encoding="utf-8")) | {"point": point}
    made = build(network.input_shape[1], ranges=ranges, exported=True)
    pairs = zip(network.get_weights(), made.get_weights(), strict=True)
    made.set_weights([weights.reshape(like.shape) for weights, like in pairs])
    return made


def load(network: keras.Model, weights: Weights) -> None:
    """Give a network of ``build`` the original's weights, by their names in PyTorch; in place."""
    for layer in network.layers:
        if not layer.weights:
            continue
        layer.set_weights(_converted(layer.name, weights))


def _converted(name: str, weights: Weights) -> list[NDArray[np.float32]]:
    """Return the weights of the layer ``name`` in Keras' order."""
    if name.endswith((".scale", ".shift")):
        name, _, part = name.rpartition(".")
        scale, shift = _normalisation(f"{name}.batchnorm", weights)
        return [scale if part == "scale" else shift]
    if name == "point":
        kernel = weights["xvector.dense.linear.weight"][..., 0].T
        scale, shift = _normalisation("xvector.dense.nonlinear.batchnorm", weights)
        return [kernel * scale, shift]
    kernel = weights[f"{name}.weight"]
    if name.endswith("cam_layer.linear1"):
        return [2 * kernel.transpose(2, 1, 0), weights[f"{name}.bias"]]
    if name.endswith("cam_layer.linear2"):
        return [kernel.transpose(2, 1, 0), weights[f"{name}.bias"]]
    if kernel.ndim == 4:  # (out, in, bands, time) -> (time, bands turned round, in, out)
        kernel = kernel[:, :, ::-1].transpose(3, 2, 1, 0)
        if name.endswith("shortcut.0"):
            kernel = np.pad(kernel, ((0, 0), (1, 0), (0, 0), (0, 0)))
    else:  # (out, in, time) -> (time, in, out)
        kernel = kernel.transpose(2, 1, 0)
    if name == "xvector.tdnn.linear":
        # The original's channels are (channel, band); here they are (band from high to low,
        # channel).
        taps, _, out = kernel.shape
        kernel = kernel.reshape(taps, PICTURE, BANDS // 8, out)[:, :, ::-1]
        kernel = kernel.transpose(0, 2, 1, 3).reshape(taps, -1, out)
    found = _normalisation_after(name)
    if found is None:
        return [kernel]
    scale, shift = _normalisation(found, weights)
    return [kernel * scale, shift]


def _normalisation_after(name: str) -> str | None:
    """Return the normalisation that follows a convolution; None where none does."""
    if name.startswith("head"):
        if name.endswith("shortcut.0"):
            return name[:-1] + "1"
        return name.replace("conv", "bn")
    if name == "xvector.tdnn.linear":
        return "xvector.tdnn.nonlinear.batchnorm"
    if name.endswith(".linear1"):
        return name.replace("linear1", "nonlinear2.batchnorm")
    if name == "xvector.transit3.linear":
        return "xvector.out_nonlinear.batchnorm"
    return None


def _normalisation(name: str, weights: Weights) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return scale and shift of a batch normalisation whose statistics are fixed."""
    scale = 1 / np.sqrt(weights[f"{name}.running_var"] + EPSILON)
    scale = scale * weights.get(f"{name}.weight", 1.0)
    return scale, weights.get(f"{name}.bias", 0.0) - weights[f"{name}.running_mean"] * scale
