"""Sound goes in, the relay moves, answers come out; the encoder is played by a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory

from edge.door.pins import mock_pins, trace
from edge.door.relay import PIN, Relay
from edge.gallery import Gallery
from edge.gate import Gate, seconds_into
from edge.sound import Samples
from edge.sound.endpoint import HANGOVER
from edge.sound.recording import Recording
from edge.voice.encoder import Encoder
from tests.sounds import in_a_room, silence, spoken

LI, WANG, STRANGER = np.eye(3, 4, dtype=np.float32)


class Ears:
    """An encoder that gives out points in turn."""

    def __init__(self, *points: np.ndarray) -> None:
        self.points = list(points)
        self.heard: list[Samples] = []

    def embed(self, phrase: Samples) -> np.ndarray:
        self.heard.append(phrase)
        return self.points.pop(0)


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    """Pins that remember."""
    factory = mock_pins()
    yield factory
    factory.reset()


@pytest.fixture
def relay(pins: MockFactory) -> Iterator[Relay]:
    """A relay with a lease that no test waits for."""
    with Relay(pins=pins, lease=60) as made:
        yield made


def known() -> Gallery:
    gallery = Gallery("encoder", 4)
    gallery.enroll("Li", [LI])
    gallery.enroll("Wang", [WANG])
    return gallery


def gate(relay: Relay, *points: np.ndarray, gallery: Gallery | None = None) -> Gate:
    ears: Any = Ears(*points)
    return Gate(cast(Encoder, ears), known() if gallery is None else gallery, 0.6, relay)


def states(pins: MockFactory) -> list[bool]:
    return [change.on for change in trace(pins, PIN)]


ONE = Recording(in_a_room(silence(0.5), spoken(0.6), silence(0.5)))
TWO = Recording(in_a_room(silence(0.5), spoken(0.6), silence(0.5), spoken(0.4), silence(0.5)))


def test_the_door_is_open_before_a_students_answer_is_given(
    relay: Relay, pins: MockFactory
) -> None:
    answers = gate(relay, LI).listen(ONE)
    assert states(pins) == [False]
    answer = next(answers)
    assert answer.decision.student == "Li"
    assert states(pins) == [False, True]
    assert list(answers) == []


def test_the_door_stays_shut_for_a_stranger(relay: Relay, pins: MockFactory) -> None:
    (answer,) = gate(relay, STRANGER).listen(ONE)
    assert not answer.decision.opens
    assert states(pins) == [False]


def test_the_door_stays_shut_in_an_empty_school(relay: Relay, pins: MockFactory) -> None:
    (answer,) = gate(relay, LI, gallery=Gallery("encoder", 4)).listen(ONE)
    assert answer.decision.reason == "nobody is enrolled"
    assert states(pins) == [False]


def test_a_point_that_is_no_number_opens_nothing(relay: Relay, pins: MockFactory) -> None:
    (answer,) = gate(relay, np.full(4, np.nan, np.float32)).listen(ONE)
    assert not answer.decision.opens
    assert states(pins) == [False]


def test_every_phrase_gets_its_answer(relay: Relay) -> None:
    answers = list(gate(relay, WANG, STRANGER).listen(TWO))
    assert [answer.decision.student for answer in answers] == ["Wang", None]
    assert [round(seconds_into(a.phrase.start), 1) for a in answers] == [0.5, 1.6]


def test_the_encoder_hears_the_phrase_that_the_answer_is_about(relay: Relay) -> None:
    listening = gate(relay, LI)
    (answer,) = listening.listen(ONE)
    (heard,) = cast(Ears, listening.encoder).heard
    np.testing.assert_array_equal(heard, answer.phrase.samples)


def test_a_room_that_is_known_beforehand_is_no_part_of_the_phrase(relay: Relay) -> None:
    noisy = Recording(in_a_room(silence(0.5), spoken(0.6), silence(0.5), level=-45))
    (answer,) = gate(relay, LI).listen(noisy)
    assert seconds_into(answer.phrase.start) == pytest.approx(0.5, abs=0.02)


def test_the_latency_counts_the_wait_for_the_end_of_the_phrase(relay: Relay) -> None:
    (answer,) = gate(relay, LI).listen(ONE)
    assert answer.computed > 0
    assert answer.latency == answer.computed + answer.phrase.waited
    assert answer.phrase.waited == pytest.approx(HANGOVER)


def test_silence_is_not_answered(relay: Relay) -> None:
    assert list(gate(relay).listen(Recording(silence(2)))) == []


def test_an_encoder_that_fails_leaves_the_door_shut(relay: Relay, pins: MockFactory) -> None:
    with pytest.raises(IndexError):  # the stand-in has no point to give
        list(gate(relay).listen(ONE))
    assert states(pins) == [False]
