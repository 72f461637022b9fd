"""A network in a fully integer-quantized ``.tflite`` file; either TFLite runtime will do."""

from __future__ import annotations

import hashlib
import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import EncoderError
from kaimen.stderr import silenced

# In order of preference: on x86 the newer one runs int8 many times as fast.
RUNTIMES = ("ai_edge_litert", "tflite_runtime")


class Network:
    """A loaded network. Not thread-safe: one interpreter, one caller at a time."""

    def __init__(
        self,
        path: Path,
        sha256: str,
        *,
        takes: tuple[int, ...],
        makes: tuple[int, ...],
        runtime: str | None = None,
    ) -> None:
        """The network at ``path``, if it is the one of this hash and of these shapes.

        Raises EncoderError.
        """
        try:
            content = path.read_bytes()
        except OSError:
            raise EncoderError(f"{path}: the encoder cannot be read; export it again") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise EncoderError(f"{path}: not the file its card describes; copy both again")
        try:
            with silenced():
                self._network = _interpreter(content, runtime)
                self._network.allocate_tensors()
        except EncoderError:
            raise
        except (ValueError, RuntimeError) as error:
            raise EncoderError(f"{path}: the runtime refuses it ({str(error).strip()})") from None
        (self._input,) = self._network.get_input_details()
        (self._output,) = self._network.get_output_details()
        expected = ([1, *takes], [1, *makes])
        found = (self._input["shape"].tolist(), self._output["shape"].tolist())
        if found != expected:
            raise EncoderError(f"{path}: shapes {found} are not the card's {expected}")

    @property
    def runtime(self) -> str:
        """Return which of the runtimes runs it."""
        return type(self._network).__module__.partition(".")[0]

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the network makes of values of the shape it takes."""
        self._network.set_tensor(self._input["index"], _quantize(values[np.newaxis], self._input))
        self._network.invoke()
        return _dequantize(self._network.get_tensor(self._output["index"])[0], self._output)


def _interpreter(content: bytes, runtime: str | None) -> Any:
    for name in (runtime,) if runtime else RUNTIMES:
        try:
            # LiteRT's package announces its own deprecations on import.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(f"{name}.interpreter")
        except ImportError:
            continue
        return module.Interpreter(model_content=content, num_threads=1)
    wanted = runtime or " or ".join(RUNTIMES)
    raise EncoderError(
        f"no {wanted} is installed; run 'make setup' or pip install 'kaimen[litert]'"
    )


def _quantize(values: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    """Return values as the tensor wants them; float32 networks take them as they are."""
    if tensor["dtype"] == np.float32:
        return values
    scale, zero = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    rounded = np.round(values / np.float32(scale)) + zero
    whole: NDArray[Any] = np.clip(rounded, limits.min, limits.max).astype(tensor["dtype"])
    return whole


def _dequantize(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[np.float32]:
    if tensor["dtype"] == np.float32:
        return values.astype(np.float32)
    scale, zero = tensor["quantization"]
    real: NDArray[np.float32] = (values.astype(np.float32) - zero) * np.float32(scale)
    return real
