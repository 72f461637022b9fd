"""What a phrase passes through before it is searched for, and many recordings at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.bench.timing import median, once
from edge.enrollment.judging import Judge, decode
from edge.errors import EncoderError
from edge.screen import Screen
from edge.sound import SAMPLE_RATE, Samples
from edge.sound.recording import main_phrase, phrases
from edge.voice import features
from edge.voice.encoder import RUNTIMES, Encoder
from edge.voice.fingerprint import coherences, fingerprint
from edge.voice.loudspeaker import LoudspeakerDetector
from edge.voice.phrase import PhraseEncoder, Said, phrase_score

STORED = 15  # recordings that enrolled a student, and phrases that opened
PHRASE = 1.5  # seconds of the sound that is measured on


def parts(encoder: Path | str, screen: Screen) -> list[dict[str, Any]]:
    """Endpointing, features, and the encoder in each runtime: how many times as fast as sound."""
    random = np.random.default_rng(0)
    # A phrase-long sound with pauses; what is said does not matter for time.
    loud = np.sin(np.arange(round(PHRASE * SAMPLE_RATE)) * 2 * np.pi * 4 / SAMPLE_RATE) > 0
    noise = random.standard_normal((STORED + 1, len(loud)))
    sound, *others = (loud * 0.1 * noise).astype(np.float32)
    taken = {
        "endpointing": median(lambda: phrases(sound)),
        "features": median(lambda: features.log_mel(sound)),
    }
    for runtime in RUNTIMES:
        try:
            loaded = Encoder(encoder, runtime=runtime)
        except EncoderError as error:
            screen.say(str(error))
            continue
        name = f"features and encoder, {runtime}"
        taken[name] = median(lambda loaded=loaded: loaded.embed(sound))  # type: ignore[misc]
    taken |= _checks(sound, others, screen)
    return [
        {"part": name, "p50_ms": seconds * 1000, "times_as_fast_as_sound": PHRASE / seconds}
        for name, seconds in taken.items()
    ]


def _checks(sound: Samples, others: Sequence[Samples], screen: Screen) -> dict[str, float]:
    """What is asked before a door opens, of a student with as much stored as there may be.

    ``others`` are what is stored. A phrase that is one of them takes longer, and opens nothing.
    """
    heard = features.log_mel(sound)
    stored = [fingerprint(each) for each in others]
    detector = LoudspeakerDetector()
    taken = {
        "loudspeaker detector": median(lambda: detector.score(heard, sound)),
        f"replay memory, {STORED} stored": median(lambda: coherences(sound, stored)),
        "replay memory, 5 stored": median(lambda: coherences(sound, stored[:5])),
    }
    for runtime in RUNTIMES:
        try:
            words = PhraseEncoder(runtime=runtime)
        except EncoderError as error:
            screen.say(str(error))
            continue
        said = [words.place(heard)] * 5

        def check(words: PhraseEncoder = words, said: Sequence[Said] = said) -> float:
            return phrase_score(words.place(heard), said)

        taken[f"phrase check, {runtime}"] = median(check)
    return taken


def bulk(encoder: Encoder, files: Sequence[Path], screen: Screen) -> dict[str, Any]:
    """Recordings a second, one after another: decoded and their features, and enrolled."""
    judge = Judge.by(encoder)

    def listen(file: Path) -> None:
        phrase = main_phrase(decode(file.read_bytes()))
        features.fit_frames(
            features.level_free(features.log_mel(phrase.samples)), encoder.card.frames
        )

    listen(files[0])
    heard = enrolled = 0.0
    # They take turns, so that both meet the same machine.
    for file in screen.progress(files, "judging recordings", len(files)):
        heard += once(lambda file=file: listen(file))  # type: ignore[misc]
        enrolled += once(lambda file=file: judge.hear(file.read_bytes()))  # type: ignore[misc]
    return {
        "part": "bulk",
        "recordings": len(files),
        "features_per_second": len(files) / heard,
        "enrolled_per_second": len(files) / enrolled,
        "enrolled_of_features": heard / enrolled,
    }
