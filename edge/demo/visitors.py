"""Who comes to the gate in the demo, and who was enrolled before.

A folder is laid out as student/recording. Every third person stays a stranger. An enrolled
student's first recordings enroll, the rest come to the gate. Recordings whose names begin
with "other" hold another phrase than the passphrase and are never enrolled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from edge.errors import SettingsError
from edge.sound import SAMPLE_RATE, Samples
from edge.sound.recording import read

ENROLLED = 5  # recordings a student at most
OTHER = "other"
EVERY = 3  # of the people, the last stays a stranger
OTHERWISE = 6  # of the people, the first also says the other phrase


class Kind(Enum):
    """What a visitor is, as the table calls it."""

    STUDENT = "student"
    STRANGER = "stranger"
    OTHER_PHRASE = "wrong phrase"  # a student says something else
    NO_VOICE = "noise"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody, or something, at the gate."""

    name: str
    kind: Kind
    said: str  # the recording's name, or what the sound is
    samples: Samples

    @property
    def should_open(self) -> bool:
        """Whether the gate should open."""
        return self.kind is Kind.STUDENT


@dataclass(frozen=True, slots=True)
class Day:
    """The recordings that enroll, by student, and the visitors in their order."""

    enrolling: dict[str, list[Path]]
    visitors: list[Visitor]


def plan(people: dict[str, list[Path]]) -> Day:
    """Split people and their recordings into a class and its visitors."""
    enrolling: dict[str, list[Path]] = {}
    visitors: list[Visitor] = []
    for number, (name, files) in enumerate(sorted(people.items()), start=1):
        phrases = [file for file in files if not file.stem.startswith(OTHER)]
        others = [file for file in files if file.stem.startswith(OTHER)]
        if number % EVERY == 0:
            visitors += [_visitor(name, Kind.STRANGER, file) for file in phrases[:2]]
        elif len(phrases) > 1:
            first = min(ENROLLED, len(phrases) - 1)
            enrolling[name] = phrases[:first]
            visitors += [_visitor(name, Kind.STUDENT, file) for file in phrases[first:][:2]]
            if number % OTHERWISE == 1:
                visitors += [_visitor(name, Kind.OTHER_PHRASE, file) for file in others[:1]]
    if len(enrolling) < 2 or not any(v.kind is Kind.STRANGER for v in visitors):
        raise SettingsError(
            "too few people for a demo: at least three, each with two recordings or more"
        )
    return Day(enrolling, visitors + noises())


def _visitor(name: str, kind: Kind, file: Path) -> Visitor:
    return Visitor(name, kind, file.stem, read(file))


def noises() -> list[Visitor]:
    """Sounds without a voice, computed here: silence, a hiss, a hum, knocks at the door."""
    random = np.random.default_rng(0)
    time = np.arange(int(1.5 * SAMPLE_RATE)) / SAMPLE_RATE
    room = 1e-4 * random.standard_normal(len(time))
    during = (time > 0.3) & (time < 1.2)
    knocks = sum(
        np.where(time > at, np.exp(-(time - at) * 60) * np.sin(2 * np.pi * 180 * time), 0)
        for at in (0.3, 0.55, 0.8)
    )
    sounds = {
        "silence": room,
        "hiss": room + during * 0.1 * random.standard_normal(len(time)),
        "hum": room + during * 0.3 * np.sin(2 * np.pi * 220 * time),
        "knocks": room + 0.6 * knocks,
    }
    return [
        Visitor("—", Kind.NO_VOICE, name, sound.astype(np.float32))
        for name, sound in sounds.items()
    ]
