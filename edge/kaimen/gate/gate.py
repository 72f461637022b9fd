"""The gate: sound goes in, the relay moves, answers come out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kaimen.access.decision import Decision
from kaimen.access.policy import AccessPolicy, PendingDecision
from kaimen.errors import OpeningRefused, StorageError
from kaimen.sound import SAMPLE_RATE, Samples, Source
from kaimen.sound.endpoint import Endpointer, Phrase
from kaimen.voice.encoder import Encoder
from kaimen.voice.utterance import Utterance

EARLY = 0.15  # seconds of silence after which a phrase may open; its end is certain later
EARLIEST = 0.4  # seconds of a phrase, at least, before it may

_NOISE = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)


class Opens(Protocol):
    """What a gate switches: a relay, or the door that has one."""

    def open(self) -> None:
        """Let somebody through. Raises OpeningRefused with the reason, or DeviceError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate made of one phrase."""

    decision: Decision
    phrase: Phrase
    computed: float  # seconds of computing from the block that ended the phrase to the relay
    not_opened: str = ""  # why the door stayed shut although the decision opens

    @property
    def opened(self) -> bool:
        """Return whether somebody was let through."""
        return self.decision.opens and not self.not_opened

    @property
    def latency(self) -> float:
        """Return seconds from the last speech sample to the relay.

        The wait for the end of the phrase is counted in the sound's own time, so that a
        recording played faster than it lasts gives the latency a microphone would.
        """
        return self.phrase.waited + self.computed


class Gate:
    """One door: what it hears with, who may enter, and what to switch."""

    def __init__(
        self,
        encoder: Encoder,
        policy: AccessPolicy,
        door: Opens,
        *,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Wake the search before anybody waits. ``say`` gets what an operator should know."""
        self.encoder = encoder
        self.policy = policy
        self.door = door
        self._say = say
        self.begin(None)
        gallery = policy.gallery
        if len(gallery):
            gallery.nearest(gallery.voiceprints(gallery.students[0])[0])

    def begin(self, floor: float | None) -> None:
        """Begin a new stream of sound; ``floor`` is its room's level in dB where it is known."""
        self._endpointer = Endpointer(floor=floor)
        self._answered: int | None = None  # where the phrase began that has its answer
        self._looked: tuple[int, Utterance] | None = None  # where a phrase ended, what was found
        self._glimpsed: PendingDecision | None = None  # what was decided there, if no answer yet
        self.policy.forget()

    def rehearse(self) -> None:
        """Embed a second of noise and search for it: a gate that can do this can decide."""
        self.policy.rehearse(self._utterance(_NOISE))

    @property
    def speaking(self) -> bool:
        """Return whether somebody is in the middle of a phrase."""
        return self._endpointer.speaking

    def claim(self, student: str) -> None:
        """Take the next phrase as that of somebody who says who they are. From any thread."""
        self.policy.claim(student)

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
                found = self._decide(glimpse)
                self._glimpsed = found
                if found.decision.opens:
                    self._answered = glimpse.start
                    yield self._answer(glimpse, found, began)

    def _may_open_early(self, glimpse: Phrase) -> bool:
        looked = self._looked is not None and self._looked[0] == glimpse.end
        answered = glimpse.start == self._answered
        early = not looked and not answered and glimpse.seconds >= EARLIEST
        return early and self.policy.may_look

    def _decide(self, phrase: Phrase) -> PendingDecision:
        """Return what to answer; what was computed of a phrase that was looked at early is kept."""
        if self._looked is None or self._looked[0] != phrase.end:
            if self._glimpsed is not None and self._looked is not None:
                self.policy.looked(self._glimpsed, self._looked[1])  # the phrase went on
                self._glimpsed = None
            self._looked = phrase.end, self._utterance(phrase.samples)
        return self.policy.decide(self._looked[1])

    def _utterance(self, samples: Samples) -> Utterance:
        return Utterance(samples, self.encoder, self.policy.gallery.band.band)

    def _answer(self, phrase: Phrase, found: PendingDecision, began: float) -> Answer:
        not_opened = ""
        if found.decision.opens:
            try:
                self.door.open()
            except OpeningRefused as error:  # to start again would not make it open
                not_opened = str(error)
        self._glimpsed = None
        answer = Answer(found.decision, phrase, time.perf_counter() - began, not_opened)
        assert self._looked is not None
        try:
            self.policy.answered(found, self._looked[1])
        except StorageError as error:
            self._say(f"{error}; what was said now is remembered only until the gate ends")
        return answer


def seconds_into(samples: int) -> float:
    """Return a place in a stream in seconds."""
    return samples / SAMPLE_RATE
