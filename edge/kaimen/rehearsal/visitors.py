"""Who comes to the gate in the demo, and who was enrolled before.

A class is a folder laid out as student/recording, whose students share a passphrase. Their first
recordings enroll, the rest come to the gate. Nobody has to stay a stranger for that: each student
is one to the others, at a gate where they alone are not enrolled. Recordings whose names begin
with "other" hold other words than the passphrase and are never enrolled; nor is anybody with
fewer than two recordings of the passphrase, who comes as a stranger only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np

from kaimen.acoustics.devices import Device, devices
from kaimen.acoustics.replays import SNR, replayed
from kaimen.errors import NoSpeech, SettingsError
from kaimen.language import later
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, read

ENROLLED = 5  # recordings a student at most
SCORED = 3  # of them count towards a score: as many enroll before a second one is kept back
OTHER = "other"
TRIES = 2  # of a visit: who is nearly known is asked to say it once more
REPLAYED = 2  # recordings of a student that enrolled, and as many that did not, at most
DEVICES = 8  # that play them back
FEWEST = 3  # students

Tries = Callable[[], Iterator[Samples]]


class Kind(Enum):
    """What a visitor is, as the table calls it."""

    STUDENT = later("student")
    STRANGER = later("stranger")  # says the passphrase
    PASSER_BY = later("passer-by")  # a stranger who says something else
    OTHER_PHRASE = later("wrong words")  # a student says something else
    REPLAY = later("old replay")  # of a recording that enrolled the student
    NEW_REPLAY = later("new replay")  # of one that no gate has heard
    NO_VOICE = later("noise")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody, or something, at the gate."""

    name: str
    kind: Kind
    said: str  # the first recording's name, or what the sound is
    tries: Tries = field(repr=False)  # how it sounds, once and, where asked for, once more

    @property
    def should_open(self) -> bool:
        """Return whether the gate should open."""
        return self.kind is Kind.STUDENT

    @property
    def samples(self) -> Samples:
        """Return the first try."""
        return next(self.tries())


@dataclass(frozen=True, slots=True)
class Session:
    """Visitors to a gate where everybody of the class is enrolled, or all but one."""

    visitors: Sequence[Visitor]
    without: str | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """A class: the recordings that enroll, by student, and who comes to which gate."""

    enrolling: dict[str, list[Path]]
    sessions: Sequence[Session]


def plan(people: dict[str, list[Path]], *, replays: bool = True) -> Day:
    """Split people and their recordings into a class and its visitors.

    Replays are simulated (``kaimen.acoustics.replays``). Without them the voices are a
    machine's, one voice at several pitches: then none of them is a stranger to the others.
    Raises SettingsError for too small a class.
    """
    enrolling: dict[str, list[Path]] = {}
    come: list[Visitor] = []
    away: list[Session] = []
    players = devices(np.random.default_rng(0), DEVICES, "test") if replays else []
    for name, files in sorted(people.items()):
        phrases = [file for file in files if not file.stem.startswith(OTHER)]
        others = [file for file in files if file.stem.startswith(OTHER)]
        strange = list(_spoken(name, Kind.STRANGER, phrases))
        if len(phrases) < 2:
            come += [*strange, *_spoken(name, Kind.PASSER_BY, others)]
            continue
        first = min(ENROLLED, len(phrases) - 1, max(SCORED, len(phrases) - TRIES))
        mine = players[REPLAYED * len(enrolling) % DEVICES :][:REPLAYED]
        enrolling[name] = phrases[:first]
        come += _spoken(name, Kind.STUDENT, phrases[first:])
        come += _spoken(name, Kind.OTHER_PHRASE, others)
        come += _replayed(name, Kind.REPLAY, phrases[:first], mine)
        come += _replayed(name, Kind.NEW_REPLAY, phrases[first:], mine)
        if replays:
            away.append(Session(strange, without=name))
    if len(enrolling) < FEWEST:
        raise SettingsError(
            f"too few people for a demo: at least {FEWEST}, each with two recordings or more"
        )
    return Day(enrolling, [Session(come + noises()), *away])


def _spoken(name: str, kind: Kind, files: Sequence[Path]) -> Iterator[Visitor]:
    """Yield a visit for each recording; a second try is the next one."""
    for place, file in enumerate(files):
        yield Visitor(name, kind, file.stem, partial(map, read, _tries(files, place)))


def _replayed(
    name: str, kind: Kind, files: Sequence[Path], players: Iterable[Device]
) -> Iterator[Visitor]:
    """Yield a visit for each player; a second try plays the next recording."""
    for place, player in zip(range(len(files)), players, strict=False):
        said = f"{files[place].stem}, {player.kind}"
        yield Visitor(name, kind, said, partial(_played, _tries(files, place), player))


def _tries(files: Sequence[Path], place: int) -> Sequence[Path]:
    """Return a recording, and the ones that follow it round the list."""
    return [*files[place:], *files[:place]][:TRIES]


def _played(files: Sequence[Path], player: Device) -> Iterator[Samples]:
    for file in files:
        # Seeded by its name, so that it sounds the same whoever comes before.
        random = np.random.default_rng(crc32(f"{file.parent.name}/{file.stem}".encode()))
        samples = read(file)
        with suppress(NoSpeech):  # otherwise a recording is played in which nothing is said
            samples = main_phrase(samples).samples
        yield replayed(samples, player, random.uniform(*SNR), random)


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
        later("silence"): room,
        later("hiss"): room + during * 0.1 * random.standard_normal(len(time)),
        later("hum"): room + during * 0.3 * np.sin(2 * np.pi * 220 * time),
        later("knocks"): room + 0.6 * knocks,
    }
    return [
        Visitor("—", Kind.NO_VOICE, name, partial(iter, [sound.astype(np.float32)] * TRIES))
        for name, sound in sounds.items()
    ]
