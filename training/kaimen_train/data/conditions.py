"""Measure the same protocols where it is noisy, where it echoes, and when little was said.

Noise and rooms change trimmed speech of the eval split. The sounds of the manifest's noise were
heard in training, the voices of the babble and the rooms were not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import fftconvolve

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen_train.data.augment import rooms
from kaimen_train.data.corpus import NOISE, Row
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.evaluate import PHRASED, Embedded, speech

SNRS = (20, 10, 5)  # dB
SECONDS = (0.6, 1.0, 1.5, 2.0)
BABBLE = 4  # voices at once
UNSEEN_ROOMS = 1  # seed; training draws its rooms with another

Change = Callable[[Samples], Samples]


def under_conditions(
    made: Embedded, embed: protocols.Embed, rows: Sequence[Row], folder: Path
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return EER by condition: of pairs by corpus, one side changed; of phrases, probes cut short.

    ``made`` is what ``embed`` made of all as it was recorded, ``rows`` hold the noise.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    noise = speech(rows, NOISE)
    for corpus, sounds in made.heard.speech.items():
        own, clean = made.heard.rows[corpus], made.points[corpus]
        found[corpus] = {"clean": protocols.pairs(own, clean).errors()}
        others = (said for other, said in made.heard.speech.items() if other != corpus)
        for name, change in changes(list(chain(*others)), noise, folder).items():
            changed = embed([change(sound) for sound in sounds])
            found[corpus][name] = protocols.pairs(own, clean, changed).errors()
    if made.phrases:
        found["phrase"] = _by_duration(made, embed)
    return found


def changes(voices: Sequence[Samples], noise: Sequence[Samples], folder: Path) -> dict[str, Change]:
    """Return what may happen to speech, by name; kinds for which there is no sound are left out."""
    random = np.random.default_rng(0)
    answers = rooms(folder, UNSEEN_ROOMS)
    found: dict[str, Change] = {}

    def in_room(sound: Samples) -> Samples:
        answer = answers[random.integers(len(answers))]
        return np.asarray(fftconvolve(sound, answer)[: len(sound)], np.float32)

    def mixed(sound: Samples, other: Samples, decibels: float) -> Samples:
        level = np.std(sound) / (np.std(other) + 1e-9) * 10 ** (-decibels / 20)
        return (sound + other * level).astype(np.float32)

    def piece(source: Sequence[Samples], length: int) -> Samples:
        whole = source[random.integers(len(source))]
        start = random.integers(max(1, len(whole) - length))
        return np.resize(whole[start:], length)

    def in_noise(decibels: float, sound: Samples) -> Samples:
        return mixed(sound, piece(noise, len(sound)), decibels)

    def among_voices(decibels: float, sound: Samples) -> Samples:
        babble = np.sum([piece(voices, len(sound)) for _ in range(BABBLE)], 0)
        return mixed(sound, babble, decibels)

    for decibels in SNRS:
        if noise:
            found[f"noise, {decibels} dB"] = partial(in_noise, decibels)
        if voices:
            found[f"babble, {decibels} dB"] = partial(among_voices, decibels)
    found["room"] = in_room
    return found


def _by_duration(made: Embedded, embed: protocols.Embed) -> dict[str, dict[str, Any]]:
    """Phrases enrolled whole, probes cut to their first seconds (shorter ones as they are)."""
    probes = protocols.PROBES[PHRASED]
    found = {}
    for seconds in SECONDS:
        cut = [sound[: round(seconds * SAMPLE_RATE)] for sound in made.heard.phrases]
        short = protocols.by_phrase(made.heard.names, embed(cut))
        found[f"{seconds:g} s"] = protocols.verifications(made.phrases, probes, short).errors()
    found["whole"] = protocols.verifications(made.phrases, probes).errors()
    return found
