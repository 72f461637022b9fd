"""Of several channels the one with the voice is heard, whatever is on the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.channels import ChannelLevels
from tests.sounds import in_a_room, noise, silence, spoken, tone

VOICE = in_a_room(silence(0.5), spoken(1.0), silence(0.5))
LENGTH = len(VOICE) / SAMPLE_RATE

OTHERS = {
    "nothing": silence(LENGTH),
    "the same 6 dB lower": VOICE / 2,
    "the room's noise": noise(LENGTH, -70, seed=1),
    "a hiss louder than the voice": noise(LENGTH, -12, seed=1),
    "a hum louder than the voice": tone(50, LENGTH, height=0.5),
    "an offset": np.full(len(VOICE), 0.5, np.float32),
    "the voice in a hiss": VOICE + noise(LENGTH, -35, seed=1),
    "a few clicks": np.where(np.arange(len(VOICE)) % 16_001 == 0, 0.3, 0).astype(np.float32),
}


def heard_of(*channels: Samples) -> int:
    """The channel that is heard, of sounds that come in pieces."""
    levels = ChannelLevels(len(channels))
    sound = np.stack(channels, axis=1)
    for start in range(0, len(sound), 1_000):
        levels.push(sound[start : start + 1_000])
    return levels.best


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("at", [0, 1])
def test_the_channel_of_the_voice_is_taken(other: str, at: int) -> None:
    channels = [OTHERS[other], OTHERS[other]]
    channels[at] = VOICE
    assert heard_of(*channels) == at


@pytest.mark.parametrize(
    "second", [-VOICE, np.roll(VOICE, SAMPLE_RATE // 2000), VOICE], ids=["inverted", "late", "same"]
)
def test_of_channels_that_would_cancel_the_first_is_taken(second: Samples) -> None:
    assert heard_of(VOICE, second) == 0


@given(st.integers(0, 4_000), st.integers(1, 8), st.integers(0, 9), st.lists(st.integers(1, 4_000)))
def test_the_same_channel_is_taken_in_whatever_pieces_a_sound_comes(
    length: int, channels: int, seed: int, ends: list[int]
) -> None:
    sound = np.random.default_rng(seed).uniform(-1, 1, (length, channels)).astype(np.float32)
    whole, pieces = ChannelLevels(channels), ChannelLevels(channels)
    whole.push(sound)
    for piece in np.split(sound, sorted(ends)):
        pieces.push(piece)
    assert whole.best == pieces.best
    assert 0 <= whole.best < channels
