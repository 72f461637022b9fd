"""Days at the gate in minutes: sound faster than real time, the pin's whole trace.

A short one runs always; ``KAIMEN_SOAK_HOURS=24 pytest tests/scenarios/test_soak.py`` is the long
one. Sound is made as fast as it is heard, and leases end in hundredths of a second; the clock that
the roster looks at is stepped by a day in both directions; for an hour the log's disk is full.
"""

from __future__ import annotations

import datetime
import errno
import os
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.audit import Audit, export, record_of, verify
from kaimen.calibration.learning import calibrate
from kaimen.door.pins import mock_pins, trace
from kaimen.door.relay import Relay
from kaimen.enrollment.entries import recordings_in
from kaimen.errors import MicrophoneLost, StorageError
from kaimen.gallery.gallery import Gallery
from kaimen.gate.daemon import Daemon
from kaimen.gate.gate import Answer, Gate
from kaimen.gate.heartbeat import Heartbeat
from kaimen.rehearsal import RECORDINGS
from kaimen.rehearsal.visitors import Kind, plan
from kaimen.settings.door import PIN
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder
from tests.sounds import noise

HOURS = float(os.environ.get("KAIMEN_SOAK_HOURS", "0.15"))
PHRASES_AN_HOUR = 12_000 / 24  # at least 10,000 a day
PULLS_AN_HOUR = max(120 / 24, 3 / HOURS)
ROOM = -70.0  # dB
GROWTH = 1.01  # of memory: allocators take it in steps of a megabyte, which is nearly as much
SETTLED = 100  # answers after which memory must not grow any more
KEY = bytes(32)  # of the log
DAY = datetime.timedelta(days=1)


@dataclass
class World:
    """What happens at the gate, and when; everything is drawn beforehand by one seed."""

    voices: list[tuple[Samples, bool]]  # phrases, and whether the door should open
    hours: float
    heard: float = 0.0  # seconds of sound so far
    expected: list[bool] = field(default_factory=list)  # phrases that were said, in order
    pulls: int = 0
    name: str = "simulated"
    floor: float | None = None
    overruns: int = 0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._room = noise(60, ROOM)
        self._end = self.hours * 3600
        self._unplugged = self._next_pull()

    def _next_pull(self) -> float:
        return self.heard + self._random.exponential(3600 / PULLS_AN_HOUR)

    def blocks(self) -> Iterator[Samples]:
        """Phrases with pauses between them, in a room, until somebody pulls the plug."""
        yield from self._silence(2.5)
        while self.heard < self._end:
            phrase, opens = self.voices[self._random.integers(len(self.voices))]
            pause = self._random.exponential(3600 / PHRASES_AN_HOUR - 2)
            yield from self._silence(1.0 + min(pause, 60.0))
            if self.heard > self._unplugged:
                self.pulls += 1
                self.heard += 5.0
                self._unplugged = self._next_pull()
                raise MicrophoneLost("pulled")
            self.expected.append(opens)
            yield from self._blocks(phrase + self._of_room(len(phrase)))
            yield from self._silence(0.5)

    def _silence(self, seconds: float) -> Iterator[Samples]:
        """Blocks of the room, as they lie there: the memory that counts is the gate's."""
        rooms = len(self._room) // BLOCK
        first = int(self._random.integers(rooms))
        for number in range(first, first + round(seconds * SAMPLE_RATE / BLOCK)):
            self.heard += BLOCK / SAMPLE_RATE
            yield self._room[number % rooms * BLOCK :][:BLOCK]

    def _of_room(self, samples: int) -> Samples:
        start = int(self._random.integers(len(self._room) - samples))
        return self._room[start : start + samples]

    def _blocks(self, sound: Samples) -> Iterator[Samples]:
        whole = np.pad(sound, (0, -len(sound) % BLOCK))
        for block in whole.reshape(-1, BLOCK):
            self.heard += BLOCK / SAMPLE_RATE
            yield block


class Lights:
    """A door without any."""

    def show(self, what: str) -> None:
        """Nothing is wired."""


