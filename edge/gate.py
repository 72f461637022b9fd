"""The gate: sound goes in, the relay moves, answers come out."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge.decision import Decision, Thresholds, decide
from edge.door.relay import Relay
from edge.gallery import Gallery
from edge.roster import Rule, groups_at
from edge.sound import SAMPLE_RATE, Source
from edge.sound.endpoint import Endpointer, Phrase
from edge.voice.encoder import Encoder, Voiceprint

CLAIM = 10.0  # seconds for which a claim waits for its phrase


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
        relay: Relay,
        *,
        roster: tuple[Rule, ...] = (),
        now: Callable[[], datetime.datetime] = datetime.datetime.now,
    ) -> None:
        self.encoder = encoder
        self.gallery = gallery
        self.thresholds = thresholds
        self.relay = relay
        self.roster = roster
        self._now = now
        self._claim: tuple[str, float] | None = None
        if len(gallery):  # wakes the search before anybody waits
            gallery.nearest(gallery.voiceprints(gallery.students[0])[0])

    def claim(self, student: str) -> None:
        """Somebody says who they are; the next phrase is theirs. From any thread."""
        self._claim = (student, time.monotonic())

    def listen(self, source: Source) -> Iterator[Answer]:
        """Answer every phrase of a source; the relay has moved before the answer is given."""
        endpointer = Endpointer(floor=source.floor)
        for block in source.blocks():
            began = time.perf_counter()
            for phrase in endpointer.push(block):
                yield self._answer(phrase, began)
                began = time.perf_counter()

    def _answer(self, phrase: Phrase, began: float) -> Answer:
        decision = self._decide(self.encoder.embed(phrase.samples))
        if decision.opens:
            self.relay.open()
        return Answer(decision, phrase, time.perf_counter() - began)

    def _decide(self, probe: Voiceprint) -> Decision:
        claim, self._claim = self._claim, None
        now = self._now()
        may_enter = groups_at(self.roster, now)
        if claim is None or time.monotonic() - claim[1] > CLAIM:
            threshold = self.thresholds.anybody
            nearest = self.gallery.nearest(probe, groups=may_enter, day=now.date(), sure=threshold)
            return decide(nearest, threshold)
        claimed = self.gallery.claimed(claim[0], probe, groups=may_enter, day=now.date())
        return decide(claimed, self.thresholds.claimed, claim=claim[0])


def seconds_into(samples: int) -> float:
    """A place in a stream in seconds."""
    return samples / SAMPLE_RATE
