"""What a second try buys: FNIR of one try and of two at the same FPIR, on the same visits.

A visit is two takes of one speaker. At a gate of one try the first decides. At a gate that asks
again, a first try near the threshold is followed by the second, and both together decide, as in
``edge.gallery.calibration``; its thresholds are such that over both tries as many strangers come
in as at the other gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.decision import pooled_score
from edge.gallery.calibration import FIRST_TRY, GREY
from training.protocols import FPIRS, Said, scores

# Corpus, recordings that enroll, and those that visit.
SPLITS = (
    ("mandarin20", range(1, 6), range(6, 9)),
    ("mandarin20", range(1, 4), range(4, 9)),
    ("arabic40", range(1, 5), range(5, 7)),
    ("arabic40", range(1, 4), range(4, 7)),
)
INSIDE = 9.0  # beyond every score


def compare(texts: Sequence[Said], enroll: range, visit: range) -> list[dict[str, Any]]:
    """FNIR of one try and of two at each of the FPIRS."""
    strangers, students = [], []
    for said in texts:
        speakers = sorted(said.takes)
        enrolled = {
            name: np.stack([said.takes[name][take] for take in enroll if take in said.takes[name]])
            for name in speakers
        }
        for name in speakers:
            takes = [said.takes[name][take] for take in visit if take in said.takes[name]]
            table = np.array(
                [scores(enrolled[other], np.stack(takes)) for other in speakers]
            ).T  # (takes, students)
            own = speakers.index(name)
            others = np.delete(table, own, axis=1)
            for one, two in permutations(range(len(takes)), 2):
                nearest = int(others[one].argmax())
                strangers.append((others[one, nearest], others[two, nearest]))
                known = [table[at].argmax() == own for at in (one, two)]
                students.append(
                    (table[one, own] if known[0] else -1.0, table[two, own] if known[1] else -1.0)
                )
    return [{"fpir": fpir, **_at(np.array(strangers), np.array(students), fpir)} for fpir in FPIRS]


def _at(
    strangers: NDArray[np.float64], students: NDArray[np.float64], fpir: float
) -> dict[str, float]:
    single = float(np.quantile(strangers[:, 0], 1 - fpir))
    first = float(np.quantile(strangers[:, 0], 1 - fpir * FIRST_TRY))
    pooled = float(np.quantile(_together(strangers, first), 1 - fpir))
    asked = (students[:, 0] < first) & (students[:, 0] >= first - GREY)
    return {
        "fnir_one_try": float(np.mean(students[:, 0] < single)),
        "fnir_two_tries": float(np.mean(_together(students, first) < min(pooled, first))),
        "asked_again": float(np.mean(asked)),
        "visits": len(students),
    }


def _together(tries: NDArray[np.float64], first: float) -> NDArray[np.float64]:
    both = np.array([pooled_score(*pair) for pair in tries])
    asked = np.where(tries[:, 0] >= first - GREY, both, -INSIDE)
    return np.where(tries[:, 0] >= first, INSIDE, asked)
