"""Do for a phrase what a gate does for one: what `phrase.sh` counts.

python phrase.py PHRASE.npy MODEL

MODEL is large or small. What a counter of instructions must know is said by closing file -7: before
each step, and after the last. The steps are done once before, so that tables are there.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

import numpy as np

from kaimen.settings.encoder import ENCODERS
from kaimen.sound import BLOCK
from kaimen.sound.endpoint import Endpointer
from kaimen.voice import LOUDSPEAKER, PHRASE, features, model_path
from kaimen.voice.encoder import Encoder
from kaimen.voice.fingerprint import coherences, fingerprint
from kaimen.voice.loudspeaker import LoudspeakerDetector
from kaimen.voice.phrase import PhraseEncoder, phrase_score

MARK = -7  # no file has that number; plugin.c knows it
TAKES = 5


def main(recording: str, model: str) -> None:
    """Do each step of a phrase twice, and say when the second time begins."""
    sound = np.load(recording)
    encoder = Encoder(ENCODERS[model])
    words = PhraseEncoder(model_path(encoder.path, PHRASE), runtime=encoder.runtime)
    detector = LoudspeakerDetector(model_path(encoder.path, LOUDSPEAKER))
    # Five takes that are a little unlike each other.
    random = np.random.default_rng(0)
    takes = [(sound + random.normal(0, 0.003, len(sound))).astype(np.float32) for _ in range(TAKES)]
    stored = [fingerprint(each) for each in takes]
    points = [encoder.embed(each) for each in takes]
    said = [words.embed(each) for each in takes]
    heard, own = encoder.features_of(sound), features.log_mel(sound)

    def listen() -> None:
        endpointer = Endpointer()
        for block in sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK):
            endpointer.push(block)

    steps: dict[str, Callable[[], object]] = {
        "listening": listen,
        "features": lambda: encoder.features_of(sound),
        "encoder": lambda: encoder.embed_features(heard),
        "features of the checks": lambda: features.log_mel(sound),
        "words": lambda: phrase_score(words.embed_features(own), said, None),
        "loudspeaker": lambda: detector.suspect(own, points[0], points[1:]),
        "replay": lambda: coherences(sound, stored),
    }
    for step in steps.values():
        step()
    for step in steps.values():
        _mark()
        step()
    _mark()
    print("\n".join(steps))


def _mark() -> None:
    with contextlib.suppress(OSError):
        os.close(MARK)


if __name__ == "__main__":
    main(*sys.argv[1:])
