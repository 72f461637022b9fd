"""The daemon at microphones that come and go; the gate and its clock are played by stand-ins."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.door.pins import mock_pins, trace
from kaimen.door.relay import Relay
from kaimen.errors import DeviceError, MicrophoneLost, OpeningRefused
from kaimen.gate.daemon import Daemon, Reloaded
from kaimen.gate.feed import Feed
from kaimen.gate.gate import Answer, Gate
from kaimen.gate.heartbeat import Heartbeat
from kaimen.settings.door import PIN
from kaimen.sound import BLOCK, Samples
from kaimen.sound.meter import Meter
from kaimen.sound.recording import Recording
from tests.gate.test_gate import LI, STRANGER, GivenPoints, known
from tests.sounds import in_a_room, noise, silence, spoken

ONE = in_a_room(silence(0.5), spoken(0.6), silence(0.5))


@dataclass
class Microphone:
    """Plays a sound, then is pulled, unless it just ends."""

    sound: Samples
    pulled: bool = True
    name: str = "usb"
    floor: float | None = None
    overruns: int = 0

    def blocks(self) -> Iterator[Samples]:
        yield from Recording(self.sound).blocks()
        if self.pulled:
            raise MicrophoneLost("no sound")


@dataclass
class Scene:
    """A service, what it may find, and what became of it."""

    pins: MockFactory
    relay: Relay
    points: list[np.ndarray]
    found: list[Microphone | Exception]
    shown: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    told: list[Answer] = field(default_factory=list)
    beats: int = 0
    on_find: Callable[[], None] | None = None
    feed: Feed | None = None

    def beat(self) -> None:
        self.beats += 1

    def show(self, what: str) -> None:
        self.shown.append(what)

    def find(self) -> Microphone:
        if self.on_find:
            self.on_find()
        found = self.found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def run(self) -> None:
        ears: Any = GivenPoints(*self.points)
        gate = Gate(ears, AccessPolicy(known(), Thresholds(0.6, 0.3)), self.relay)
        heartbeat = Heartbeat(lambda: None, self.beat, every=0.0)
        self.service = Daemon(
            gate, self, heartbeat, tell=self.told.append, say=self.said.append, feed=self.feed
        )
        self.service.run(self.find)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    monkeypatch.setattr("kaimen.gate.daemon.RETRY", 0.0)
    factory = mock_pins()
    with Relay(pins=factory, lease=60) as relay:
        yield lambda points, *found: Scene(factory, relay, points, list(found))
    factory.reset()


def test_a_student_and_a_stranger_are_answered_and_shown(scene: Callable[..., Scene]) -> None:
    both = in_a_room(silence(0.5), spoken(0.6), silence(0.5), spoken(0.6), silence(0.5))
    here = scene([STRANGER, LI], Microphone(both, pulled=False))
    here.run()
    assert [answer.decision.student for answer in here.told] == [None, "Li"]
    assert here.shown == ["idle", "listening", "unknown", "listening", "idle"]
    assert [change.on for change in trace(here.pins, PIN)] == [False, True]


def test_a_click_is_no_phrase_and_the_lights_say_so(scene: Callable[..., Scene]) -> None:
    click = in_a_room(silence(0.5), spoken(0.05), silence(0.5))
    here = scene([], Microphone(click, pulled=False))
    here.run()
    assert here.shown == ["idle", "listening", "idle"]


def test_a_microphone_that_comes_back_is_listened_to_again(scene: Callable[..., Scene]) -> None:
    gone = MicrophoneLost("no microphone is connected")
    here = scene([STRANGER, LI], Microphone(ONE), gone, gone, gone, Microphone(ONE, pulled=False))
    here.run()
    assert [answer.decision.student for answer in here.told] == [None, "Li"]
    assert here.shown.count("fault") == 1  # said once, however long it takes
    assert here.said == [
        "listening to usb", "no sound; the gate waits for it", "listening to usb",
    ]  # fmt: skip


def test_without_a_microphone_at_the_start_it_waits_and_is_alive(
    scene: Callable[..., Scene],
) -> None:
    gone = MicrophoneLost("no microphone is connected")
    here = scene([], gone, gone, Microphone(silence(0.1), pulled=False))
    here.run()
    assert here.shown == ["fault", "idle"]
    assert here.beats > 2


def test_a_phrase_that_was_cut_by_the_pull_is_not_carried_over(
    scene: Callable[..., Scene],
) -> None:
    half = in_a_room(silence(0.5), spoken(0.6))
    sound = Microphone(half)
    sound.blocks = lambda: iter_then_lost(half)  # type: ignore[method-assign]
    here = scene([], sound, Microphone(silence(1.0), pulled=False))
    here.run()
    assert here.told == []


def iter_then_lost(sound: Samples) -> Iterator[Samples]:
    yield from sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
    raise MicrophoneLost("no sound")


def test_what_is_no_lost_microphone_ends_the_service(scene: Callable[..., Scene]) -> None:
    here = scene([], DeviceError("PortAudio is not installed"))
    with pytest.raises(DeviceError, match="PortAudio"):
        here.run()


def test_a_door_that_does_not_open_is_said_and_the_gate_goes_on(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OpeningRefused("the door did not open: held for too long")

    both = in_a_room(silence(0.5), spoken(0.6), silence(0.5), spoken(0.6), silence(0.5))
    here = scene([LI, STRANGER], Microphone(both, pulled=False))
    monkeypatch.setattr(here.relay, "open", refuse)
    here.run()
    first, second = here.told
    assert (first.decision.student, first.opened) == ("Li", False)
    assert first.not_opened == "the door did not open: held for too long"
    assert first.not_opened in here.said
    assert second.decision.student is None
    assert here.shown[:3] == ["idle", "listening", "fault"]


def test_what_opened_is_told_before_a_request_to_end_is_heard(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = scene([LI], Microphone(ONE, pulled=False))
    opened = here.relay.open

    def open_and_be_stopped() -> None:
        opened()
        signal.raise_signal(signal.SIGTERM)

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(here.relay, "open", open_and_be_stopped)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            here.run()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [answer.decision.student for answer in here.told] == ["Li"]


@pytest.mark.parametrize("there", [True, False])
def test_settings_are_read_again_when_asked_for(scene: Callable[..., Scene], there: bool) -> None:
    found = Microphone(ONE) if there else MicrophoneLost("gone")
    here = scene([LI], found)
    here.on_find = lambda: here.service.reload.set()
    with pytest.raises(Reloaded):
        here.run()


# The heartbeat


def test_the_heart_beats_only_after_a_rehearsal_that_worked() -> None:
    now = [0.0]
    beats: list[float] = []
    able = [True]

    def rehearse() -> None:
        if not able[0]:
            raise DeviceError("no")

    heartbeat = Heartbeat(rehearse, lambda: beats.append(now[0]), every=9.0, clock=lambda: now[0])
    for second in range(11):
        now[0] = float(second)
        heartbeat()
    assert beats == [0, 5, 10]
    able[0] = False
    now[0] = 20.0
    with pytest.raises(DeviceError):
        heartbeat()
    assert beats == [0, 5, 10]


# The meter


def judged(sound: Samples, overruns: int = 0) -> list[str]:
    meter = Meter()
    blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
    return [found for block in blocks if (found := meter.hear(block, overruns))]


def test_a_well_microphone_is_not_spoken_of() -> None:
    assert judged(noise(31, -50)) == []


def test_a_mute_microphone_is_said_to_be_mute_once() -> None:
    (said,) = judged(silence(31))
    assert "mute" in said


def test_a_microphone_that_is_turned_up_too_far_is_said_to_be() -> None:
    (said,) = judged(np.clip(100 * noise(11, -20), -1, 1))
    assert "cut off" in said


def test_dropped_sound_is_counted_and_its_end_is_said() -> None:
    meter = Meter()
    said = []
    for number, block in enumerate(noise(30, -50).reshape(-1, BLOCK)):
        said.append(meter.hear(block, 7 if number > 100 else 0))
    assert [each for each in said if each] == [
        "sound was dropped 7 times; is the machine too busy?", "the microphone is well again",
    ]  # fmt: skip


class Borrower:
    """Has the microphone for some blocks."""

    def __init__(self, first: int, last: int) -> None:
        self._blocks = range(first, last)
        self._at = -1
        self.ended: list[str] = []

    def take(self, block: Samples, name: str) -> bool:
        assert name == "usb"
        self._at += 1
        return self._at in self._blocks

    def end(self, reason: str) -> None:
        self.ended.append(reason)


def with_borrower(scene: Scene, borrower: Borrower) -> None:
    ears: Any = GivenPoints(*scene.points)
    gate = Gate(ears, AccessPolicy(known(), Thresholds(0.6, 0.3)), scene.relay)
    scene.service = Daemon(
        gate, scene, scene.beat, tell=scene.told.append, say=scene.said.append, lender=borrower
    )
    scene.service.run(scene.find)


def test_while_the_microphone_is_lent_nobody_comes_in_and_the_gate_lives(
    scene: Callable[..., Scene],
) -> None:
    at = scene([LI, LI], Microphone(np.concatenate([ONE, ONE]), pulled=False))
    with_borrower(at, Borrower(0, len(ONE) // BLOCK))
    assert [answer.decision.verdict.value for answer in at.told] == ["open"]
    assert at.beats >= 2 * len(ONE) // BLOCK
    assert [text for text in at.said if "microphone is" in text] == [
        "the microphone is lent to an enrollment",
        "the microphone is back",
    ]


def test_what_was_half_said_when_the_microphone_was_lent_is_no_phrase(
    scene: Callable[..., Scene],
) -> None:
    at = scene([LI], Microphone(ONE, pulled=False))
    with_borrower(at, Borrower(len(ONE) // BLOCK // 2, len(ONE) // BLOCK + 100))
    assert at.told == []
    assert at.service.status == "somebody is being enrolled"


def test_a_microphone_that_is_lost_ends_the_loan(scene: Callable[..., Scene]) -> None:
    borrower = Borrower(0, 1000)
    at = scene([], Microphone(ONE), Microphone(ONE, pulled=False))
    with_borrower(at, borrower)
    assert len(borrower.ended) == 1
