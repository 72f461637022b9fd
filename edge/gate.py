"""The gate: sound goes in, the relay moves, answers come out."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.decision import Decision, Thresholds, Verdict, decide, refuse
from edge.gallery import Gallery
from edge.lockout import Lockout
from edge.roster import Rule, groups_at
from edge.sound import SAMPLE_RATE, Samples, Source
from edge.sound.endpoint import Endpointer, Phrase
from edge.sound.quality import is_voice
from edge.voice.encoder import Encoder, Voiceprint

CLAIM = 10.0  # seconds for which a claim waits for its phrase
EARLY = 0.15  # seconds of silence after which a phrase may open; its end is certain later
EARLIEST = 0.4  # seconds of a phrase, at least, before it may

_NOISE = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)


class Opens(Protocol):
    """What a gate switches: a relay, or the door that has one."""

    def open(self) -> None:
        """Let somebody through. Raises DeviceError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate made of one phrase."""

    decision: Decision
    phrase: Phrase
    computed: float  # seconds of computing from the block that ended the phrase to the relay

    @property
    def latency(self) -> float:
        """Seconds from the last speech sample to the relay.

        The wait for the end of the phrase is counted in the sound's own time, so that a
        recording played faster than it lasts gives the latency a microphone would.
        """
        return self.phrase.waited + self.computed


class Gate:
    """One door: who is known, how near they must come, and what to switch."""

    def __init__(
        self,
        encoder: Encoder,
        gallery: Gallery,
        thresholds: Thresholds,
        relay: Opens,
        *,
        roster: tuple[Rule, ...] = (),
        lockout: Lockout | None = None,
        now: Callable[[], datetime.datetime] = datetime.datetime.now,
    ) -> None:
        """Without a ``lockout`` unknown voices never have to wait."""
        self.encoder = encoder
        self.gallery = gallery
        self.thresholds = thresholds
        self.relay = relay
        self.roster = roster
        self._lockout = lockout
        self._now = now
        self._claim: tuple[str, float] | None = None
        self.begin(None)
        if len(gallery):  # wakes the search before anybody waits
            gallery.nearest(gallery.voiceprints(gallery.students[0])[0])

    def begin(self, floor: float | None) -> None:
        """A new stream of sound begins; ``floor`` is its room's level in dB where it is known."""
        self._endpointer = Endpointer(floor=floor)
        self._answered: int | None = None  # where the phrase began that has its answer
        self._looked: tuple[int, Voiceprint] | None = None  # where a phrase ended, and its point

    def rehearse(self) -> None:
        """Embed a second of noise and search for it: what does this can decide."""
        self.gallery.nearest(self.encoder.embed(_NOISE))

    @property
    def speaking(self) -> bool:
        """Whether somebody is in the middle of a phrase."""
        return self._endpointer.speaking

    def claim(self, student: str) -> None:
        """Somebody says who they are; the next phrase is theirs. From any thread."""
        self._claim = (student, time.monotonic())

    def listen(self, source: Source) -> Iterator[Answer]:
        """Answer every phrase of a source; the relay has moved before the answer is given."""
        self.begin(source.floor)
        for block in source.blocks():
            yield from self.hear(block)

    def hear(self, block: Samples) -> Iterator[Answer]:
        """Hear a block of a stream, shape (n,), and answer what was said in it.

        A phrase may open as soon as nothing more seems to be said; that it stays shut is only
        said when its end is certain. What follows in the same breath is no phrase of its own.
        """
        began = time.perf_counter()
        for phrase in self._endpointer.push(block):
            if phrase.start != self._answered:
                yield self._answer(phrase, self._decide(phrase), began)
                began = time.perf_counter()
        if self._endpointer.pause >= EARLY:
            glimpse = self._endpointer.so_far()
            if glimpse is not None and self._may_open_early(glimpse):
                decision = self._decide(glimpse)
                if decision.opens:
                    self._answered = glimpse.start
                    yield self._answer(glimpse, decision, began)

    def _may_open_early(self, glimpse: Phrase) -> bool:
        looked = self._looked is not None and self._looked[0] == glimpse.end
        answered = glimpse.start == self._answered
        return not looked and not answered and glimpse.seconds >= EARLIEST

    def _answer(self, phrase: Phrase, decision: Decision, began: float) -> Answer:
        if decision.opens:
            self.relay.open()
        if self._claim is not None and decision.claim == self._claim[0]:
            self._claim = None
        answer = Answer(decision, phrase, time.perf_counter() - began)
        if self._lockout is not None and decision.claim is None:
            if decision.opens:
                self._lockout.opened()
            # What is no voice is no try: a gate must not shut for passing traffic.
            elif decision.verdict is Verdict.UNKNOWN and is_voice(phrase.samples):
                self._lockout.unknown()
        return answer

    def _decide(self, phrase: Phrase) -> Decision:
        now = self._now()
        may_enter = groups_at(self.roster, now)
        claim = self._claim
        if claim is not None and time.monotonic() - claim[1] <= CLAIM:
            claimed = self.gallery.claimed(
                claim[0], self._point(phrase), groups=may_enter, day=now.date()
            )
            return decide(claimed, self.thresholds.claimed, claim=claim[0])
        threshold = self.thresholds.anybody
        wait = self._lockout.wait() if self._lockout is not None else 0.0
        if wait:
            return refuse(threshold, wait)
        nearest = self.gallery.nearest(
            self._point(phrase), groups=may_enter, day=now.date(), sure=threshold
        )
        return decide(nearest, threshold)

    def _point(self, phrase: Phrase) -> Voiceprint:
        """The phrase's voiceprint; computed once for a phrase that was looked at early."""
        if self._looked is None or self._looked[0] != phrase.end:
            self._looked = phrase.end, self.encoder.embed(phrase.samples)
        return self._looked[1]


def seconds_into(samples: int) -> float:
    """A place in a stream in seconds."""
    return samples / SAMPLE_RATE
