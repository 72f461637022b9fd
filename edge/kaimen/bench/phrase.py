"""What a phrase passes through before it is searched for, and many recordings at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from kaimen.bench.timing import median, once
from kaimen.enrollment.judging import Judge, decode
from kaimen.errors import EncoderError
from kaimen.screen import Screen
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, phrases, read
from kaimen.voice import features
from kaimen.voice.encoder import RUNTIMES, Encoder
from kaimen.voice.fingerprint import coherences, fingerprint
from kaimen.voice.loudspeaker import LoudspeakerDetector
from kaimen.voice.phrase import PhraseEmbedding, PhraseEncoder, phrase_score

STORED = 15  # recordings that enrolled a student, and phrases that opened
PHRASE = 1.5  # seconds of the sound that is measured on


def parts(encoder: Path | str, files: Sequence[Path], screen: Screen) -> list[dict[str, Any]]:
    """Endpointing, features, the encoder in each runtime and the checks, on speech of PHRASE."""
    sound, *others = _spoken(files)
    taken = {
        "endpointing": median(lambda: phrases(sound)),
        "features": median(lambda: features.log_mel(sound)),
    }
    taken |= voice(encoder, sound, screen)
    taken |= checks(sound, others, screen)
    return [
        {"part": name, "p50_ms": seconds * 1000, "times_as_fast_as_sound": PHRASE / seconds}
        for name, seconds in taken.items()
    ]


def _spoken(files: Sequence[Path]) -> list[Samples]:
    """STORED + 1 stretches of PHRASE seconds, of other recordings while there are any."""
    spoken: list[Samples] = []
    remaining = cycle(files)
    while len(spoken) <= STORED:
        said = np.zeros(0, np.float32)
        while len(said) < PHRASE * SAMPLE_RATE:
            said = np.concatenate((said, main_phrase(read(next(remaining))).samples))
        spoken.append(said[: round(PHRASE * SAMPLE_RATE)])
    return spoken


def voice(encoder: Path | str, sound: Samples, screen: Screen) -> dict[str, float]:
    """Return seconds from a phrase to its point, in each runtime that is there."""
    taken = {}
    for runtime in RUNTIMES:
        try:
            loaded = Encoder(encoder, runtime=runtime)
        except EncoderError as error:
            screen.say(str(error))
            continue
        name = f"features and encoder, {runtime}"
        taken[name] = median(partial(loaded.embed, sound))
    return taken


def checks(sound: Samples, others: Sequence[Samples], screen: Screen) -> dict[str, float]:
    """Seconds of what is asked before a door opens, of a student with as much stored as may be.

    ``others``, STORED of them, are what is stored. A phrase that is one of them takes longer, and
    opens nothing.
    """
    heard = features.log_mel(sound)
    stored = [fingerprint(each) for each in others]
    detector = LoudspeakerDetector()
    # What points say does not matter for time.
    point, *known = np.random.default_rng(0).random((6, detector.card.dimension), np.float32)
    taken = {
        "loudspeaker detector": median(lambda: detector.suspect(heard, point, known)),
        f"replay memory, {STORED} stored": median(lambda: coherences(sound, stored)),
        "replay memory, 5 stored": median(lambda: coherences(sound, stored[:5])),
    }
    for runtime in RUNTIMES:
        try:
            words = PhraseEncoder(runtime=runtime)
        except EncoderError as error:
            screen.say(str(error))
            continue
        said = [words.embed_features(heard)] * 5

        def check(words: PhraseEncoder = words, said: Sequence[PhraseEmbedding] = said) -> float:
            return phrase_score(words.embed_features(heard), said)

        taken[f"phrase check, {runtime}"] = median(check)
    return taken


def bulk(encoder: Encoder, files: Sequence[Path], screen: Screen) -> dict[str, Any]:
    """Return recordings a second, one after another: decoded and their features, and enrolled."""
    judge = Judge.by(encoder)

    def listen(file: Path) -> None:
        phrase = main_phrase(decode(file.read_bytes()))
        encoder.windows(encoder.features_of(phrase.samples))

    listen(files[0])
    heard = enrolled = 0.0
    # They take turns, so that both meet the same machine.
    for file in screen.progress(files, "judging recordings", len(files)):
        heard += once(partial(listen, file))
        enrolled += once(lambda: judge.hear(file.read_bytes()))  # noqa: B023
    return {
        "part": "bulk",
        "recordings": len(files),
        "features_per_second": len(files) / heard,
        "enrolled_per_second": len(files) / enrolled,
        "enrolled_of_features": heard / enrolled,
    }
