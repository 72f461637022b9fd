"""The same protocols where it is noisy, where it echoes, and when little was said.

Noise and rooms change trimmed speech of the eval split. The sounds of the manifest's noise were
heard in training, the voices of the babble and the rooms were not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import fftconvolve

from edge.sound import SAMPLE_RATE, Samples
from training import protocols
from training.augment import rooms
from training.corpus import NOISE, Row, of_split
from training.evaluate import speech

SNRS = (20, 10, 5)  # dB
SECONDS = (0.6, 1.0, 1.5, 2.0)
BABBLE = 4  # voices at once
UNSEEN_ROOMS = 1  # seed; training draws its rooms with another

Change = Callable[[Samples], Samples]


def under_conditions(
    rows: Sequence[Row], embed: protocols.Embed, folder: Path
) -> dict[str, dict[str, dict[str, Any]]]:
    """EER by condition: of pairs by corpus, one side changed; of phrases, probes cut short."""
    chosen = of_split(rows, "eval")
    found: dict[str, dict[str, dict[str, Any]]] = {}
    sounds = {corpus: speech(chosen, corpus) for corpus in protocols.PAIRED}
    noise = [row for row in rows if row.corpus == NOISE]
    for corpus in protocols.PAIRED:
        of_corpus = [row for row in chosen if row.corpus == corpus]
        if not of_corpus:
            continue
        clean = embed(sounds[corpus])
        found[corpus] = {"clean": protocols.pair(of_corpus, clean)}
        voices = [each for other, said in sounds.items() if other != corpus for each in said]
        for name, change in changes(voices, speech(noise, NOISE), folder).items():
            changed = embed([change(sound) for sound in sounds[corpus]])
            found[corpus][name] = protocols.pair(of_corpus, clean, changed)
        if corpus == "mandarin20":
            found["phrase"] = _by_duration(of_corpus, embed)
    return found


def changes(voices: Sequence[Samples], noise: Sequence[Samples], folder: Path) -> dict[str, Change]:
    """What may happen to speech, by name; kinds for which there is no sound are left out."""
    random = np.random.default_rng(0)
    answers = rooms(folder, UNSEEN_ROOMS)
    found: dict[str, Change] = {}

    def in_room(sound: Samples) -> Samples:
        return fftconvolve(sound, answers[random.integers(len(answers))])[: len(sound)]

    def mixed(sound: Samples, other: Samples, decibels: float) -> Samples:
        level = np.std(sound) / (np.std(other) + 1e-9) * 10 ** (-decibels / 20)
        return (sound + other * level).astype(np.float32)

    def piece(source: Sequence[Samples], length: int) -> Samples:
        whole = source[random.integers(len(source))]
        start = random.integers(max(1, len(whole) - length))
        return np.resize(whole[start:], length)

    for decibels in SNRS:
        if noise:
            found[f"noise, {decibels} dB"] = lambda sound, decibels=decibels: mixed(
                sound, piece(noise, len(sound)), decibels
            )
        if voices:
            found[f"babble, {decibels} dB"] = lambda sound, decibels=decibels: mixed(
                sound, np.sum([piece(voices, len(sound)) for _ in range(BABBLE)], 0), decibels
            )
    found["room"] = lambda sound: in_room(sound).astype(np.float32)
    return found


def _by_duration(rows: Sequence[Row], embed: protocols.Embed) -> dict[str, dict[str, Any]]:
    """Phrases enrolled whole, probes cut to their first seconds (shorter ones as they are)."""
    probes = protocols.PROBES["mandarin20"]
    whole = protocols.phrases(rows, embed)
    found = {}
    for seconds in SECONDS:
        length = round(seconds * SAMPLE_RATE)
        cut = protocols.phrases(rows, lambda sounds, n=length: embed([s[:n] for s in sounds]))
        found[f"{seconds:g} s"] = protocols.verify(whole, probes, cut)
    found["whole"] = protocols.verify(whole, probes)
    return found
