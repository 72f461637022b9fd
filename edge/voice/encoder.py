"""The encoder: a phrase becomes one point of the latent space.

The network is a fully integer-quantized ``.tflite`` file; beside it lies its card, a JSON
file of the same name, which says what the network expects and how good it was found. Either
TFLite runtime will do.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EncoderError
from edge.quiet import hushed
from edge.sound import Samples
from edge.voice import SHIPPED, features

# In order of preference: on x86 the newer one runs int8 many times as fast.
RUNTIMES = ("ai_edge_litert", "tflite_runtime")

Voiceprint = NDArray[np.float32]  # (dimension,), unit length


@dataclass(frozen=True, slots=True)
class Card:
    """What must be known of an encoder before it is trusted."""

    name: str
    sha256: str
    frames: int  # of one window of features
    values: int  # a frame
    dimension: int  # of a voiceprint
    features: dict[str, float]  # the constants of edge.voice.features
    strangers: dict[str, float]  # strangers' scores in development: gallery.calibration.spread_of
    training: dict[str, Any]
    measured: dict[str, Any]
    # Where distances count and not directions, points are lifted so high above the origin that
    # the plane they lie in is nearly a sphere: cosines then rank as Euclidean distances do.
    lift: float | None = None

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read a card. Raises EncoderError."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except OSError:
            raise EncoderError(f"{path}: no card beside the encoder; export it again") from None
        except (ValueError, TypeError):
            raise EncoderError(f"{path}: not an encoder's card; export it again") from None


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


class Encoder:
    """A loaded encoder. Not thread-safe: one interpreter, one caller at a time."""

    def __init__(self, path: Path | str = SHIPPED, *, runtime: str | None = None) -> None:
        path = Path(path)
        self.card = Card.read(path.with_suffix(".json"))
        try:
            content = path.read_bytes()
        except OSError:
            raise EncoderError(f"{path}: the encoder cannot be read; export it again") from None
        if hashlib.sha256(content).hexdigest() != self.card.sha256:
            raise EncoderError(f"{path}: not the file its card describes; copy both again")
        if self.card.features != features.constants():
            raise EncoderError(
                f"{path}: trained with other features than this program's; "
                "use the encoder and the program of one version"
            )
        try:
            with hushed():
                self._network = _interpreter(content, runtime)
                self._network.allocate_tensors()
        except EncoderError:
            raise
        except (ValueError, RuntimeError) as error:
            raise EncoderError(f"{path}: the runtime refuses it ({str(error).strip()})") from None
        (self._input,) = self._network.get_input_details()
        (self._output,) = self._network.get_output_details()
        made = self.card.dimension - (self.card.lift is not None)
        expected = ([1, self.card.frames, self.card.values], [1, made])
        found = (self._input["shape"].tolist(), self._output["shape"].tolist())
        if found != expected:
            raise EncoderError(f"{path}: shapes {found} are not the card's {expected}")

    @property
    def identity(self) -> str:
        """The SHA-256 of the network: voiceprints of two identities cannot be compared."""
        return self.card.sha256

    def embed(self, phrase: Samples) -> Voiceprint:
        """The voiceprint of a phrase, shape (dimension,), unit length.

        Longer phrases are the mean of windows. Raises NoSpeech for less than one frame.
        """
        heard = features.level_free(features.log_mel(phrase))
        windows = features.fit_frames(heard, self.card.frames)
        return _unit(np.sum([_unit(self.run(window)) for window in windows], axis=0))

    def run(self, window: features.Features) -> NDArray[np.float32]:
        """What the network makes of one window (frames, values) as it is; of any length."""
        self._network.set_tensor(self._input["index"], _quantize(window[np.newaxis], self._input))
        self._network.invoke()
        point = _dequantize(self._network.get_tensor(self._output["index"])[0], self._output)
        return point if self.card.lift is None else np.append(point, np.float32(self.card.lift))


def _quantize(values: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    """Values as the tensor wants them; float32 networks take them as they are."""
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


def _unit(vector: NDArray[np.float32]) -> Voiceprint:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length if length > 0 else 1)