@pytest.fixture(scope="module")
def school() -> tuple[Encoder, Gallery, Thresholds, list[tuple[Samples, bool]]]:
    """The demo's class, its threshold, and visitors whose verdict is certain."""
    encoder = Encoder()
    day = plan(recordings_in(RECORDINGS), replays=False)
    gallery = Gallery(encoder.identity, encoder.card.dimension)
    enrolled = {name for place, name in enumerate(day.enrolling, start=1) if place % 3}
    for student in sorted(enrolled):
        files = day.enrolling[student]
        points = [encoder.embed(main_phrase(read(file)).samples) for file in files]
        gallery.enroll(student, points)
    thresholds = calibrate(gallery, encoder.card).thresholds
    first, *others = day.sessions
    come = [v for v in first.visitors if v.kind is Kind.STUDENT and v.name in enrolled]
    for session in others:
        come += session.visitors[:2] if session.without not in enrolled else []
    return encoder, gallery, thresholds, [(v.samples, v.kind is Kind.STUDENT) for v in come]


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.slow
def test_days_of_students_strangers_and_pulled_plugs(
    school: tuple[Encoder, Gallery, Thresholds, list[tuple[Samples, bool]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kaimen.gate.daemon.RETRY", 0.0)
    encoder, gallery, thresholds, voices = school
    world = World(voices, HOURS)
    sizes = np.ones(1000 + round(2 * HOURS * PHRASES_AN_HOUR), np.int64)  # must not grow itself
    opened: list[bool] = []
    changes: list[bool] = []

    def now() -> datetime.datetime:
        """A clock that is stepped by a day, forth and back, every hour."""
        stepped = (0, 1, 0, -1)[int(world.heard // 3600) % 4]
        start = datetime.datetime(2027, 3, 1, 8)
        return start + datetime.timedelta(seconds=world.heard) + stepped * DAY

    def write(descriptor: int, data: bytes, real: Callable[[int, bytes], int] = os.write) -> int:
        """A disk that is full for an hour, or for half of a shorter time."""
        if 0 <= world.heard / 3600 - 0.3 * HOURS <= min(1.0, HOURS / 2):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    lost = 0
    pins = mock_pins()
    with (
        Relay(PIN, pins=pins, lease=0.01) as relay,
        Audit(tmp_path, KEY, largest=1 << 16, kept=10_000) as log,
    ):

        def tell(answer: Answer) -> None:
            nonlocal lost
            hashes = {"encoder": encoder.identity, "gallery": gallery.hash, "calibration": ""}
            try:
                log.write(record_of(answer, key=KEY, **hashes))
            except StorageError:
                lost += 1
            opened.append(answer.decision.opens)
            relay.wait_for_rest()
            changes.extend(change.on for change in trace(pins, PIN)[1:])
            pins.pin(f"GPIO{PIN}").clear_states()
            sizes[len(opened) - 1] = resident()

        gate = Gate(encoder, AccessPolicy(gallery, thresholds, now=now), relay)
        heartbeat = Heartbeat(gate.rehearse, lambda: None)
        Daemon(gate, Lights(), heartbeat, tell=tell, say=lambda _: None).run(lambda: world)
    assert opened == world.expected  # every phrase, once, as it should be
    assert changes == [True, False] * sum(world.expected)  # and nothing else
    assert world.pulls > 0
    assert verify(tmp_path, KEY).problems == []
    logged = list(export(tmp_path, KEY))
    before = [each["kind"] for each in logged].index("gap")
    verdicts = [each["verdict"] == "open" for each in logged if each["kind"] == "decision"]
    assert verdicts == opened[:before] + opened[before + lost :]
    assert logged[before]["lost"] == lost
    settled = sizes[SETTLED : len(opened)]
    megabytes = [round(size / 1e6, 2) for size in settled[:: max(1, len(settled) // 10)]]
    sys.stderr.write(f"\n{len(opened)} phrases, {world.pulls} pulls; resident MB {megabytes}\n")
    assert not len(settled) or settled[-1] <= GROWTH * settled[0]
