"""How like the enrolled words a phrase must be: learned from the school's own recordings.

Every recording, with itself left out, is its student's phrase at the gate. How like each other two
takes of a phrase are depends on the phrase, so a school's own say it better than others'. What all
of a school have in common is the words, without anybody's day or mood: their middle is kept, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from kaimen.calibration.calibration import Calibration
from kaimen.registry.registry import Registry
from kaimen.voice.phrase import PhraseEmbedding, PhraseEncoder, middle_of, phrase_score

OTHER_WORDS = 0.02  # share of students' own phrases that may be taken for other words
ENOUGH = 150  # phrases from which on the school says it
COMMON = 3  # students who have something in common
STUDENTS = 2_000  # whose recordings are asked, at most
LOOSER = 0.15  # than the phrase encoder's own threshold a school's may be


def with_words(learned: Calibration, registry: Registry, phrase: PhraseEncoder) -> Calibration:
    """Return the calibration with the threshold for the words, if anybody has any."""
    students = registry.students()
    everybody = []
    for student in students[:: max(1, len(students) // STUDENTS)]:
        kept = registry.recordings.evidence(student.name, phrase.identity)
        everybody.append([each.said for each in kept if each.said is not None])
    school = in_common(everybody)
    own = [
        phrase_score(each, [*said[:place], *said[place + 1 :]], school)
        for said in everybody
        for place, each in enumerate(said if len(said) > 1 else [])
    ]
    if not own:
        return learned
    least = phrase.card.threshold
    if len(own) >= ENOUGH:
        # Takes of one session are more alike than those of another day: never above the card's.
        least = min(least, max(float(np.quantile(own, OTHER_WORDS)), least - LOOSER))
    return replace(
        learned,
        phrase_threshold=least,
        phrase_fnmr=float(np.mean(np.array(own) < least)),
        phrase_common=None if school is None else school.astype(np.float64).round(6).tolist(),
        phrase_by=phrase.identity,
    )


def in_common(everybody: Iterable[Sequence[PhraseEmbedding]]) -> PhraseEmbedding | None:
    """Return how all say it, from each student's recordings; None where too few do."""
    middles = [middle_of(said) for said in everybody if len(said)]
    return middle_of(middles) if len(middles) >= COMMON else None
