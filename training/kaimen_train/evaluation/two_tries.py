"""What a second try buys: FNIR of one try and of two at the same FPIR, on the same visits.

A visit is two takes of one speaker. At a gate of one try the first decides. At a gate that asks
again, a first try near the threshold is followed by the second: alone, or the point in the middle
of both, as in ``kaimen.calibration.learning``; thresholds are such that over both tries as many
strangers come in as at the other gate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.access.decision import one_voice, pooled_point
from kaimen.calibration.thresholds import FIRST_TRY, GREY
from kaimen.voice.score import score_of
from kaimen_train.evaluation.metrics import interval
from kaimen_train.evaluation.protocols import FPIRS, ROUNDS, TextTakes

# Corpus, recordings that enroll, and those that visit.
SPLITS = (
    ("mandarin20", range(1, 6), range(6, 9)),
    ("mandarin20", range(1, 4), range(4, 9)),
    ("arabic40", range(1, 5), range(5, 7)),
    ("arabic40", range(1, 4), range(4, 7)),
    ("commands", range(1, 4), range(4, 6)),
    ("commands", range(1, 3), range(3, 6)),
)
INSIDE, OUTSIDE = 9.0, -9.0  # beyond every score


def compare(texts: Sequence[TextTakes], enroll: range, visit: range) -> list[dict[str, Any]]:
    """Return FNIR of one try and of two at each of the FPIRS; of who says a text often enough.

    ``less`` is the share of FNIR that the second try saves, with a 95 % interval by bootstrap over
    speakers.
    """
    found = [each for said in texts for each in _of_text(said, enroll, visit)]
    if not found:
        return []
    who, *parts = zip(*found, strict=True)
    visits = Visits(*(np.concatenate(each, axis=-1) for each in parts))
    names = np.repeat(who, [len(each) for each in parts[-1]])
    random = np.random.default_rng(0)
    speakers = np.unique(names)
    drawn = [
        np.concatenate([np.flatnonzero(names == name) for name in some])
        for some in random.choice(speakers, (ROUNDS, len(speakers)))
    ]
    rows = []
    for fpir in FPIRS:
        saved = [
            less for some in drawn if not math.isnan(less := visits.only(some).at(fpir)["less"])
        ]
        edges = interval(saved) if saved else None
        rows.append({"fpir": fpir, **visits.at(fpir), "interval": edges})
    return rows


def _of_text(said: TextTakes, enroll: range, visit: range) -> Iterator[tuple[Any, ...]]:
    """Yield each speaker's visits: their name, then what Visits hold."""
    speakers = [
        name
        for name, takes in sorted(said.takes.items())
        if takes.keys() >= set(enroll) and len(takes.keys() & set(visit)) > 1
    ]
    if len(speakers) < 2:
        return
    enrolled = [_takes(said, name, enroll) for name in speakers]
    for own, name in enumerate(speakers):
        takes = _takes(said, name, visit)
        one, two = np.array(list(permutations(range(len(takes)), 2))).reshape(-1, 2).T
        tries = (takes[one], takes[two], pooled_point(takes[one], takes[two]))
        # (tries, visits, students)
        table = np.stack([np.stack([score_of(e, t) for e in enrolled], 1) for t in tries])
        strangers = np.delete(table, own, axis=2).max(axis=2)
        known = table.argmax(axis=2) == own
        students = np.where(known, table[:, :, own], OUTSIDE)
        yield name, strangers, students, table[0].max(axis=1), one_voice(takes[one], takes[two])


def _takes(said: TextTakes, speaker: str, numbers: range) -> NDArray[np.float32]:
    own = said.takes[speaker]
    return np.stack([own[take] for take in numbers if take in own])


@dataclass(frozen=True, slots=True)
class Visits:
    """Scores of a first try, a second one and both together, (3, visits), and what they rest on."""

    strangers: NDArray[np.float64]  # of the nearest other, had the speaker not been enrolled
    students: NDArray[np.float64]  # of the speaker, where nobody else was nearer
    nearest: NDArray[np.float64]  # of whomever the first try was nearest to, (visits,)
    alike: NDArray[np.bool_]  # whether both tries are of one voice, (visits,)

    def only(self, places: NDArray[np.int_]) -> Visits:
        """Return some of the visits, or the same several times."""
        return Visits(
            self.strangers[:, places],
            self.students[:, places],
            self.nearest[places],
            self.alike[places],
        )

    def at(self, fpir: float) -> dict[str, float]:
        """Return both gates' errors where this share of strangers gets in."""
        single = float(np.quantile(self.strangers[0], 1 - fpir))
        first = float(np.quantile(self.strangers[0], 1 - fpir * FIRST_TRY))
        let_in = self._after(self.strangers, self.strangers[0], first)
        pooled = float(np.quantile(let_in, 1 - fpir))
        # Whom a first try takes for somebody else is asked once more as well, if nobody opens.
        missed = self._after(self.students, self.nearest, first) < pooled
        one, two = float(np.mean(self.students[0] < single)), float(np.mean(missed))
        return {
            "fnir_one_try": one,
            "fnir_two_tries": two,
            "less": 1 - two / one if one else math.nan,
            "asked_again": float(np.mean((self.nearest < first) & (self.nearest >= first - GREY))),
            "visits": len(self.alike),
            "first": first,
            "pooled": pooled,
        }

    def _after(
        self, tries: NDArray[np.float64], nearest: NDArray[np.float64], first: float
    ) -> NDArray[np.float64]:
        """Return what each visit comes to, given whom its first try was nearest to."""
        asked = (nearest < first) & (nearest >= first - GREY)
        enough = (tries[0] >= first) | (asked & (tries[1] >= first))
        return np.where(enough, INSIDE, np.where(asked & self.alike, tries[2], OUTSIDE))
