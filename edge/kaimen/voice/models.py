"""The models that hear a phrase: the encoder, and those that come along with it."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.sound.bandwidth import highest_speech
from kaimen.voice import LOUDSPEAKER, PHRASE, model_path
from kaimen.voice.encoder import Encoder
from kaimen.voice.evidence import Evidence
from kaimen.voice.fingerprint import fingerprint
from kaimen.voice.loudspeaker import LoudspeakerDetector
from kaimen.voice.phrase import PhraseEncoder
from kaimen.voice.utterance import Utterance


@dataclass(frozen=True, slots=True)
class Models:
    """What a gate hears with; whatever of a check is None is not checked."""

    encoder: Encoder
    phrase: PhraseEncoder | None = None
    loudspeaker: LoudspeakerDetector | None = None

    @classmethod
    def shipped(cls, encoder: Encoder) -> Models:
        """Return an encoder, with the phrase encoder and the detector that come along with it."""
        return cls(encoder, phrase_of(encoder), detector_of(encoder))

    @property
    def said_by(self) -> str:
        """Return the identity of the phrase encoder; empty without one."""
        return "" if self.phrase is None else self.phrase.identity

    def evidence(self, heard: Utterance) -> Evidence:
        """Return what is kept of a recording that enrolls somebody. Raises NoSpeech."""
        said = None if self.phrase is None else self.phrase.embed_features(heard.features)
        samples = heard.samples
        return Evidence(said, self.said_by, fingerprint(samples), highest_speech(samples))


def phrase_of(encoder: Encoder) -> PhraseEncoder:
    """Return the phrase encoder that comes along with an encoder. Raises EncoderError."""
    return PhraseEncoder(model_path(encoder.path, PHRASE), runtime=encoder.runtime)


def detector_of(encoder: Encoder) -> LoudspeakerDetector:
    """Return the detector of loudspeakers that comes along with an encoder. Raises EncoderError."""
    return LoudspeakerDetector(model_path(encoder.path, LOUDSPEAKER))
