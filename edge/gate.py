"""The gate: sound goes in, the relay moves, answers come out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from edge.decision import Decision, decide
from edge.door.relay import Relay
from edge.gallery import Gallery
from edge.sound import SAMPLE_RATE, Source
from edge.sound.endpoint import Endpointer, Phrase
from edge.voice.encoder import Encoder


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

    def __init__(self, encoder: Encoder, gallery: Gallery, threshold: float, relay: Relay) -> None:
        self.encoder = encoder
        self.gallery = gallery
        self.threshold = threshold
        self.relay = relay
        if len(gallery):  # builds the index, and wakes the encoder, before anybody waits
            gallery.nearest(gallery.voiceprints(gallery.students[0])[0])

    def listen(self, source: Source) -> Iterator[Answer]:
        """Answer every phrase of a source; the relay has moved before the answer is given."""
        endpointer = Endpointer(floor=source.floor)
        for block in source.blocks():
            began = time.perf_counter()
            for phrase in endpointer.push(block):
                yield self._answer(phrase, began)
                began = time.perf_counter()

    def _answer(self, phrase: Phrase, began: float) -> Answer:
        decision = decide(self.gallery.nearest(self.encoder.embed(phrase.samples)), self.threshold)
        if decision.opens:
            self.relay.open()
        return Answer(decision, phrase, time.perf_counter() - began)


def seconds_into(samples: int) -> float:
    """A place in a stream in seconds."""
    return samples / SAMPLE_RATE
