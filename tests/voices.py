"""Real recordings of speakers, one after another, as a microphone would hear them."""

from __future__ import annotations

from collections.abc import Sequence

from kaimen.rehearsal import RECORDINGS
from kaimen.sound import Samples
from kaimen.sound.recording import read
from tests.sounds import in_a_room, silence

BETWEEN = 0.8  # seconds from one phrase to the next, beside what the files hold


def take(voice: str, number: int, name: str = "phrase") -> Samples:
    """Return a recording of somebody of the demonstration class, shape (samples,)."""
    return read(RECORDINGS / voice / f"{name}-{number}.mp3")


def said(*takes: Samples, after: float = 1.5, between: float = BETWEEN) -> Samples:
    """Return takes one after another in a room, shape (samples,)."""
    parts: Sequence[Samples] = [piece for each in takes for piece in (silence(between), each)]
    return in_a_room(*parts, silence(after))


def takes_of(voice: str, count: int = 6) -> list[Samples]:
    """Return the first recordings of somebody."""
    return [take(voice, number) for number in range(1, count + 1)]
