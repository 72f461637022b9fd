"""Attacks played at a whole gate: who is let in, who is not, and what kept them outside.

Replays are simulated (``kaimen.acoustics.replays``), by devices of the family that no detector was
trained with. Everything is drawn from one seed. Names of what is counted: ISO/IEC 30107-3 (APCER,
the share of attacks of a kind that pass; BPCER, the share of living students taken for one).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import soxr

from kaimen.access.checks import Checks
from kaimen.access.decision import Decision, Thresholds, Verdict
from kaimen.access.policy import AccessPolicy
from kaimen.acoustics.devices import devices
from kaimen.acoustics.replays import replayed
from kaimen.calibration.learning import calibrate
from kaimen.calibration.phrase_threshold import with_words
from kaimen.door.pins import forget, mock_pins, trace
from kaimen.door.relay import Relay
from kaimen.enrollment.judging import Recorded, recorded
from kaimen.errors import RecordingError
from kaimen.gallery.gallery import Gallery
from kaimen.gate.gate import Gate
from kaimen.rehearsal.people import Person
from kaimen.settings.door import PIN
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import Recording
from kaimen.voice.models import Models

ENROLLED = 5  # takes of each student
EVERY = 3  # one person in so many stays a stranger
LEASE = 0.02  # seconds
ROOM = 0.4  # seconds of a quiet room before and after a sound
QUIET = -70.0  # dB of it
SNRS = (10.0, 15.0, 20.0, 30.0)  # dB, of replays
SPEEDS = (0.9, 1.1)
CLEAR = 20.0  # dB, of those
LONG = 20.0  # seconds of speech without an end
WILSON = 1.96  # deviations of a 95 % interval

LIVING = "living student"
NOTHING = "no phrase"  # heard in it


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sound at the gate."""

    kind: str
    sound: Samples


