"""Simulated devices of gates and of attackers: rooms, microphones, codecs and loudspeakers.

Nothing here was measured of a device: parameters are drawn from the ranges below, so every figure
that rests on them is one of simulated replays.

Where the ranges come from:

- Rooms and distances follow ASVspoof 2019's physical access scenario, which is simulated, too (X.
  Wang et al., "ASVspoof 2019: a large-scale public database of synthesized, converted and replayed
  speech", Computer Speech & Language 64, 2020): the attacker's microphone 0.1 m to over 1 m from
  the talker, reverberation of 0.05 to 1 s.
- Its replay devices of low quality play nothing below 600 Hz, those of high quality from below it
  to beyond 10 kHz. Here the loudspeaker of a phone resonates at 500 to 950 Hz, of a laptop at 200
  to 420, of a small portable speaker at 90 to 200 and of a good one at 40 to 75 Hz: usual for
  loudspeakers of their sizes, but our estimate.
- Small loudspeakers are uneven by ten decibels and more, good ones are sold as even within 3; a
  microphone is flat within a few decibels from about 100 Hz on: our estimate, too.
- Distortion of small loudspeakers is percents to tens of them when driven hard, of good ones below
  one; our estimate.

The families "training" and "test" share no room, codec, filter shape or distortion function: what
was learned on one is measured on the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from kaimen.acoustics import codecs, filters
from kaimen.acoustics.codecs import Codec
from kaimen.acoustics.rooms import Room
from kaimen.sound import Samples

KINDS = ("phone", "laptop", "portable", "hifi")
FAMILIES = ("training", "test")
RECORDED_SNR = (25.0, 50.0)  # dB, of the attacker's recording
SPOKEN_AT = (0.1, 1.0)  # m from a mouth, or a loudspeaker, to the gate's microphone
RECORDED_AT = (0.1, 1.5)  # m from a mouth to the attacker's microphone

RESONANCE = {  # Hz, of the loudspeaker
    "phone": (500.0, 950.0),
    "laptop": (200.0, 420.0),
    "portable": (90.0, 200.0),
    "hifi": (40.0, 75.0),
}
UNEVEN = {"phone": 10.0, "laptop": 9.0, "portable": 6.0, "hifi": 3.0}  # dB, most of a resonance
HIGHEST = {  # Hz, where the highs begin to fall
    "phone": (6_000.0, 14_000.0),
    "laptop": (6_500.0, 16_000.0),
    "portable": (6_000.0, 16_000.0),
    "hifi": (12_000.0, 24_000.0),
}
DRIVE = {  # how far into its bend the loudest sample goes
    "phone": (0.3, 1.5),
    "laptop": (0.2, 1.2),
    "portable": (0.1, 0.9),
    "hifi": (0.02, 0.15),
}


@dataclass(frozen=True, slots=True)
class Loudspeaker:
    """A linear filter, a bend, and another filter: a voice coil, its suspension, what radiates."""

    before: Samples = field(repr=False)  # what the first filter answers
    after: Samples = field(repr=False)
    drive: float
    asymmetry: float
    bend: str  # name of the distortion function

    def __call__(self, sound: Samples) -> Samples:
        """The sound as it comes out of it; what drives it has a peak of one."""
        moved = filters.convolve(sound, self.before)
        loudest = float(np.max(np.abs(moved), initial=1e-9))
        bent = BENDS[self.bend](moved / np.float32(loudest) * self.drive, self.asymmetry)
        return filters.convolve(bent / np.float32(self.drive), self.after)


@dataclass(frozen=True, slots=True)
class MicrophonePath:
    """Where a phrase is heard: the way through the room, and the microphone."""

    room: Room
    distance: float  # m
    reverberation: Samples = field(repr=False)  # what the room answers
    microphone: Samples = field(repr=False)  # what its filter answers


@dataclass(frozen=True, slots=True)
class Device:
    """What an attacker has: a recording made somewhere, and something to play it with."""

    kind: str
    family: str
    recorded_by: MicrophonePath
    recorded_snr: float  # dB
    codec: Codec
    loudspeaker: Loudspeaker


def devices(random: np.random.Generator, count: int, family: str) -> list[Device]:
    """``count`` devices of a family, of all kinds in turn."""
    return [device(random, KINDS[number % len(KINDS)], family) for number in range(count)]


def gates(random: np.random.Generator, count: int, family: str) -> list[MicrophonePath]:
    """``count`` gates of a family."""
    return [_path(random, family, SPOKEN_AT) for _ in range(count)]


# What differs between the families.


def _tanh(sound: Samples, asymmetry: float) -> Samples:
    """Soft and saturating; asymmetry adds even harmonics."""
    shift = np.float32(asymmetry)
    bent: Samples = np.tanh(sound + shift) - np.tanh(shift)
    return bent


def _cubic(sound: Samples, asymmetry: float) -> Samples:
    """A power series up to the third order, then a hard stop."""
    bent: Samples = sound + np.float32(asymmetry) * sound**2 - np.float32(0.18) * sound**3
    return np.clip(bent, -0.9, 0.95)


BENDS = {"tanh": _tanh, "cubic": _cubic}
CODECS = {
    "training": (codecs.NONE, *codecs.CONSTANT_MP3, *codecs.VORBIS),
    "test": (codecs.NONE, *codecs.VARIABLE_MP3, *codecs.OPUS),
}


def _room(random: np.random.Generator, family: str) -> Room:
    """Training: rooms and booths, bare or furnished. Test: halls and corridors, in between."""
    if family not in FAMILIES:
        raise ValueError(f"no family {family}; there are {' and '.join(FAMILIES)}")
    if family == "training":
        size = random.uniform((2.0, 2.0, 2.3), (6.5, 5.0, 3.0))
        absorption = random.uniform(*((0.12, 0.24), (0.4, 0.65))[random.integers(2)])
    else:
        width = (1.5, 2.0) if random.random() < 0.5 else (5.2, 8.0)
        size = random.uniform((6.8, width[0], 3.05), (12.0, width[1], 4.2))
        absorption = random.uniform(0.25, 0.39)
    x, y, z = size.tolist()
    return Room((x, y, z), float(absorption))


def _microphone(random: np.random.Generator, family: str) -> Samples:
    """Lows that fall, and an uneven curve; or a slope and a resonance of its capsule."""
    if family == "training":
        knots = np.geomspace(60, 8_000, 7)
        uneven = random.normal(0, random.uniform(0.3, 1.5), len(knots))
        response = filters.curve(knots.tolist(), uneven.tolist())
        response = response * filters.high_pass(random.uniform(20, 110), random.uniform(0.5, 0.8))
    else:
        slope = random.uniform(-2, 2)
        response = filters.curve((100, 1_000, 8_000), (-slope, 0, slope))
        response = response * filters.first_order_high_pass(random.uniform(20, 120))
        resonance = (random.uniform(3_500, 7_500), random.uniform(0.8, 2.5), random.uniform(0, 4))
        response = response * filters.peak(*resonance)
    return filters.answer(response)


def _path(
    random: np.random.Generator, family: str, distances: tuple[float, float]
) -> MicrophonePath:
    room = _room(random, family)
    distance = float(np.exp(random.uniform(*np.log(distances))))  # as many in each octave
    return MicrophonePath(
        room, distance, room.answer(distance, random), _microphone(random, family)
    )


def device(random: np.random.Generator, kind: str, family: str) -> Device:
    """One device of a kind and a family."""
    recorded_by = _path(random, family, RECORDED_AT)
    choice = CODECS[family]
    return Device(
        kind=kind,
        family=family,
        recorded_by=recorded_by,
        recorded_snr=float(random.uniform(*RECORDED_SNR)),
        codec=choice[random.integers(len(choice))],
        loudspeaker=_loudspeaker(random, kind, family),
    )


def _loudspeaker(random: np.random.Generator, kind: str, family: str) -> Loudspeaker:
    """Training: second order with a resonance, and some more. Test: steeper, with ripple."""
    lowest, uneven = random.uniform(*RESONANCE[kind]), UNEVEN[kind]
    highest = random.uniform(*HIGHEST[kind])
    parts: list[NDArray[np.complex128]]
    if family == "training":
        before = filters.high_pass(lowest, random.uniform(0.6, 1.4))
        parts = [
            filters.peak(
                float(np.exp(random.uniform(np.log(2.2 * lowest), np.log(7_500)))),
                random.uniform(1, 5),
                random.uniform(-uneven, uneven),
            )
            for _ in range(random.integers(4, 10))
        ]
        parts.append(filters.low_pass(highest, random.uniform(0.5, 0.9)))
        asymmetry = random.uniform(0, 0.3)
    else:
        before = filters.butterworth_high_pass(lowest, 4)
        knots = np.geomspace(80, 8_000, 14)  # some two an octave
        ripple = random.uniform(-uneven, uneven, len(knots)) * 0.7
        fall = -12 * np.log2(np.maximum(knots / highest, 1))
        parts = [filters.curve(knots.tolist(), (ripple + fall).tolist())]
        asymmetry = random.uniform(0, 0.25)
    after: NDArray[np.complex128] = reduce(np.multiply, parts)
    return Loudspeaker(
        filters.answer(before),
        filters.answer(after),
        float(random.uniform(*DRIVE[kind])),
        float(asymmetry),
        "tanh" if family == "training" else "cubic",
    )
