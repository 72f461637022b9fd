"""Enrollment at a microphone: what is heard, take by take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kaimen.enrollment.coach import Coach, TakeJudgement
from kaimen.errors import NoSpeech
from kaimen.sound import SAMPLE_RATE, Samples, Source
from kaimen.sound.loudness import decibels
from kaimen.sound.takes import TakeListener

PATIENCE = 60.0  # seconds for which nobody need speak
METER = 0.1  # seconds of a level
BEEP = 0.8  # seconds after a take in which a buzzer may sound, and nothing is listened to


@dataclass(frozen=True, slots=True)
class HeardLevel:
    """How loud it is now."""

    level: float  # dB of full scale, root mean square
    speaking: bool  # whether somebody is in the middle of a phrase


def takes_at(
    source: Source, coach: Coach, *, deaf: float = 0.0
) -> Iterator[HeardLevel | TakeJudgement]:
    """Yield levels and the coach's judgement of each take, until all good takes are there.

    For ``deaf`` seconds after each take nothing is listened to. Raises MicrophoneLost, and NoSpeech
    where nobody speaks for PATIENCE seconds or the source ends before.
    """
    listener = TakeListener(source.floor)
    metered: list[Samples] = []
    quiet = skipped = 0
    for block in source.blocks():
        metered.append(block)
        if sum(map(len, metered)) >= METER * SAMPLE_RATE:
            level = max(decibels(each) for each in metered)
            yield HeardLevel(level, listener.speaking)
            metered = []
        if skipped > 0:
            skipped -= len(block)
            continue
        recording = listener.push(block)
        quiet = 0 if listener.speaking or recording is not None else quiet + len(block)
        if recording is not None:
            judged = coach.judge(recording)
            yield judged
            if judged.complete:
                return
            skipped = round(deaf * SAMPLE_RATE)
        if quiet > PATIENCE * SAMPLE_RATE:
            raise NoSpeech(f"nobody spoke for {PATIENCE:g} s, and nothing is kept; begin again")
    raise NoSpeech("the sound ended before all takes were there, and nothing is kept; begin again")