@dataclass
class Count:
    """What became of the attempts of a kind."""

    kind: str
    attempts: int = 0
    opened: int = 0
    stopped: Counter[str] = field(default_factory=Counter)  # by what

    @property
    def share(self) -> float:
        """Return the share of attempts that opened."""
        return self.opened / self.attempts if self.attempts else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Return 95 % interval of that share (E. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
        n, z = max(self.attempts, 1), WILSON
        centre = (self.share + z * z / (2 * n)) / (1 + z * z / n)
        spread = (
            z / (1 + z * z / n) * math.sqrt(self.share * (1 - self.share) / n + z * z / (4 * n * n))
        )
        return max(0.0, min(self.share, centre - spread)), min(1.0, centre + spread)


def calibrated(
    enrolling: Mapping[str, Sequence[Recorded]], models: Models
) -> tuple[Gallery, Thresholds]:
    """Return a gallery of these students, and its thresholds, learned as every school's are."""
    encoder = models.encoder
    gallery = Gallery(encoder.identity, encoder.card.dimension)
    for student, own in enrolling.items():
        points, evidence = [each.voiceprint for each in own], [each.evidence for each in own]
        gallery.enroll(student, points, evidence=evidence)
    learned = calibrate(gallery, encoder.card)
    if models.phrase is not None:
        learned = with_words(learned, gallery.registry, models.phrase)
    return gallery, learned.thresholds


class AttackedGate:
    """A gate with simulated pins, its students, and everybody who attacks it."""

    def __init__(
        self, people: Sequence[Person], models: Models, *, count: int = 8, seed: int = 0
    ) -> None:
        """``count`` devices play recordings back."""
        self.random = np.random.default_rng(seed)
        self.devices = devices(self.random, count, "test")
        self.models = models
        self.strangers = list(people[EVERY - 1 :: EVERY])
        self.students = [each for each in people if each not in self.strangers]
        enrolling = {
            person.name: [recorded(models, take) for take in person.takes[:ENROLLED]]
            for person in self.students
        }
        self.gallery, self.thresholds = calibrated(enrolling, models)

    def attempts(self) -> Iterator[Attempt]:
        """Yield everything that is tried, in a fixed order."""
        for person in self.students:
            for take in person.takes[ENROLLED:]:
                yield Attempt(LIVING, take)
        for person in self.strangers:
            for take in person.takes:
                yield Attempt("stranger", take)
        for person in self.students:
            yield from self._words(person)
            yield from self._replays(person)
        yield from self._nonsense()

    def _words(self, person: Person) -> Iterator[Attempt]:
        for said in person.other_words:
            yield Attempt("other words", said)
        for said in person.half_right:
            yield Attempt("half right", said)
        for first, second in pairwise(person.takes[:ENROLLED]):
            # In the middle: a recording of two recordings.
            halves = first[: len(first) // 2], second[len(second) // 2 :]
            yield Attempt("spliced", np.concatenate(halves))

    def _replays(self, person: Person) -> Iterator[Attempt]:
        for number, take in enumerate(person.takes):
            known = number < ENROLLED
            for snr in SNRS:
                device = self.devices[self.random.integers(len(self.devices))]
                sound = replayed(take, device, snr, self.random)
                kind = f"an enrolled recording, {snr:.0f} dB"
                if not known:
                    kind = f"an unknown recording, {device.kind}"
                yield Attempt(f"replay of {kind}", sound)
            if known:
                yield Attempt("copy, no loudspeaker", take)
                for speed in SPEEDS:
                    faster = soxr.resample(take, SAMPLE_RATE * speed, SAMPLE_RATE)
                    device = self.devices[self.random.integers(len(self.devices))]
                    sound = replayed(faster.astype(np.float32), device, CLEAR, self.random)
                    yield Attempt("replay at another speed and pitch", sound)

    def _nonsense(self) -> Iterator[Attempt]:
        speech = np.concatenate([take for each in self.strangers for take in each.takes])
        endless = np.resize(speech, round(LONG * SAMPLE_RATE))
        silence = np.zeros(SAMPLE_RATE, np.float32)
        hiss = (0.1 * self.random.standard_normal(SAMPLE_RATE)).astype(np.float32)
        for sound in (silence, hiss, endless):
            yield Attempt("noise, silence, endless", sound)
        for person in self.strangers:
            for take in person.takes[:ENROLLED]:
                yield Attempt("stranger, too loud", np.clip(take * 50, -1, 1))

    def played(self, checks: Checks | None, attempts: Iterable[Attempt]) -> dict[str, Count]:
        """Play attempts at a gate with these checks; what became of them, by kind."""
        pins = mock_pins()
        counts: dict[str, Count] = {}
        with Relay(PIN, pins=pins, lease=LEASE) as relay:
            policy = AccessPolicy(self.gallery, self.thresholds, checks=checks)
            gate = Gate(self.models.encoder, policy, relay)
            for number, attempt in enumerate(attempts):
                forget(pins, PIN)
                try:
                    answers = list(gate.listen(Recording(_in_a_room(attempt.sound, number))))
                except RecordingError:
                    answers = []
                relay.wait_for_rest()
                count = counts.setdefault(attempt.kind, Count(attempt.kind))
                count.attempts += 1
                if any(change.on for change in trace(pins, PIN)):
                    count.opened += 1
                else:
                    count.stopped[stopped_by(answers[-1].decision if answers else None)] += 1
        return counts


def _in_a_room(sound: Samples, seed: int) -> Samples:
    """Return the sound in a quiet room, the same one at every gate."""
    around = round(ROOM * SAMPLE_RATE)
    noise = np.random.default_rng(seed).standard_normal(len(sound) + 2 * around)
    heard = (noise * 10 ** (QUIET / 20)).astype(np.float32)
    heard[around : around + len(sound)] += sound
    return heard


def stopped_by(decision: Decision | None) -> str:
    """Return what kept somebody outside."""
    if decision is None:
        return NOTHING
    if decision.failed is not None:
        return decision.failed.name
    return "voice" if decision.verdict is not Verdict.OPEN else "pin"
