"""A recording in which two people speak is named; it enrolls all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.enrollment.entries import Entry
from kaimen.enrollment.judging import Judge, Task
from kaimen.enrollment.two_voices import SAID, unlike_the_others
from kaimen.rehearsal import VOICES
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder


def test_one_that_is_less_like_the_others_is_found_and_two_are_too_few_to_tell() -> None:
    alike = np.array([[1, 0], [1, 0], [1, 0], [0.8, 0.6]], np.float32)
    assert unlike_the_others(alike) == [3]
    assert unlike_the_others(alike[:3]) == []
    assert unlike_the_others(alike[2:]) == []
    assert unlike_the_others(np.zeros((0, 2), np.float32)) == []


@pytest.mark.slow
def test_half_a_phrase_by_somebody_else_is_named(tmp_path: Path) -> None:
    students = sorted((VOICES / "stop-yes").iterdir())
    judge = Judge.by(Encoder())
    named = whole = 0
    for student, other in zip(students[:8], students[8:16], strict=True):
        takes = sorted(student.glob("phrase-*.mp3"))[:5]
        last, theirs = (
            main_phrase(read(path)).samples for path in (takes[-1], min(other.glob("phrase-*.mp3")))
        )
        both = np.concatenate((last[: len(last) // 2], theirs[len(theirs) // 2 :]))
        mixed = tmp_path / f"{student.name}.wav"
        soundfile.write(mixed, np.pad(both, SAMPLE_RATE // 4), SAMPLE_RATE)
        judged = judge(Task(0, Entry("s", (*takes[:-1], mixed))))
        told = {each.path for each in judged.usable if SAID in each.recorded.remarks}
        refused = {each.path for each in judged.refused}
        named += str(mixed) in told | refused
        whole += len(told - {str(mixed)})
    assert named >= 5
    assert whole <= 1
