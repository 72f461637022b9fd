"""Recordings of one phrase each, cut out of a stream."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.recording import Recording, only_phrase
from kaimen.sound.takes import LONGEST, TakeListener
from tests.sounds import in_a_room, silence, spoken


def cut(sound: Samples, size: int = BLOCK) -> list[Samples]:
    listener = TakeListener()
    whole = Recording(sound).whole
    found = [listener.push(whole[at : at + size]) for at in range(0, len(whole), size)]
    return [each for each in found if each is not None]


@given(st.integers(1, 4), st.sampled_from([160, BLOCK, 777]))
def test_each_phrase_is_a_recording_of_its_own_that_holds_it_whole(count: int, size: int) -> None:
    phrase = spoken(0.7)
    found = cut(in_a_room(*[piece for _ in range(count) for piece in (silence(1), phrase)],
                          silence(1)), size)  # fmt: skip
    assert len(found) == count
    for each in found:
        assert abs(only_phrase(each).seconds - 0.7) < 0.1


def test_a_pause_within_a_phrase_does_not_part_it() -> None:
    (found,) = cut(in_a_room(silence(1), spoken(0.5), silence(0.4), spoken(0.5), silence(1)))
    assert only_phrase(found).seconds > 1.2


def test_of_a_long_quiet_only_a_little_is_kept() -> None:
    (found,) = cut(in_a_room(silence(20), spoken(0.7), silence(1)))
    assert len(found) < 3 * SAMPLE_RATE


def test_who_never_stops_speaking_is_cut_in_the_end() -> None:
    found = cut(in_a_room(silence(1), spoken(3 * LONGEST), silence(1)))
    assert found
    assert max(map(len, found)) < (LONGEST + 5) * SAMPLE_RATE


def test_what_is_no_number_is_no_phrase() -> None:
    assert cut(np.full(SAMPLE_RATE, np.nan, np.float32)) == []
