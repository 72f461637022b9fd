"""What is measured of a take at the microphone beside its voice."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.sound import Samples
from kaimen.sound.endpoint import Phrase
from kaimen.sound.loudness import decibels
from kaimen.sound.quality import clipped_share, signal_to_noise, voiced_seconds


@dataclass(frozen=True, slots=True)
class TakeQuality:
    """How good a take is to know somebody by."""

    seconds: float  # that somebody spoke
    voiced: float  # seconds of it that are voiced
    level: float  # dB of full scale, root mean square
    signal_to_noise: float  # dB
    clipped: float  # share of the samples

    @classmethod
    def of(cls, samples: Samples, phrase: Phrase) -> TakeQuality:
        """Measure the phrase of a recording, whose other sound is the room."""
        return cls(
            phrase.seconds,
            voiced_seconds(phrase.samples),
            decibels(phrase.samples),
            signal_to_noise(samples, phrase),
            clipped_share(phrase.samples),
        )
