"""A bad microphone at a door, simulated: a narrow band, a resonance, a hall, noise.

It was never heard in training, and nothing of it was measured of a device: an old intercom passes
about what a telephone does, 300 to 3,400 Hz.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from kaimen.acoustics import filters
from kaimen.acoustics.devices import MicrophonePath
from kaimen.acoustics.replays import live
from kaimen.acoustics.rooms import Room
from kaimen.sound import Samples
from kaimen_train.data.corpus import phrase_in
from kaimen_train.processes import in_processes

BAND = (300.0, 3_400.0)  # Hz
RESONANCE = (1_800.0, 3.0, 12.0)  # Hz, quality, dB
ROOM = Room((6.0, 5.0, 3.0), 0.25)  # it echoes for 0.4 s
PLACES = 40  # where somebody may stand
DISTANCE = (0.3, 1.2)  # m
SNR = (25.0, 40.0)  # dB


def at_bad_microphone(sounds: Sequence[Samples], seed: int) -> list[Samples]:
    """Trimmed speech as that microphone hears it, trimmed again by the gate's endpointing."""
    seeds = [(seed, number) for number in range(len(sounds))]
    return in_processes(_heard, "at the intercom", sounds, seeds)


def _heard(sound: Samples, seed: tuple[int, int]) -> Samples:
    random = np.random.default_rng(seed)
    gate = _places()[random.integers(PLACES)]
    return phrase_in(live(sound, gate, random.uniform(*SNR), random))


@cache
def _places() -> list[MicrophonePath]:
    random = np.random.default_rng(0)
    response = filters.butterworth_high_pass(BAND[0], 4) * filters.low_pass(BAND[1], 0.7) ** 2
    microphone = filters.answer(response * filters.peak(*RESONANCE))
    nearest, farthest = np.log(DISTANCE)
    distances = np.exp(random.uniform(nearest, farthest, PLACES)).tolist()
    return [MicrophonePath(ROOM, each, ROOM.answer(each, random), microphone) for each in distances]
