"""The demo's day: gates with simulated pins, and what they did for each visitor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpiozero.pins.mock import MockFactory

from kaimen.access.checks import Checks
from kaimen.access.decision import Verdict
from kaimen.access.policy import AccessPolicy
from kaimen.door.pins import Change, forget, mock_pins, trace
from kaimen.door.relay import Relay
from kaimen.enrollment.entries import recordings_in
from kaimen.enrollment.judging import Recorded, recorded
from kaimen.errors import RecordingError
from kaimen.gate.gate import Answer, Gate
from kaimen.language import text
from kaimen.rehearsal.attack import Count, calibrated, stopped_by
from kaimen.rehearsal.visitors import Kind, Session, Visitor, plan
from kaimen.screen import Screen
from kaimen.settings.door import PIN
from kaimen.sound.quality import require_voice
from kaimen.sound.recording import Recording, only_phrase, read
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models, detector_of, phrase_of

LEASE = 0.05  # seconds: nobody has to walk through

Class = Mapping[str, Sequence[Recorded]]  # what enrolls, by student


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor, what the gate answered in all tries, and everything the relay's pin did."""

    visitor: Visitor
    answers: Sequence[Answer]
    tries: int
    trace: Sequence[Change]

    @property
    def opened(self) -> bool:
        """Return whether the pin was ever on, whatever the answer said."""
        return any(change.on for change in self.trace)

    @property
    def right(self) -> bool:
        """Return whether the gate did what it should."""
        wanted = self.visitor.should_open
        as_themselves = any(a.decision.student == self.visitor.name for a in self.answers)
        return self.opened and as_themselves if wanted else not self.opened

    @property
    def stopped_by(self) -> str:
        """Return what kept the visitor outside; empty where nothing did."""
        return (
            "" if self.opened else stopped_by(self.answers[-1].decision if self.answers else None)
        )


def day(encoder: Encoder, folders: Sequence[Path], screen: Screen, *, replays: bool) -> list[Visit]:
    """Return all visits to these classes' gates; without ``replays`` nothing is done against them.

    Raises SettingsError for a folder that cannot be read.
    """
    models = Models(encoder, phrase_of(encoder), detector_of(encoder) if replays else None)
    plans = [plan(recordings_in(folder), replays=replays) for folder in folders]
    enrolling = [
        (place, *student) for place, each in enumerate(plans) for student in each.enrolling.items()
    ]
    enrolled: list[dict[str, list[Recorded]]] = [{} for _ in plans]
    for place, student, files in screen.progress(enrolling, text("enrolling"), len(enrolling)):
        found = list(_usable(models, files, screen))
        if found:
            enrolled[place][student] = found
    visits = (
        visit
        for own, each in zip(enrolled, plans, strict=True)
        for visit in play(own, each.sessions, models, replay=replays)
    )
    total = sum(len(session.visitors) for each in plans for session in each.sessions)
    return list(screen.progress(visits, text("at the gate"), total))


def _usable(models: Models, files: Sequence[Path], screen: Screen) -> Iterator[Recorded]:
    """Yield what enrolls of recordings, which need only hold a voice; say what is wrong."""
    for path in files:
        try:
            phrase = only_phrase(read(path)).samples
            require_voice(phrase)
            yield recorded(models, phrase)
        except RecordingError as error:
            screen.error(error.at(path))


def play(
    enrolled: Class, sessions: Sequence[Session], models: Models, *, replay: bool
) -> Iterator[Visit]:
    """Let the visitors of a class come, to a gate of its own for each session.

    ``replay`` says whether recordings that were heard before are told.
    """
    pins = mock_pins()
    with Relay(PIN, pins=pins, lease=LEASE) as relay:
        for session in sessions:
            others = {who: own for who, own in enrolled.items() if who != session.without}
            gate = _gate(others, models, relay, replay=replay)
            for visitor in session.visitors:
                yield _visit(visitor, gate, relay, pins)


def _gate(enrolled: Class, models: Models, relay: Relay, *, replay: bool) -> Gate:
    gallery, thresholds = calibrated(enrolled, models)
    # Without a memory of its own, so that a visit changes nothing for the next one.
    checks = Checks(models, gallery.registry, None, replay=replay)
    policy = AccessPolicy(gallery, thresholds, checks=checks, retry=True)
    return Gate(models.encoder, policy, relay)


def _visit(visitor: Visitor, gate: Gate, relay: Relay, pins: MockFactory) -> Visit:
    forget(pins, PIN)
    answers: list[Answer] = []
    for tries, sound in enumerate(visitor.tries(), start=1):
        heard = Recording(sound)
        if tries == 1:
            gate.begin(heard.floor)
        answers += [answer for block in heard.blocks() for answer in gate.hear(block)]
        if not answers or answers[-1].decision.verdict is not Verdict.RETRY:
            break
    relay.wait_for_rest()
    return Visit(visitor, answers, tries, trace(pins, PIN))


def counted(visits: Sequence[Visit]) -> dict[Kind, Count]:
    """Return who was let in, and what kept the others outside, by kind.

    A student who is let in as somebody else counts as not let in.
    """
    counts: dict[Kind, Count] = {}
    for kind in Kind:
        for visit in visits:
            if visit.visitor.kind is kind:
                count = counts.setdefault(kind, Count(kind.value))
                count.attempts += 1
                if visit.opened and (visit.right or not visit.visitor.should_open):
                    count.opened += 1
                else:
                    count.stopped[visit.stopped_by or "taken for another"] += 1
    return counts
