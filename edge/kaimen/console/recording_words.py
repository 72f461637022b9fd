"""How good each recording of a student is, in words."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.console.language import later
from kaimen.gallery.gallery import Gallery
from kaimen.voice.score import among_themselves

CLEARLY = 0.05  # of score above the threshold, from which on a recording would surely be known
GOOD = later("Like the others: the gate would know it")
NEAR = later("A little unlike the others: the gate might ask once more")
UNLIKE = later("Unlike the others: the gate would turn it away; replace it")
ALONE = later("The only one: add more")
OF_A_WORD = later("A word for challenges: {word}")
ELSEWHERE = later("Of another encoder")


@dataclass(frozen=True, slots=True)
class JudgedRecording:
    """A recording, and what is said of it."""

    number: int
    sentence: str  # English
    mark: str  # good, warn or bad
    word: str  # of a challenge


def judged_recordings(gallery: Gallery, student: str, threshold: float) -> list[JudgedRecording]:
    """Return a student's recordings, each judged by how well the others know it.

    ``threshold`` is the score that the gate asks for.
    """
    recordings = gallery.registry.recordings
    listed = recordings.listed(student)
    own = [each.number for each in listed if not each.word]
    placed = set(recordings.numbers(gallery.encoder)[0].tolist())
    here = [number for number in own if number in placed]
    said: dict[int, tuple[str, str]] = dict.fromkeys(here, (ALONE, "warn"))
    if len(here) > 1:
        scores = among_themselves(recordings.voiceprints(here, gallery.encoder))
        for number, score in zip(here, scores.tolist(), strict=True):
            if score >= threshold + CLEARLY:
                said[number] = GOOD, "good"
            else:
                said[number] = (NEAR, "warn") if score >= threshold else (UNLIKE, "bad")
    return [
        JudgedRecording(
            each.number,
            *((OF_A_WORD, "") if each.word else said.get(each.number, (ELSEWHERE, "warn"))),
            each.word,
        )
        for each in listed
    ]
