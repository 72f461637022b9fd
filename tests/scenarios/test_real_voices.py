"""Real speakers at the whole gate: recordings in, the relay's pin out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kaimen.access.policy import AccessPolicy
from kaimen.calibration.learning import calibrate
from kaimen.door.pins import Change, forget, mock_pins, trace
from kaimen.door.relay import Relay
from kaimen.gallery.gallery import Gallery
from kaimen.gate.gate import Gate
from kaimen.settings.door import PIN
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import Recording, main_phrase
from kaimen.sound.recording import phrases as found
from kaimen.voice.encoder import Encoder
from kaimen_train.data.corpus import read_manifest, speech_of
from kaimen_train.evaluation.protocols import joined

MANIFEST = Path(os.environ.get("KAIMEN_SPEECH", "../shared/speech")) / "manifest.csv"
LEASE = 0.03  # seconds
ENROLLING, PROBING = range(1, 6), range(6, 9)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MANIFEST.exists(), reason=f"no real voices at {MANIFEST}"),
]

Phrases = dict[str, dict[str, dict[int, Samples]]]  # text, speaker, take


@dataclass(frozen=True)
class Visit:
    """What happened when somebody spoke."""

    speaker: str
    answers: list[str | None]  # who was let in, a phrase; a slow speaker's pause makes two
    trace: list[Change]

    @property
    def opened(self) -> bool:
        """Whether the pin was ever on."""
        return any(change.on for change in self.trace)


def in_a_room(phrase: Samples) -> Samples:
    """The phrase with a moment of a quiet room before and after it."""
    random = np.random.default_rng(len(phrase))
    room = 1e-4 * random.standard_normal(len(phrase) + SAMPLE_RATE // 2)
    room[SAMPLE_RATE // 4 : SAMPLE_RATE // 4 + len(phrase)] += phrase
    return room.astype(np.float32)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture(scope="module")
def phrases() -> Phrases:
    rows = [
        row for row in read_manifest(MANIFEST) if (row.corpus, row.split) == ("mandarin20", "eval")
    ]
    names, sounds = joined(rows, [speech_of(row.file) for row in rows])
    found: Phrases = {}
    for (text, speaker, take), sound in zip(names, sounds, strict=True):
        found.setdefault(text, {}).setdefault(speaker, {})[take] = in_a_room(sound)
    return found


def enroll(encoder: Encoder, students: dict[str, dict[int, Samples]]) -> Gallery:
    gallery = Gallery(encoder.identity, encoder.card.dimension)
    for student, takes in students.items():
        sounds = [main_phrase(takes[take]).samples for take in ENROLLING]
        gallery.enroll(student, [encoder.embed(sound) for sound in sounds])
    return gallery


def visits(
    encoder: Encoder, gallery: Gallery, visitors: dict[str, dict[int, Samples]]
) -> Iterator[Visit]:
    """Everybody comes with takes 6 to 8, one after the other."""
    thresholds = calibrate(gallery, encoder.card).thresholds
    pins = mock_pins()
    with Relay(PIN, pins=pins, lease=LEASE) as relay:
        gate = Gate(encoder, AccessPolicy(gallery, thresholds), relay)
        for speaker, takes in visitors.items():
            for take in PROBING:
                forget(pins, PIN)
                answers = []
                for answer in gate.listen(Recording(takes[take])):
                    answers.append(answer.decision.student)
                    assert relay.wait_for_rest(60)
                yield Visit(speaker, answers, trace(pins, PIN))


@pytest.fixture(scope="module")
def students_visits(encoder: Encoder, phrases: Phrases) -> list[Visit]:
    return [
        visit
        for speakers in phrases.values()
        for visit in visits(encoder, enroll(encoder, speakers), speakers)
    ]


@pytest.fixture(scope="module")
def strangers_visits(encoder: Encoder, phrases: Phrases) -> list[Visit]:
    """Each speaker in turn is a stranger to a class of all the others."""
    found = []
    for speakers in phrases.values():
        for stranger in speakers:
            others = {name: takes for name, takes in speakers.items() if name != stranger}
            found += visits(encoder, enroll(encoder, others), {stranger: speakers[stranger]})
    return found


def test_few_phrases_are_cut_in_two(phrases: Phrases) -> None:
    every = [
        sound for speakers in phrases.values() for takes in speakers.values()
        for sound in takes.values()
    ]  # fmt: skip
    assert len(every) == 224
    # Slow speakers: 17 of them pause that long within one of the two words.
    assert sum(len(found(sound)) > 1 for sound in every) <= 23


def test_all_seven_speakers_come_with_all_four_phrases(students_visits: list[Visit]) -> None:
    assert len(students_visits) == 7 * 4 * len(PROBING)


def test_the_pin_goes_on_and_off_once_for_each_open_answer_and_never_else(
    students_visits: list[Visit], strangers_visits: list[Visit]
) -> None:
    for visit in students_visits + strangers_visits:
        opened = sum(student is not None for student in visit.answers)
        states = [change.on for change in visit.trace]
        assert states == [False] + [True, False] * opened, visit


def test_students_are_let_in_as_themselves(students_visits: list[Visit]) -> None:
    right = [visit for visit in students_visits if visit.opened and visit.speaker in visit.answers]
    assert len(right) >= 0.95 * len(students_visits)


def test_nobody_is_let_in_as_somebody_else(students_visits: list[Visit]) -> None:
    mistaken = [visit for visit in students_visits if {*visit.answers} - {None, visit.speaker}]
    assert len(mistaken) <= 0.01 * len(students_visits)


def test_strangers_stay_outside(strangers_visits: list[Visit]) -> None:
    outside = [visit for visit in strangers_visits if not visit.opened]
    assert len(outside) >= 0.95 * len(strangers_visits)
