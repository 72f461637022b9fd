"""Who comes to the gate in a simulated hour, how it sounds, and what was answered."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import soxr

from kaimen.gate.gate import Answer
from kaimen.registry.replay_memory import KEPT
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from tests.scenarios.chaos_clock import Clock
from tests.scenarios.chaos_site import BLIND, LAST, Site
from tests.sounds import noise

WARP = 0.05  # of the pace, up and down: said anew in the same voice, and no recording
KNOTS = 8  # of a phrase, between which the pace changes
STRANGERS, REPLAYS = 0.2, 0.1  # share of the visits


class Kind(Enum):
    STUDENT = "student"
    STRANGER = "stranger"
    REPLAY = "replay"  # of what opened the door before


@dataclass(frozen=True)
class Visit:
    """Somebody who said something, and what became of it."""

    at: float
    name: str
    kind: Kind
    enrolled: bool  # at that moment
    calm: float  # seconds since the last cause was gone; negative: one was there
    writable: bool  # whether everything could be written
    opened: bool
    student: str | None
    score: float
    wait: float
    reason: str


@dataclass
class World:
    """What happens at the gate, and when; in the place of a recording that is played."""

    clock: Clock
    site: Site
    seed: int
    hours: float
    visits: list[Visit] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # which disturbances there were
    speaking: tuple[str, Kind, Samples] | None = None
    calm_since: float = 0.0
    name: str = "simulated"
    floor: float | None = None
    overruns: int = 0
    disturbed: bool = False

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self._room = noise(60, -70.0)
        self._openings: dict[str, list[tuple[Samples, bool]]] = {}
        self.site.forgotten = lambda name: self._openings.pop(name, None)
        self._now = ExitStack()
        self._deck: list[Callable[[], AbstractContextManager[None]]] = []
        self._until = 30.0  # when the disturbance, or the calm, ends

    @property
    def over(self) -> bool:
        return self.clock.now >= self.hours * 3600

    def close(self) -> None:
        self._now.close()

    def blocks(self) -> Iterator[Samples]:
        yield from self._silence(2.5)
        while not self.over:
            # Quiet times pass by a block a second.
            for _ in range(int(self.random.integers(1, 24))):
                self.passed(1.0)
                yield from self._silence(BLOCK / SAMPLE_RATE)
            with self.site.spared():  # who comes knows nothing of what the gate lacks
                self.speaking = self._comes()
            yield from self._silence(1.0)
            yield from self._sound(self.speaking[2])
            yield from self._silence(1.0)
        self.close()

    def _comes(self) -> tuple[str, Kind, Samples]:
        """Draw who comes, and what is said or played."""
        dice = self.random.random()
        known = [
            (name, phrase)
            for name, heard in self._openings.items()
            for phrase, kept in heard
            if kept
        ]
        if dice < REPLAYS and known:
            name, phrase = known[int(self.random.integers(len(known)))]
            return name, Kind.REPLAY, phrase
        while dice < REPLAYS + STRANGERS:
            name, phrase = self._drawn_of(self.site.strangers)
            if self.site.would_not_open(phrase):
                return name, Kind.STRANGER, phrase
        guests = [each for each in self.site.students if each[0] in self.site.away]
        some = guests if guests and self.random.random() < 0.5 else self.site.students
        while True:
            name, phrase = self._drawn_of(some)
            if self.site.would_open(name, phrase):
                return name, Kind.STUDENT, phrase

    def _drawn_of(self, some: list[tuple[str, Samples]]) -> tuple[str, Samples]:
        name, phrase = some[int(self.random.integers(len(some)))]
        return name, warped(phrase, self.random)

    def heard(self, answer: Answer) -> None:
        assert self.speaking is not None
        decision = answer.decision
        name, kind, phrase = self.speaking
        writable = not self.site.lacks
        if answer.opened:
            # A gate remembers each student's last phrases, and on a full disk until it ends.
            self._openings[name] = [*self._openings.get(name, []), (phrase, writable)][-KEPT:]
        self.visits.append(
            Visit(
                self.clock.now,
                name,
                kind,
                kind is Kind.STUDENT and name not in self.site.away,
                -1.0 if self.disturbed else self.clock.now - self.calm_since,
                writable,
                answer.opened,
                decision.student,
                decision.score,
                decision.wait,
                decision.reason,
            )
        )

    def passed(self, seconds: float) -> None:
        """Let time pass; what disturbs begins and ends in it."""
        self.clock.advance(seconds)
        if self.clock.now < self._until:
            return
        if self.disturbed:
            self.close()
            self.disturbed, self.calm_since = False, self.clock.now
            self._until = self.clock.now + self.random.uniform(20, 60)
        else:
            self.disturbed = True
            self._until = self.clock.now + self.random.uniform(3, 60)
            for chosen in self._drawn():
                self.seen.append(chosen.__name__)
                self._now.enter_context(chosen())
            if self.site.ends:
                self.site.ends = False
                signal.raise_signal(signal.SIGTERM)

    def _drawn(self) -> list[Callable[[], AbstractContextManager[None]]]:
        """Draw one or two that can go together."""
        every = self.site.disturbances()
        if len(self._deck) < 2:
            self._deck += [every[at] for at in self.random.permutation(len(every))]
            self._deck.sort(key=lambda each: each.__name__ in BLIND)  # soon, in a short run too
        drawn = [self._deck.pop(), self._deck.pop()]
        if drawn[0].__name__ in BLIND:  # somebody is removed, and nobody is there to notice
            drawn[1] = self.site.removed_student
        drawn.sort(key=lambda each: each.__name__ in LAST)
        if drawn[0].__name__ in LAST:
            self._deck.insert(0, drawn.pop())
        return drawn

    def _silence(self, seconds: float) -> Iterator[Samples]:
        for number in range(round(seconds * SAMPLE_RATE / BLOCK)):
            self.clock.advance(BLOCK / SAMPLE_RATE)
            yield self._room[number * BLOCK :][:BLOCK]

    def _sound(self, phrase: Samples) -> Iterator[Samples]:
        whole = np.pad(phrase, (0, -len(phrase) % BLOCK))
        for block in (whole + self._room[: len(whole)]).reshape(-1, BLOCK):
            self.clock.advance(BLOCK / SAMPLE_RATE)
            yield block


def warped(phrase: Samples, random: np.random.Generator) -> Samples:
    """Return a phrase, shape (samples,), said at a pace that changes: the voice stays."""
    fine = soxr.resample(phrase, SAMPLE_RATE, 4 * SAMPLE_RATE, quality="HQ")
    knots = random.uniform(1 - WARP, 1 + WARP, KNOTS)
    pace = np.interp(np.linspace(0, KNOTS - 1, 2 * len(phrase)), np.arange(KNOTS), knots)
    at = 4 * np.cumsum(pace)
    return np.interp(at[at < len(fine)], np.arange(len(fine)), fine).astype(np.float32)
