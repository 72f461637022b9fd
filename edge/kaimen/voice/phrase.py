"""The phrase check: are these the words that were enrolled?

A small network hears a phrase, cut to where somebody speaks and stretched to a length of its own,
and says for each of a few overlapping parts of it, as one direction, what was said there. Two
phrases are alike if all parts are: what counts is nearly the least of the parts' cosines, so that
a phrase that shares one half with another is not half right. There is no transcript and no
language: a student's own recordings of the passphrase say what the words are. How it was trained
and how good it was found is in ``docs/figures/phrase.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import EncoderError
from kaimen.parsing import read_json
from kaimen.sound import Samples
from kaimen.voice import PHRASE, features
from kaimen.voice.features import Features
from kaimen.voice.network import Network

SOFTNESS = 0.1  # of the least cosine: how much the next ones count
QUIET = 24.0  # dB below its loud frames a frame is no speech
LOUD = 0.95  # of the frames are no louder than the loud ones
PAUSE = 20  # frames without speech, beyond which a click is not of the phrase
CLICK = 8  # frames
MARGIN = 6  # frames kept around the speech
SCHOOL = 0.35  # weight of how all of a school say a phrase, beside a student's own way
SAME = 0.8  # similarity to that from which on a student's phrase is the school's

PhraseEmbedding = NDArray[np.float32]  # (parts, dimension), unit-length rows


@dataclass(frozen=True, slots=True)
class PhraseCard:
    """What must be known of a phrase encoder before it is trusted."""

    name: str
    sha256: str
    frames: int  # that a phrase is stretched to
    values: int  # a frame
    parts: int  # of a phrase
    dimension: int  # of a part's direction
    softness: float
    features: dict[str, float]  # the constants of kaimen.voice.features
    threshold: float  # that some right phrases of speakers in development miss: see training
    training: dict[str, Any]
    measured: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> PhraseCard:
        """Read a card. Raises EncoderError."""
        try:
            return cls(**read_json(path.read_text(encoding="utf-8")))
        except OSError:
            raise EncoderError(
                f"{path}: no card beside the phrase encoder; export it again"
            ) from None
        except (ValueError, TypeError):
            raise EncoderError(f"{path}: not a phrase encoder's card; export it again") from None


class PhraseEncoder:
    """A loaded phrase encoder. Not thread-safe: one interpreter, one caller at a time."""

    def __init__(self, path: Path | str = PHRASE, *, runtime: str | None = None) -> None:
        path = Path(path)
        self.card = card = PhraseCard.read(path.with_suffix(".json"))
        if (card.features, card.softness) != (features.constants(), SOFTNESS):
            raise EncoderError(
                f"{path}: trained with other features than this program's; "
                "use the phrase encoder and the program of one version"
            )
        self._network = Network(
            path,
            card.sha256,
            takes=(card.frames, card.values),
            makes=(card.parts, card.dimension),
            runtime=runtime,
        )

    @property
    def identity(self) -> str:
        """The SHA-256 of the network: what two of them make of phrases cannot be compared."""
        return self.card.sha256

    def embed(self, phrase: Samples) -> PhraseEmbedding:
        """Return what is said in each part of a phrase, (parts, dimension).

        Raises NoSpeech for less than one frame.
        """
        return self.embed_features(features.log_mel(phrase))

    def embed_features(self, heard: Features) -> PhraseEmbedding:
        """Return the same of the phrase's log-mel features (frames, values)."""
        speech = features.level_free(speech_in(heard))
        return unit_rows(self._network(stretched(speech, self.card.frames)))


def speech_in(heard: Features) -> Features:
    """The frames of a phrase (frames, values) from where somebody begins to speak to the end.

    A gate's endpointing would rather hear too much than too little; but a click and a second of a
    room's noise, stretched along with the words, put every word into another part.
    """
    power = np.exp(heard).mean(axis=1)
    at = int(LOUD * len(power))
    loud = np.partition(power, at)[at]
    speech = np.flatnonzero(power > loud * 10 ** (-QUIET / 10))
    runs = np.split(speech, np.flatnonzero(np.diff(speech) > PAUSE) + 1)
    while len(runs) > 1 and len(runs[0]) < CLICK:
        del runs[0]
    while len(runs) > 1 and len(runs[-1]) < CLICK:
        del runs[-1]
    if not len(runs[0]):  # of what is no number, too
        return heard
    return heard[max(0, runs[0][0] - MARGIN) : runs[-1][-1] + 1 + MARGIN]


def stretched(heard: Features, frames: int) -> Features:
    """Features at another pace, ``frames`` of them: how slowly somebody speaks is no word."""
    at = np.linspace(0, len(heard) - 1, frames)
    before = np.floor(at).astype(np.int64)
    after = np.minimum(before + 1, len(heard) - 1)
    share = (at - before).astype(np.float32)[:, np.newaxis]
    between: Features = heard[before] * (1 - share) + heard[after] * share
    return between


def similarity(said: PhraseEmbedding, others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how alike a phrase is to each of others, (n,), from (n, parts, dimension).

    Nearly the least of the parts' cosines: the smooth minimum -t log(mean(exp(-c / t))).
    """
    cosines = np.einsum("npd,pd->np", others, said)
    cosines = np.where(np.isfinite(cosines), cosines, np.nan)  # an endless one would not count
    least = cosines.min(axis=1, keepdims=True)  # NaN stays NaN, and passes nothing
    excess = np.exp((least - cosines) / np.float32(SOFTNESS)).mean(axis=1)
    alike: NDArray[np.float32] = least[:, 0] - np.float32(SOFTNESS) * np.log(excess)
    return alike


def middle_of(many: Sequence[PhraseEmbedding]) -> PhraseEmbedding:
    """Return what is, part by part, in the middle of several."""
    return unit_rows(np.mean(np.stack(many), axis=0))


def phrase_score(
    said: PhraseEmbedding,
    enrolled: Sequence[PhraseEmbedding],
    school: PhraseEmbedding | None = None,
) -> float:
    """How like the enrolled ones a phrase is: its similarity to what is, by parts, their middle.

    One bad recording among five moves the middle little, and with three recordings scores are
    what they are with five. ``school`` is how everybody says it: few recordings are of one day and
    one mood, and what all have in common is the words. It counts for a student who says the same.
    """
    middle = middle_of(enrolled)
    if school is not None and similarity(middle, school[np.newaxis])[0] >= SAME:
        middle = unit_rows((1 - SCHOOL) * middle + SCHOOL * school)
    return float(similarity(said, middle[np.newaxis])[0])


def unit_rows(parts: NDArray[np.float32]) -> PhraseEmbedding:
    """Return rows brought to unit length; a row of nothing stays nothing."""
    lengths = np.linalg.norm(parts, axis=-1, keepdims=True)
    return parts / np.where(lengths > 0, lengths, 1).astype(np.float32)
