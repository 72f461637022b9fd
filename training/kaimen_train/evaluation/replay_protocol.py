"""How well recordings are known again that are played back, and who is taken for one.

Every take of a speaker's text is stored; each is a fresh take to all others, and is played back
through simulated devices to all of them, itself included. What the gate's endpointer does not hear
as a phrase at all (in noise, mostly) opens nothing, and is counted apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kaimen.acoustics.devices import devices
from kaimen.acoustics.replays import replayed
from kaimen.errors import NoSpeech
from kaimen.sound import Samples
from kaimen.sound.recording import main_phrase
from kaimen.voice.fingerprint import HEARD_BEFORE, coherences, fingerprint
from kaimen_train.data.corpus import Row, speech_of
from kaimen_train.evaluation.protocols import joined
from kaimen_train.progress import track

CORPORA = ("mandarin20", "arabic40")
SNRS = (10.0, 15.0, 20.0, 30.0)  # dB
DEVICES = 60
ONE_IN = 12  # takes that are played back


def evaluate(rows: Sequence[Row], seed: int = 0) -> dict[str, Any]:
    """Return shares of fresh takes refused and of replays found, by corpus and SNR."""
    random = np.random.default_rng(seed)
    drawn = devices(random, DEVICES, "test")
    found = {}
    for corpus in CORPORA:
        some = [row for row in rows if row.corpus == corpus]
        said: dict[tuple[str, str], list[Samples]] = defaultdict(list)
        sounds = [speech_of(row.file) for row in track(some, f"hearing {corpus}")]
        for row, sound in zip(some, sounds, strict=True):
            said[row.speaker, row.text].append(sound)
        found[corpus] = _measure(said, drawn, random, corpus)
        if corpus == "mandarin20":
            phrases: dict[tuple[str, str], list[Samples]] = defaultdict(list)
            for (text, speaker, _), sound in zip(*joined(some, sounds), strict=True):
                phrases[speaker, text].append(sound)
            found["joined"] = _measure(phrases, drawn, random, "joined phrases")
    return found


def _measure(
    said: Mapping[tuple[str, str], Sequence[Samples]],
    drawn: Sequence[Any],
    random: np.random.Generator,
    what: str,
) -> dict[str, Any]:
    fresh: list[float] = []
    scores: dict[float, list[float]] = {snr: [] for snr in SNRS}
    unheard: dict[float, int] = dict.fromkeys(SNRS, 0)
    for takes in track(said.values(), what):
        stored = [fingerprint(take) for take in takes]
        for place, take in enumerate(takes):
            others = stored[:place] + stored[place + 1 :]
            if others:
                fresh.append(max(coherences(take, others)))
            if random.integers(ONE_IN):
                continue
            for snr in SNRS:
                device = drawn[random.integers(len(drawn))]
                sound = replayed(take, device, snr, random)
                try:
                    heard = main_phrase(sound).samples
                except NoSpeech:
                    unheard[snr] += 1
                    continue
                scores[snr].append(max(coherences(heard, stored)))
    every = [score for some in scores.values() for score in some]
    return {
        "fresh": len(fresh),
        "fresh_refused": _share(fresh),
        "replays": len(every),
        "found": _share(every),
        "by_snr": {
            f"{snr:.0f}": {
                "found": _share(scores[snr]), "replays": len(scores[snr]), "unheard": unheard[snr],
            }
            for snr in SNRS
        },
    }  # fmt: skip


def _share(scores: Sequence[float]) -> float:
    return float(np.mean(np.array(scores) >= HEARD_BEFORE)) if scores else 0.0
