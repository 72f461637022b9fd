"""The loudspeaker detector: was it a mouth that said this, or a loudspeaker?

A small network, plain matrix products, looks at the log-mel features of a phrase: three
convolutions over time, then means and deviations over the whole phrase, of the features and of
what the convolutions found. It listens to what a recording and a loudspeaker do to speech: lows and
highs that are missing, resonances, two rooms on top of each other, noise that was recorded, what a
codec left out, what bends when it is loud. What of that is the voice's own it tells by the phrase's
voiceprint, beside those of the recordings that enrolled the student: what a loudspeaker does to
speech moves its point, too, away from theirs. Dense layers weigh both.

It was trained on simulated replays (docs/how/loudspeaker.md), and is measured on simulated ones.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kaimen.errors import EncoderError
from kaimen.parsing import read_json
from kaimen.voice import LOUDSPEAKER, features
from kaimen.voice.encoder import Encoder, Voiceprint
from kaimen.voice.features import Features

CONVOLUTIONS = ("first", "second", "third")
TAPS = (5, 3, 3)  # places of what is before that the convolutions see at a time
STRIDES = (2, 2, 1)  # of these from one of theirs to the next
SHORTEST = 20  # frames; less is said again from its beginning
SPREAD = 3.0  # deviation of level-free features, about
UTMOST = 4.0  # of these deviations: what lies beyond is as far as this
EVEN = 1e-4  # below every variance

DENSE = ("hidden", "deeper")
LAYERS = (*CONVOLUTIONS, *DENSE, "output")
WEIGHTS = tuple(f"{layer}{part}" for layer in LAYERS for part in ("", "_bias"))

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a score must not reach."""

    threshold: float  # log-odds from which on a phrase counts as replayed
    grey: float  # log-odds up to which it may be said once more


class Suspicion(NamedTuple):
    """How much a phrase sounds like a loudspeaker, and how much is too much."""

    score: float  # log-odds, were both as likely beforehand
    limits: Limits


@dataclass(frozen=True, slots=True)
class LoudspeakerCard:
    """What must be known of a detector before it is trusted."""

    name: str
    sha256: str
    features: dict[str, float]  # the constants of kaimen.voice.features
    encoder: str  # SHA-256 of the encoder whose points it knows
    dimension: int  # of these
    beside: Limits  # of phrases beside what enrolled their student
    alone: Limits  # of phrases with nothing beside them
    training: dict[str, Any]
    measured: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> LoudspeakerCard:
        """Read a card. Raises EncoderError."""
        try:
            said = read_json(path.read_text(encoding="utf-8"))
            limits = {name: Limits(**said[name]) for name in ("beside", "alone")}
            card = cls(**(said | limits))
            numbers = all(
                math.isfinite(each.threshold) and each.grey >= each.threshold
                for each in limits.values()
            )
        except OSError:
            raise EncoderError(f"{path}: no card beside the detector; export it again") from None
        except (ValueError, TypeError, KeyError):
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
            silence = np.zeros((SHORTEST, features.MELS), np.float32)
            nowhere = np.zeros((self.card.dimension,), np.float32)
            self.suspect(silence, nowhere, [nowhere])
        except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):
            raise EncoderError(f"{path}: not a detector's weights; export it again") from None

    @property
    def identity(self) -> str:
        """Return the SHA-256 of the weights."""
        return self.card.sha256

    def knows(self, encoder: Encoder) -> bool:
        """Return whether it was trained with an encoder's voiceprints."""
        return self.card.encoder == encoder.identity

    def suspect(
        self, heard: Features, point: Voiceprint | None = None, known: Sequence[Voiceprint] = ()
    ) -> Suspicion:
        """Return how much a phrase sounds like a loudspeaker.

        ``heard`` are its log-mel features, (frames, MELS). ``point`` is its voiceprint, by an
        encoder that the detector ``knows``, and ``known`` are those of recordings in which the same
        student says the same; without them the phrase is heard alone. What is no number counts as
        an attack: it scores infinity.
        """
        beside = None if point is None or not len(known) else unlike(point, known)
        limits = self.card.alone if beside is None else self.card.beside
        if not len(heard):
            return Suspicion(math.inf, limits)
        with np.errstate(all="ignore"):
            odds = log_odds(heard, beside, self._weights)
        return Suspicion(odds if math.isfinite(odds) else math.inf, limits)


def standard(heard: Features) -> Features:
    """Features as the network wants them: level-free, of about one deviation, never short."""
    if len(heard) < SHORTEST:
        heard = np.resize(heard, (SHORTEST, heard.shape[1]))
    scaled = features.level_free(heard) * np.float32(1 / SPREAD)
    return np.clip(scaled, -UTMOST, UTMOST, out=scaled)


def unlike(point: Voiceprint, known: Sequence[Voiceprint]) -> NDArray[np.float32]:
    """A voiceprint, and its way from the middle of others: (2 dimension,), values about one."""
    away = np.concatenate((point, point - np.mean(known, axis=0)))
    scaled: NDArray[np.float32] = away * np.float32(math.sqrt(len(point)))
    return scaled


def log_odds(heard: Features, beside: NDArray[np.float32] | None, weights: Weights) -> float:
    """What the network makes of log-mel features, and of what ``unlike`` says if there is that."""
    values = standard(heard)
    found = [_pooled(values)]
    for layer, taps, stride in zip(CONVOLUTIONS, TAPS, STRIDES, strict=True):
        values = _convolved(values, weights[layer], weights[f"{layer}_bias"], taps, stride)
        found.append(_pooled(values))
    left = len(weights["hidden"]) - sum(map(len, found)) - 1
    found += [np.zeros(left + 1, np.float32)] if beside is None else [beside, np.ones(1, "f4")]
    hidden = np.concatenate(found)
    for layer in DENSE:
        hidden = np.maximum(hidden @ weights[layer] + weights[f"{layer}_bias"], 0)
    return float((hidden @ weights["output"] + weights["output_bias"]).item())


def _convolved(
    values: NDArray[np.float32],
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    taps: int,
    stride: int,
) -> NDArray[np.float32]:
    """A convolution over time and what is positive of it; kernel (taps * channels, filters)."""
    windows = sliding_window_view(values, taps, axis=0)[::stride]  # (places, channels, taps)
    # A copy: windows that overlap in memory are no matrix that BLAS takes.
    flat = np.ascontiguousarray(windows.transpose(0, 2, 1)).reshape(len(windows), -1)
    return np.maximum(flat @ kernel + bias, 0)


def _pooled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means and deviations over time, shape (2 * channels,)."""
    mean = values.mean(axis=0)
    apart = values - mean
    variance = np.einsum("ij,ij->j", apart, apart) / np.float32(len(values))
    return np.concatenate((mean, np.sqrt(variance + np.float32(EVEN))))
