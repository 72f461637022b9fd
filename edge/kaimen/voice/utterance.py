"""A phrase and what was computed of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kaimen.sound import Samples
from kaimen.sound.bandwidth import limited
from kaimen.voice import features
from kaimen.voice.encoder import Encoder, Voiceprint
from kaimen.voice.features import Features


@dataclass(frozen=True)
class Utterance:
    """A phrase, and what several checks need of it, computed once."""

    samples: Samples
    encoder: Encoder
    band: int | None = None  # Hz: of the recordings that the voice is compared with; None: wide

    @cached_property
    def features(self) -> Features:
        """Return log-mel features in coarse bands, (frames, MELS). Raises NoSpeech."""
        return features.log_mel(self.samples)

    @cached_property
    def voiceprint(self) -> Voiceprint:
        """Return whose voice it is, as a point, heard no higher than ``band``. Raises NoSpeech."""
        heard = self.samples if self.band is None else limited(self.samples, self.band)
        return self.encoder.embed(heard)
