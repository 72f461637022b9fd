"""What comes to a gate and is no speech as usual: to measure scores of novelty on.

Real are the speech of the eval split and the noises of the manifest, on which the autoencoder did
not learn. Simulated are music, tones, hum, clipping, replays and rooms. Everything is what the
gate's own endpointing takes for a phrase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kaimen.acoustics.devices import KINDS, SPOKEN_AT, MicrophonePath, device, gates
from kaimen.acoustics.replays import SNR, live, replayed
from kaimen.errors import NoSpeech
from kaimen.sound import FULL_SCALE, SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, phrases
from kaimen.voice import features

FAMILY = "test"  # of devices and gates: nothing was learned on them
QUIET = 0.4  # seconds of the room around a sound that was made
ROOM = -70.0  # dB of full scale
LASTING = (0.5, 1.8)  # seconds
LOUD = (-30.0, -12.0)  # dB of full scale
FADE = 0.01  # seconds
TONE = (100.0, 4_000.0)  # Hz
MAINS = (50.0, 60.0)  # Hz
HARMONICS = 40
NOTES = (2, 6)  # of a chord, and how many chords follow each other
LOWEST_NOTE, OCTAVES = 110.0, 3  # Hz
CLIPPED = (0.05, 0.3)  # share of the samples that are cut off
FROM_A_NOISE = 2  # phrases at most

Random = np.random.Generator


def tone(random: Random) -> Samples:
    """Return a sine."""
    at = _times(random)
    return _levelled(np.sin(2 * np.pi * random.uniform(*TONE) * at), random)


def hum(random: Random) -> Samples:
    """Return a transformer or a motor: the mains' harmonics, each at some height and phase."""
    at, ground = _times(random), MAINS[random.integers(len(MAINS))]
    numbers = np.arange(1, HARMONICS + 1)
    heights = random.exponential(1, HARMONICS) / numbers
    angles = 2 * np.pi * ground * np.outer(at, numbers) + random.uniform(0, 2 * np.pi, HARMONICS)
    return _levelled((np.sin(angles) @ heights).astype(np.float64), random)


def music(random: Random) -> Samples:
    """Return chords of a plucked instrument, in equal temperament."""
    at = _times(random)
    sound = np.zeros(len(at))
    for begins in np.linspace(0, at[-1], random.integers(*NOTES), endpoint=False):
        since = np.maximum(at - begins, 0)
        for _ in range(random.integers(*NOTES)):
            pitch = LOWEST_NOTE * 2 ** (random.integers(12 * OCTAVES) / 12)
            for number in range(1, int(SAMPLE_RATE / 2 // pitch) + 1)[:12]:
                fading = np.exp(-since * (2 + number)) / number
                sound += (at >= begins) * fading * np.sin(2 * np.pi * number * pitch * since)
    return _levelled(sound, random)


MADE: dict[str, Callable[[Random], Samples]] = {"music": music, "tone": tone, "hum": hum}


def _times(random: Random) -> NDArray[np.float64]:
    return np.arange(round(random.uniform(*LASTING) * SAMPLE_RATE)) / SAMPLE_RATE


def _levelled(sound: NDArray[np.float64], random: Random) -> Samples:
    """At some level, without clicks, in a quiet room."""
    slope = np.linspace(0, 1, round(FADE * SAMPLE_RATE))
    sound[: len(slope)] *= slope
    sound[-len(slope) :] *= slope[::-1]
    sound *= 10 ** (random.uniform(*LOUD) / 20) / (np.std(sound) + 1e-9)
    whole = np.pad(np.clip(sound, -1, 1), round(QUIET * SAMPLE_RATE))
    noise = random.standard_normal(len(whole)) * 10 ** (ROOM / 20)
    return (whole + noise).astype(np.float32)


def clipped(speech: Samples, random: Random) -> Samples:
    """Return speech so loud that a share of its samples is cut off."""
    height = float(np.quantile(np.abs(speech), 1 - random.uniform(*CLIPPED)))
    return np.clip(speech * np.float32(FULL_SCALE / max(height, 1e-6)), -1, 1)


def at(gate: MicrophonePath, speech: Samples, random: Random) -> Samples:
    """Said at a gate, from another place in its room each time."""
    distance = float(random.uniform(*SPOKEN_AT))
    here = replace(gate, distance=distance, reverberation=gate.room.answer(distance, random))
    return live(speech, here, random.uniform(*SNR), random)


def kinds(
    speech: Sequence[Samples], noise: Sequence[Samples], seed: int = 0
) -> Iterator[tuple[str, Samples]]:
    """Yield every kind of sound by name, as the endpointing cuts it.

    ``speech`` are phrases, trimmed; ``noise`` are whole recordings. "speech" and "live" are the
    usual ones: as recorded, and said at a simulated gate.
    """
    random = np.random.default_rng(seed)
    for whole in noise:
        longest_first = sorted(phrases(whole), key=lambda phrase: phrase.start - phrase.end)
        yield from (("noise", phrase.samples) for phrase in longest_first[:FROM_A_NOISE])
    for number, said in enumerate(speech):
        yield "speech", said
        yield "clipped", clipped(said, random)
        (gate,) = gates(random, 1, FAMILY)
        yield from cut("live", at(gate, said, random))
        kind = KINDS[number % len(KINDS)]
        played = device(random, kind, FAMILY)
        yield from cut(kind, replayed(said, played, random.uniform(*SNR), random, gate=gate))
        name = list(MADE)[number % len(MADE)]
        yield from cut(name, MADE[name](random))


def cut(kind: str, sound: Samples) -> Iterator[tuple[str, Samples]]:
    """Yield the phrase of a sound; none where the endpointing finds none."""
    try:
        phrase = main_phrase(sound).samples
    except NoSpeech:
        return
    if len(phrase) >= features.WINDOW:
        yield kind, phrase
