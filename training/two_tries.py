"""What a second try buys: FNIR of one try and of two at the same FPIR, on the same visits.

A visit is two takes of one speaker. At a gate of one try the first decides. At a gate that asks
again, a first try near the threshold is followed by the second: alone, or the point in the middle
of both, as in ``edge.gallery.calibration``; thresholds are such that over both tries as many
strangers come in as at the other gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.decision import one_voice, pooled_point
from edge.gallery.calibration import FIRST_TRY, GREY
from training.protocols import FPIRS, Said, scores

# Corpus, recordings that enroll, and those that visit.
SPLITS = (
    ("mandarin20", range(1, 6), range(6, 9)),
    ("mandarin20", range(1, 4), range(4, 9)),
    ("arabic40", range(1, 5), range(5, 7)),
    ("arabic40", range(1, 4), range(4, 7)),
)
INSIDE, OUTSIDE = 9.0, -9.0  # beyond every score


def compare(texts: Sequence[Said], enroll: range, visit: range) -> list[dict[str, Any]]:
    """FNIR of one try and of two at each of the FPIRS."""
    strangers, students, nearest, alike = [], [], [], []
    for said in texts:
        speakers = sorted(said.takes)
        enrolled = [_takes(said, name, enroll) for name in speakers]
        for own, name in enumerate(speakers):
            takes = _takes(said, name, visit)
            one, two = np.array(list(permutations(range(len(takes)), 2))).reshape(-1, 2).T
            tries = (takes[one], takes[two], pooled_point(takes[one], takes[two]))
            # (tries, visits, students)
            table = np.stack([np.stack([scores(e, t) for e in enrolled], 1) for t in tries])
            strangers.append(np.delete(table, own, axis=2).max(axis=2))
            known = table.argmax(axis=2) == own
            students.append(np.where(known, table[:, :, own], OUTSIDE))
            nearest.append(table[0].max(axis=1))
            alike.append(one_voice(takes[one], takes[two]))
    there = [np.concatenate(each, axis=-1) for each in (strangers, students, nearest, alike)]
    return [{"fpir": fpir, **_at(*there, fpir)} for fpir in FPIRS]


def _takes(said: Said, speaker: str, numbers: range) -> NDArray[np.float32]:
    own = said.takes[speaker]
    return np.stack([own[take] for take in numbers if take in own])


def _at(
    strangers: NDArray[np.float64],
    students: NDArray[np.float64],
    nearest: NDArray[np.float64],
    alike: NDArray[np.bool_],
    fpir: float,
) -> dict[str, float]:
    """Of scores of a first try, a second one and both together, (3, visits)."""
    single = float(np.quantile(strangers[0], 1 - fpir))
    first = float(np.quantile(strangers[0], 1 - fpir * FIRST_TRY))
    pooled = float(np.quantile(_visits(strangers, strangers[0], alike, first), 1 - fpir))
    # Whom a first try takes for somebody else is asked once more as well, if nobody opens.
    missed = _visits(students, nearest, alike, first) < pooled
    return {
        "fnir_one_try": float(np.mean(students[0] < single)),
        "fnir_two_tries": float(np.mean(missed)),
        "asked_again": float(np.mean((nearest < first) & (nearest >= first - GREY))),
        "visits": len(alike),
        "first": first,
        "pooled": pooled,
    }


def _visits(
    tries: NDArray[np.float64],
    nearest: NDArray[np.float64],
    alike: NDArray[np.bool_],
    first: float,
) -> NDArray[np.float64]:
    """What each visit comes to, given whom its first try was nearest to."""
    asked = (nearest < first) & (nearest >= first - GREY)
    enough = (tries[0] >= first) | (asked & (tries[1] >= first))
    return np.where(enough, INSIDE, np.where(asked & alike, tries[2], OUTSIDE))
