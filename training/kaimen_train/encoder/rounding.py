"""Makes CAM++ fit for eight bits: channels of one size, and a range for each tensor.

One scale serves a whole tensor in int8. Where channels of very different sizes meet in one tensor,
the small ones vanish. Channels of a dense block are read through a scale of their own, so their
sizes may be chosen: ``equalise`` chooses them. (The idea is cross-layer equalisation, M. Nagel et
al., "Data-free quantization through weight equalization and bias correction", ICCV 2019.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from tensorflow import keras

from kaimen_train.networks.campplus import BLOCKS, Ranges

TOGETHER = 25  # windows looked at at once
USUAL = 0.999  # quantile of a channel's absolute values that is its size
FAINTEST = 1e-3  # size of a channel beside the largest, at least
SAMPLED = 3_000  # values of a tensor kept from TOGETHER windows
SHRUNK = 0.9 ** np.arange(24)  # shares of a tensor's extremes that are tried as its range
LEVELS = 255  # steps of eight bits


def equalise(network: keras.Model, shown: NDArray[np.float32]) -> None:
    """Give the channels of each dense block one size; in place, the points stay as they are.

    ``shown`` are windows (windows, frames, MELS). A channel is measured twice, before and after
    its mask: both tensors are rounded, and the geometric mean serves both.
    """
    sources = dict(_sources())
    layers = {layer.name: layer for layer in network.layers}
    tensors = [
        layers[f"{name}.rounded"].output for measured in sources.values() for name in measured
    ]
    probe = keras.Model(network.input, tensors)
    found = [
        [np.quantile(np.abs(_rows(each.numpy())), USUAL, axis=0) for each in probe(part)]
        for part in _parts(shown)
    ]
    sizes = [np.max(each, axis=0) for each in zip(*found, strict=True)]
    scale: dict[str, NDArray[np.float32]] = {}
    for number, name in enumerate(sources):
        size = np.sqrt(sizes[2 * number] * sizes[2 * number + 1])
        scale[name] = np.maximum(size, FAINTEST * size.max())
        layers[name].set_weights([each / scale[name] for each in layers[name].get_weights()])
    for number, (count, _) in enumerate(BLOCKS, start=1):
        name = "xvector.tdnn.linear" if number == 1 else f"xvector.transit{number - 1}.linear"
        factor = scale[name]
        for layer in range(1, count + 1):
            name = f"xvector.block{number}.tdnnd{layer}"
            _multiply(layers[f"{name}.nonlinear1.scale"], factor)
            factor = np.concatenate([factor, scale[f"{name}.cam_layer.linear_local"]])
        _multiply(layers[f"xvector.transit{number}.nonlinear.scale"], factor)


def _sources() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each layer whose channels enter a dense block, and the two tensors they are in."""
    for number, (count, _) in enumerate(BLOCKS, start=1):
        entry = "xvector.tdnn.linear" if number == 1 else f"xvector.transit{number - 1}.linear"
        yield entry, (f"xvector.block{number}",) * 2
        for layer in range(1, count + 1):
            name = f"xvector.block{number}.tdnnd{layer}"
            local = f"{name}.cam_layer.linear_local"
            yield local, (local, name)


def ranges_of(network: keras.Model, shown: NDArray[np.float32]) -> Ranges:
    """Return the limits of each tensor that is rounded, as its values in ``shown`` ask for.

    Rounding and what is cut off together make the least squared error. The tensors that are
    joined in a dense block share their limits, as the runtime demands.
    """
    random = np.random.default_rng(0)
    outputs = {
        layer.name.removesuffix(".rounded"): layer.output
        for layer in network.layers
        if layer.name.endswith(".rounded")
    }
    probe = keras.Model(network.input, list(outputs.values()))
    seen: dict[str, list[NDArray[np.float32]]] = {name: [] for name in outputs}
    for part in _parts(shown):
        for name, tensor in zip(outputs, probe(part), strict=True):
            values = tensor.numpy().ravel()
            few = values[random.integers(len(values), size=min(SAMPLED, len(values)))]
            seen[name].append(np.append(few, (values.min(), values.max())))
    for number, (count, _) in enumerate(BLOCKS, start=1):
        block = f"xvector.block{number}"
        for layer in range(1, count + 1):
            seen[block] += seen.pop(f"{block}.tdnnd{layer}")
    found = {name: limits(np.concatenate(values)) for name, values in seen.items()}
    found |= {name: (0.0, LEVELS / (LEVELS + 1)) for name in found if name.endswith(".mask")}
    return found


def limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the limits of eight bits that keep values (n,) best, in the least-squares sense."""
    low, high = min(0.0, float(values.min())), max(1e-6, float(values.max()))

    def error(share: float) -> float:
        first, last = exact_zero(low * share, high * share)
        step = (last - first) / LEVELS
        kept = np.clip(np.round(values / step) * step, first, last)
        return float(np.mean((kept - values) ** 2))

    best = min(SHRUNK.tolist(), key=error)
    return exact_zero(low * best, high * best)


def exact_zero(low: float, high: float) -> tuple[float, float]:
    """Return the limits moved a little, so that zero is one of the steps."""
    step = (high - low) / LEVELS
    zero = round(-low / step)
    return -zero * step, (LEVELS - zero) * step


def _parts(shown: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(shown), TOGETHER):
        yield shown[start : start + TOGETHER]


def _rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.reshape(-1, values.shape[-1])


def _multiply(layer: keras.layers.Layer, factor: NDArray[np.float32]) -> None:
    layer.set_weights([layer.get_weights()[0] * factor])
