"""Full integer quantization of an encoder whose point was rotated first.

A rotation leaves every cosine as it is. In eight bits it matters: one scale serves all
dimensions of the point, and after a random rotation none of them stands out.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

layers = tf.keras.layers

USUAL = 0.25  # share of the windows, the least extreme, that set the scales


def quantize(network: tf.keras.Model, shown: NDArray[np.float32]) -> bytes:
    """Return a fully integer-quantized TFLite file; ``shown`` is (windows, frames, MELS)."""
    shown = shown[usual(network, shown)]
    converter = _converter(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([window[np.newaxis]] for window in shown)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return _converted(converter)


def by_ranges(network: tf.keras.Model) -> bytes:
    """Return a TFLite file that computes in int8 what the network itself rounds.

    What it does not round stays in floating point, as do input and output.
    """
    converter = _converter(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return compact(_converted(converter))


class _Once(flatbuffers.Builder):  # type: ignore[misc]  # a library without types
    """Writes equal vectors once: a zero for each of a hundred thousand channels, for example."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, values: NDArray[Any]) -> int:
        """Return where a vector is, written now or before."""
        key = (values.dtype.str, values.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(values)
        return self._written[key]


def compact(content: bytes) -> bytes:
    """Return the same TFLite file without the names of its tensors, and equal vectors once."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = b""
    builder = _Once(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def exact(network: tf.keras.Model) -> bytes:
    """Return the same network as a TFLite file in float32: what int8 is compared with."""
    return _converted(_converter(network))


def _converter(network: tf.keras.Model) -> tf.lite.TFLiteConverter:
    fixed = tf.function(network).get_concrete_function(
        tf.TensorSpec((1, *network.input_shape[1:]), tf.float32)
    )
    return tf.lite.TFLiteConverter.from_concrete_functions([fixed], network)


def _converted(converter: tf.lite.TFLiteConverter) -> bytes:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own
        return bytes(converter.convert())


def usual(network: tf.keras.Model, shown: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which windows drive no activation to an extreme, (windows,); at least one does not.

    The largest value shown sets the scale of a tensor, and a few odd windows reach twice as far
    as all others. Left out, their own activations are clipped; all others gain a bit.
    """
    kinds = (layers.ReLU, layers.Add, layers.Concatenate)
    watched = [layer.output for layer in network.layers if isinstance(layer, kinds)]
    watched.append(network.output)
    peaks = [tf.reduce_max(tf.abs(tensor), list(range(1, len(tensor.shape)))) for tensor in watched]
    probe = tf.keras.Model(network.input, tf.stack(peaks, axis=1))
    found = probe.predict(shown, 32, verbose=0)
    # Alike at a ceiling, alike in rank.
    ranks = [np.searchsorted(np.sort(peaks_of), peaks_of) for peaks_of in found.T]
    worst = np.max(ranks, axis=0)
    return np.asarray(worst <= np.quantile(worst, USUAL), np.bool_)


def rotate(network: tf.keras.Model, seed: int = 0) -> None:
    """Rotate the point that the layer "point" makes, at random; in place.

    Networks without one (the first rungs of the ladder) stay as they are.
    """
    if "point" in [layer.name for layer in network.layers]:
        fold(network, rotation(network.output_shape[-1], seed))


def rotation(dimension: int, seed: int) -> NDArray[np.float64]:
    """The rotation of a seed, (dimension, dimension): rows of points times it are the new rows."""
    normal = np.random.default_rng(seed).standard_normal((dimension,) * 2)
    return np.linalg.qr(normal)[0]


def fold(network: tf.keras.Model, way: NDArray[np.floating[Any]]) -> None:
    """Put a linear map (dimension, dimension) of the point into the layer "point"; in place."""
    layer = network.get_layer("point")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel @ way, bias @ way])
