"""The encoder: a phrase becomes one point of the latent space.

The network is a fully integer-quantized ``.tflite`` file; beside it lies its card, a JSON
file of the same name, which says what the network expects and how good it was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import EncoderError
from kaimen.parsing import read_json
from kaimen.sound import Samples
from kaimen.voice import SHIPPED, features
from kaimen.voice.network import RUNTIMES, Network

__all__ = ["RUNTIMES", "Card", "Encoder", "Voiceprint"]

Voiceprint = NDArray[np.float32]  # (dimension,), unit length


@dataclass(frozen=True, slots=True)
class Card:
    """What must be known of an encoder before it is trusted."""

    name: str
    sha256: str
    frames: int  # of one window of features
    values: int  # a frame
    dimension: int  # of a voiceprint
    features: dict[str, float]  # the constants of kaimen.voice.features
    strangers: dict[str, float]  # strangers' scores in development: voice.spread.spread_of
    training: dict[str, Any]
    measured: dict[str, Any]
    # Where distances count and not directions, points are lifted so high above the origin that
    # the plane they lie in is nearly a sphere: cosines then rank as Euclidean distances do.
    lift: float | None = None
    # Whether the network takes features less each band's mean over the window. That cancels what
    # a microphone adds to every moment alike.
    centred: bool = False
    score: str = ""  # the rule that strangers were scored by: voice.score.RULE

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read a card. Raises EncoderError."""
        try:
            return cls(**read_json(path.read_text(encoding="utf-8")))
        except OSError:
            raise EncoderError(f"{path}: no card beside the encoder; export it again") from None
        except (ValueError, TypeError):
            raise EncoderError(f"{path}: not an encoder's card; export it again") from None


class Encoder:
    """A loaded encoder. Not thread-safe: one interpreter, one caller at a time."""

    def __init__(self, path: Path | str = SHIPPED, *, runtime: str | None = None) -> None:
        self.path = path = Path(path)
        self.runtime = runtime
        self.card = card = Card.read(path.with_suffix(".json"))
        try:
            self.bands = features.bands_of(card.features)
        except ValueError:
            raise EncoderError(
                f"{path}: trained with other features than this program's; "
                "use the encoder and the program of one version"
            ) from None
        made = card.dimension - (card.lift is not None)
        self._network = Network(
            path, card.sha256, takes=(card.frames, card.values), makes=(made,), runtime=runtime
        )

    @property
    def identity(self) -> str:
        """The SHA-256 of the network: voiceprints of two identities cannot be compared."""
        return self.card.sha256

    @property
    def runs_on(self) -> str:
        """Which of the runtimes runs it; ``runtime`` is the one that was asked for."""
        return self._network.runtime

    def embed(self, phrase: Samples) -> Voiceprint:
        """The voiceprint of a phrase, shape (dimension,), unit length.

        Longer phrases are the mean of windows. Raises NoSpeech for less than one frame.
        """
        return self.embed_features(self.features_of(phrase))

    def features_of(self, phrase: Samples) -> features.Features:
        """Return the log-mel features (frames, values) that this encoder reads. Raises NoSpeech."""
        return features.log_mel(phrase, self.bands)

    def embed_features(self, heard: features.Features) -> Voiceprint:
        """Return the voiceprint of a phrase's log-mel features, as ``features_of`` makes them."""
        return _unit(np.sum([_unit(self.run(window)) for window in self.windows(heard)], axis=0))

    def windows(self, heard: features.Features) -> list[features.Features]:
        """Return the windows (frames, values) that the network looks at, of log-mel features.

        Raises EncoderError for features in other bands.
        """
        if heard.shape[1] != self.card.values:
            raise EncoderError(
                f"{self.path}: hears {self.card.values} bands, and these are {heard.shape[1]}"
            )
        windows = features.fit_frames(features.level_free(heard), self.card.frames)
        return [features.centred(each) for each in windows] if self.card.centred else windows

    def run(self, window: features.Features) -> NDArray[np.float32]:
        """What the network makes of one window (frames, values) as it is; of any length."""
        point = self._network(window)
        return point if self.card.lift is None else np.append(point, np.float32(self.card.lift))


def _unit(vector: NDArray[np.float32]) -> Voiceprint:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length if length > 0 else 1)
