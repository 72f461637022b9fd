"""Phrases are found where they are, whatever the room and however the stream is cut."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.endpoint import (
    HANGOVER,
    LONGEST,
    LOOK_BACK,
    PADDING,
    Endpointer,
    Phrase,
    background,
)
from tests.sounds import in_a_room, noise, silence, spoken

STREAM = in_a_room(
    silence(0.6), spoken(0.7), silence(0.5), spoken(1.1, 220), silence(0.1), spoken(0.5),
    silence(0.5),
)  # fmt: skip


def hear(stream: Samples, *, floor: float | None = None, cuts: Iterable[int] = ()) -> list[Phrase]:
    """Every phrase of a stream that is cut into blocks at these samples."""
    endpointer = Endpointer(floor=floor)
    blocks = np.split(stream, sorted(cuts))
    return [phrase for block in blocks for phrase in endpointer.push(block)]


def seconds(samples: int) -> float:
    return samples / SAMPLE_RATE


@pytest.mark.parametrize("level", [-90, -70, -55])
@pytest.mark.parametrize("length", [0.2, 0.7, 2.0])
def test_a_phrase_is_found_where_it_is(level: float, length: float) -> None:
    room = noise(2.5, level)
    stream = in_a_room(silence(2.5), spoken(length), silence(0.5), level=level)
    (phrase,) = hear(stream, floor=background(room))
    assert seconds(phrase.start) == pytest.approx(2.5, abs=0.02)
    assert seconds(phrase.end) == pytest.approx(2.5 + length, abs=0.02)
    assert phrase.seconds == pytest.approx(length, abs=0.04)


def test_a_phrase_is_found_in_a_room_that_was_only_listened_to() -> None:
    (*_, phrase) = hear(in_a_room(silence(3), spoken(0.7), silence(0.5), level=-45))
    assert seconds(phrase.start) == pytest.approx(3, abs=0.02)
    assert seconds(phrase.end) == pytest.approx(3.7, abs=0.02)


@given(st.sets(st.integers(0, len(STREAM)), max_size=40))
def test_the_phrases_do_not_depend_on_how_the_stream_is_cut(cuts: set[int]) -> None:
    whole, pieces = hear(STREAM), hear(STREAM, cuts=cuts)
    assert len(whole) == 2
    assert [(p.start, p.end, p.heard) for p in pieces] == [(p.start, p.end, p.heard) for p in whole]
    for one, other in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


@pytest.mark.parametrize("size", [1, 7, 159, 160, 161, BLOCK])
def test_blocks_of_one_size_give_what_the_whole_stream_gives(size: int) -> None:
    stream = STREAM[: round(1.6 * SAMPLE_RATE)]
    (whole,) = hear(stream)
    (pieces,) = hear(stream, cuts=range(size, len(stream), size))
    assert (pieces.start, pieces.end, pieces.heard) == (whole.start, whole.end, whole.heard)


def test_a_phrase_is_its_part_of_the_stream_with_padding() -> None:
    padding = round(PADDING * SAMPLE_RATE)
    for phrase in hear(STREAM):
        part = STREAM[phrase.start - padding : phrase.end + padding]
        np.testing.assert_array_equal(phrase.samples, part)


@pytest.mark.parametrize("pause", [HANGOVER + 0.01, HANGOVER + 0.02, HANGOVER + 0.04])
def test_a_phrase_just_after_another_has_its_padding_too(pause: float) -> None:
    padding = round(PADDING * SAMPLE_RATE)
    stream = in_a_room(silence(0.5), spoken(0.5), silence(pause), spoken(0.5), silence(0.5))
    _, phrase = hear(stream)
    part = stream[phrase.start - padding : phrase.end + padding]
    np.testing.assert_array_equal(phrase.samples, part)


def test_a_phrase_that_begins_with_the_stream_has_no_padding_before_it() -> None:
    stream = in_a_room(spoken(0.5), silence(0.5))
    (phrase,) = hear(stream)
    assert phrase.start == 0
    np.testing.assert_array_equal(
        phrase.samples, stream[: phrase.end + round(PADDING * SAMPLE_RATE)]
    )


def test_the_end_of_a_phrase_is_certain_after_the_hangover() -> None:
    for phrase in hear(STREAM):
        assert phrase.waited == pytest.approx(HANGOVER)
        assert phrase.heard - phrase.end == round(HANGOVER * SAMPLE_RATE)


def test_a_soft_onset_belongs_to_the_phrase() -> None:
    soft = noise(0.1, -60)  # 10 dB above the room: enough to go on, too little to begin
    stream = in_a_room(silence(3), soft, spoken(0.5), silence(0.5), level=-70)
    (phrase,) = hear(stream)
    assert seconds(phrase.start) == pytest.approx(3.0, abs=0.03)
    assert seconds(phrase.end) == pytest.approx(3.6, abs=0.02)


def test_a_room_that_grows_louder_is_no_soft_onset_for_longer_than_one_lasts() -> None:
    stream = in_a_room(silence(3), noise(1, -61), spoken(0.5), silence(0.5), level=-70)
    phrase = hear(stream)[-1]
    assert seconds(phrase.start) == pytest.approx(4 - LOOK_BACK, abs=0.03)


def test_a_long_pause_makes_two_phrases() -> None:
    stream = in_a_room(silence(0.5), spoken(0.5), silence(0.4), spoken(0.5), silence(0.5))
    assert len(hear(stream)) == 2


def test_a_short_pause_belongs_to_the_phrase() -> None:
    stream = in_a_room(silence(0.5), spoken(0.5), silence(0.1), spoken(0.5), silence(0.5))
    (phrase,) = hear(stream)
    assert phrase.seconds == pytest.approx(1.1, abs=0.04)


def test_who_never_stops_is_cut_after_the_longest_phrase() -> None:
    first, second = hear(in_a_room(silence(0.5), spoken(6), silence(0.5)))
    assert first.seconds == pytest.approx(LONGEST, abs=0.01)
    assert second.seconds == pytest.approx(6 - LONGEST, abs=0.04)
    assert second.start == first.heard


def test_a_click_is_no_phrase() -> None:
    assert hear(in_a_room(silence(0.5), spoken(0.03), silence(0.5))) == []


def test_nobody_speaks_before_a_phrase_and_after_it() -> None:
    endpointer = Endpointer()
    stages = [silence(0.5), spoken(0.5), silence(0.5)]
    speaking = []
    for stage in stages:
        endpointer.push(in_a_room(stage))
        speaking.append(endpointer.speaking)
    assert speaking == [False, True, False]


def test_a_quiet_room_gives_nothing() -> None:
    assert hear(noise(5, -75)) == []


def test_digital_silence_gives_nothing() -> None:
    assert hear(silence(5)) == []


def test_no_samples_give_nothing() -> None:
    assert hear(silence(0)) == []


def test_digital_silence_around_a_phrase_does_no_harm() -> None:
    (phrase,) = hear(np.concatenate((silence(3), spoken(0.7), silence(0.5))))
    assert seconds(phrase.start) == pytest.approx(3, abs=0.02)
    assert seconds(phrase.end) == pytest.approx(3.7, abs=0.02)


@pytest.mark.parametrize("lead", [0.03, 0.1, 0.5])
def test_digital_silence_before_a_recording_is_not_its_room(lead: float) -> None:
    recording = in_a_room(silence(0.5), spoken(0.7), silence(0.5), level=-45)
    stream = np.concatenate((silence(lead), recording))
    assert background(stream) == pytest.approx(background(recording), abs=1)
    (phrase,) = hear(stream, floor=background(stream))
    assert seconds(phrase.start) == pytest.approx(lead + 0.5, abs=0.02)
    assert seconds(phrase.end) == pytest.approx(lead + 1.2, abs=0.02)


@pytest.mark.parametrize("level", [-50, -35, -20])
def test_steady_noise_becomes_the_room(level: float) -> None:
    late = [phrase for phrase in hear(noise(8, level)) if seconds(phrase.end) > 2.5]
    assert late == []


def test_a_phrase_is_found_in_noise_that_became_the_room() -> None:
    stream = in_a_room(silence(5), spoken(0.7, height=0.9), silence(1), level=-40)
    (*_, phrase) = hear(stream)
    assert seconds(phrase.start) == pytest.approx(5, abs=0.02)
    assert seconds(phrase.end) == pytest.approx(5.7, abs=0.02)


def test_a_constant_offset_is_no_speech() -> None:
    late = [p for p in hear(silence(6) + np.float32(0.2)) if seconds(p.end) > 2.5]
    assert late == []


def test_a_constant_offset_does_not_move_a_phrase() -> None:
    stream = in_a_room(silence(4), spoken(0.7), silence(0.5)) + np.float32(0.05)
    (*_, phrase) = hear(stream, cuts=range(1600, len(stream), 1600))
    assert seconds(phrase.start) == pytest.approx(4, abs=0.02)
    assert seconds(phrase.end) == pytest.approx(4.7, abs=0.02)


@pytest.mark.parametrize(
    "sound", [silence(0), silence(1), noise(0.04, -50)], ids=["no", "0", "short"]
)
def test_the_background_is_none_where_no_room_is_heard(sound: Samples) -> None:
    assert background(sound) is None
