"""The loudspeaker detector: was it a mouth that said this, or a loudspeaker?

A small network, plain matrix products, looks at the log-mel features of a phrase: two
convolutions over time, then means and deviations over the whole phrase, of the features and of
what the convolutions found, and two dense layers. It listens to what a recording and a loudspeaker
do to speech: lows and highs that are missing, resonances, two rooms on top of each other, noise
under the noise, what a codec left out. How it was trained and how good it was found is in
``docs/loudspeaker.md``.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge.errors import EncoderError
from edge.sound import Samples
from edge.voice import LOUDSPEAKER, features
from edge.voice.features import Features

STRIDE = 2  # frames from one place of a convolution to the next
TAPS = (5, 3)  # frames that the convolutions see at a time
SHORTEST = 16  # frames; less is said again from its beginning
SPREAD = 3.0  # deviation of level-free features, about
UTMOST = 4.0  # of these deviations: what lies beyond is as far as this
EVEN = 1e-4  # below every variance

LAYERS = ("first", "second", "hidden", "output")
WEIGHTS = tuple(f"{layer}{part}" for layer in LAYERS for part in ("", "_bias"))

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class LoudspeakerCard:
    """What must be known of a detector before it is trusted."""

    name: str
    sha256: str
    features: dict[str, float]  # the constants of edge.voice.features
    threshold: float  # log-odds from which on a phrase counts as replayed
    grey: float  # log-odds up to which it may be said once more
    training: dict[str, Any]
    measured: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> LoudspeakerCard:
        """Read a card. Raises EncoderError."""
        try:
            card = cls(**json.loads(path.read_text(encoding="utf-8")))
            numbers = math.isfinite(card.threshold) and card.grey >= card.threshold
        except OSError:
            raise EncoderError(f"{path}: no card beside the detector; export it again") from None
        except (ValueError, TypeError):
            raise EncoderError(f"{path}: not a detector's card; export it again") from None
        if not numbers:
            raise EncoderError(f"{path}: its thresholds are none; export it again")
        return card


class LoudspeakerDetector:
    """A loaded detector; a function of what it hears."""

    def __init__(self, path: Path | str = LOUDSPEAKER) -> None:
        path = Path(path)
        self.card = LoudspeakerCard.read(path.with_suffix(".json"))
        try:
            content = path.read_bytes()
        except OSError:
            raise EncoderError(f"{path}: the detector cannot be read; export it again") from None
        if hashlib.sha256(content).hexdigest() != self.card.sha256:
            raise EncoderError(f"{path}: not the file its card describes; copy both again")
        if self.card.features != features.constants():
            raise EncoderError(
                f"{path}: trained with other features than this program's; "
                "use the detector and the program of one version"
            )
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                self._weights = {name: stored[name].astype(np.float32) for name in WEIGHTS}
            self.score(np.zeros((SHORTEST, features.MELS), np.float32), np.zeros(0, np.float32))
        except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):
            raise EncoderError(f"{path}: not a detector's weights; export it again") from None

    @property
    def identity(self) -> str:
        """The SHA-256 of the weights."""
        return self.card.sha256

    @property
    def threshold(self) -> float:
        """The score from which on a phrase counts as replayed."""
        return self.card.threshold

    @property
    def grey(self) -> float:
        """The score up to which another try may show that it was not."""
        return self.card.grey

    def score(self, heard: Features, samples: Samples) -> float:
        """Log-odds that a phrase came out of a loudspeaker, were both as likely beforehand.

        ``heard`` are its log-mel features, (frames, MELS); ``samples`` are not needed by this
        detector. What is no number counts as an attack: it scores infinity.
        """
        if not len(heard):
            return math.inf
        with np.errstate(all="ignore"):
            odds = log_odds(heard, self._weights)
        return odds if math.isfinite(odds) else math.inf


def standard(heard: Features) -> Features:
    """Features as the network wants them: level-free, of about one deviation, never short."""
    if len(heard) < SHORTEST:
        heard = np.resize(heard, (SHORTEST, heard.shape[1]))
    scaled = features.level_free(heard) * np.float32(1 / SPREAD)
    return np.clip(scaled, -UTMOST, UTMOST, out=scaled)


def log_odds(heard: Features, weights: Weights) -> float:
    """What the network makes of log-mel features."""
    values = standard(heard)
    first = _convolved(values, weights["first"], weights["first_bias"], TAPS[0])
    second = _convolved(first, weights["second"], weights["second_bias"], TAPS[1])
    pooled = np.concatenate([_pooled(each) for each in (values, first, second)])
    hidden = np.maximum(pooled @ weights["hidden"] + weights["hidden_bias"], 0)
    return float((hidden @ weights["output"] + weights["output_bias"]).item())


def _convolved(
    values: NDArray[np.float32], kernel: NDArray[np.float32], bias: NDArray[np.float32], taps: int
) -> NDArray[np.float32]:
    """A convolution over time and what is positive of it; kernel (taps * channels, filters)."""
    windows = sliding_window_view(values, taps, axis=0)[::STRIDE]  # (places, channels, taps)
    # A copy: windows that overlap in memory are no matrix that BLAS takes.
    flat = np.ascontiguousarray(windows.transpose(0, 2, 1)).reshape(len(windows), -1)
    found: NDArray[np.float32] = np.maximum(flat @ kernel + bias, 0)
    return found


def _pooled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means and deviations over time, shape (2 * channels,)."""
    mean = values.mean(axis=0)
    apart = values - mean
    variance = np.einsum("ij,ij->j", apart, apart) / np.float32(len(values))
    pooled: NDArray[np.float32] = np.concatenate((mean, np.sqrt(variance + np.float32(EVEN))))
    return pooled
