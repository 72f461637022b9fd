"""What grown voiceprints gain on another day, and what campaigns against them come to.

On ``calls`` a caller's first call enrolls. The calls of later days come in order, and the guard
takes in what passes; the last day is tried with and without. Callers of three days and more can
show it. The same callers show what takes of two days are worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table

from kaimen.access.growing import FAR
from kaimen.registry.grown import MOST
from kaimen.voice.encoder import Encoder
from kaimen.voice.score import lifted, score_of
from kaimen_train.data.corpus import Row, long_enough
from kaimen_train.evaluation import gate_phrases
from kaimen_train.evaluation.campaigns import campaigns
from kaimen_train.evaluation.evaluate import EvalSpeech
from kaimen_train.evaluation.metrics import interval, threshold_at
from kaimen_train.evaluation.protocols import Points

LENGTHS = ("3", gate_phrases.SENTENCE)
FMRS = (0.01, 0.001)
A_DAY = 2  # phrases taken in of a day: the guard allows one, but there are few days
ROUNDS = 1_000  # of the bootstrap over callers

Trial = tuple[NDArray[np.float32], NDArray[np.float32]]  # scores of a caller, and of strangers


def across_days(rows: Sequence[Row], encoder: Encoder) -> dict[str, Any]:
    """Return FNIR on the last day, by length of phrase, FMR and what enrolled."""
    calls = [row for row in rows if row.corpus == gate_phrases.CALLS]
    phrases, facts = gate_phrases.hear(calls, EvalSpeech({}, {}, [], []))
    found: dict[str, Any] = {}
    for each in phrases:
        if each.length in LENGTHS:
            points = np.stack([encoder.embed(long_enough(sound)) for sound in each.sounds])
            days = np.array([facts.calls[name, call][0] for _, name, call in each.names])
            calls_of = np.array([call for _, _, call in each.names])
            found[each.length] = _tried(
                points, np.array([name for _, name, _ in each.names]), days, calls_of
            )
    return found


def _tried(
    points: Points, who: NDArray[np.str_], days: NDArray[np.str_], calls: NDArray[np.int_]
) -> dict[str, Any]:
    first = {name: (who == name) & (calls == calls[who == name].min()) for name in np.unique(who)}
    strangers = [score_of(points[own], points[who != name]) for name, own in first.items()]
    threshold = threshold_at(np.concatenate(strangers), min(FMRS))
    kinds = ("as enrolled", "grown", "three takes of one day", "three, and two of the second day")
    trials: dict[str, list[Trial]] = {kind: [] for kind in kinds}
    taken = 0
    for name, own in first.items():
        later = sorted(set(days[who == name]) - set(days[own]))
        if len(later) < 2:
            continue
        last = (who == name) & (days == later[-1])
        enrolled = score_of(points[own], points)
        grown: list[int] = []
        for day in later[:-1]:
            there = np.flatnonzero((who == name) & (days == day) & (enrolled >= threshold + FAR))
            grown += there[:A_DAY].tolist()
        grown = grown[-MOST:]
        taken += len(grown)
        after = enrolled
        if grown:
            after = lifted(enrolled, (points @ points[grown].T).max(axis=1))
        three = np.flatnonzero(own)[:3]
        second = np.flatnonzero((who == name) & (days == later[0]))[:2]
        scored = (
            enrolled,
            after,
            score_of(points[three], points),
            score_of(points[np.concatenate([three, second])], points),
        )
        for kind, each in zip(kinds, scored, strict=True):
            trials[kind].append((each[last], each[who != name]))
    fnir = {kind: {f"{fmr:g}": _fnir(each, fmr) for fmr in FMRS} for kind, each in trials.items()}
    callers = len(trials[kinds[0]])
    probes = sum(len(own) for own, _ in trials[kinds[0]])
    return {"callers": callers, "probes": probes, "taken_in": taken, "fnir": fnir}


def _fnir(trials: Sequence[Trial], fmr: float) -> dict[str, Any]:
    """Return FNIR at an FMR, with a 95 % interval by bootstrap over callers."""

    def of(chosen: Sequence[Trial]) -> float:
        own, others = (np.concatenate([each[at] for each in chosen]) for at in (0, 1))
        return float(np.mean(own < threshold_at(others, fmr)))

    random = np.random.default_rng(0)
    drawn = [
        of([trials[at] for at in random.integers(0, len(trials), len(trials))])
        for _ in range(ROUNDS)
    ]
    return {"fnir": of(trials), "interval": interval(drawn)}


def attacked(takes: Points, count: int) -> dict[str, Any]:
    """Return what became of campaigns; ``takes`` (speakers, takes, dimension)."""
    return {
        "nearest stranger": campaigns(takes, count, drifts=False),
        "voice that drifts": campaigns(takes, count, drifts=True),
        "voice that drifts, with the student's card": campaigns(
            takes, count, drifts=True, card=True
        ),
    }


def tables(found: dict[str, Any]) -> Iterator[Table]:
    """Return the figures as tables."""
    for length, each in found["days"].items():
        table = Table(
            "enrolled", *(f"FNIR at FMR {fmr:g}, %" for fmr in FMRS), box=SIMPLE_HEAD,
            title=f"calls, {length}: {each['callers']} callers, {each['probes']} probes of the "
            f"last day, {each['taken_in']} taken in",
        )  # fmt: skip
        for kind, rates in each["fnir"].items():
            cells = []
            for one in rates.values():
                low, high = (100 * end for end in one["interval"])
                cells.append(f"{100 * one['fnir']:.1f} ({low:.1f} to {high:.1f})")
            table.add_row(kind, *cells)
        yield table
    names = ("campaigns", "could_at_first", "imitated", "taken_in", "walked_in")
    table = Table("attacker", *(name.replace("_", " ") for name in names), box=SIMPLE_HEAD)
    for kind, counts in found["campaigns"].items():
        table.add_row(kind, *(str(counts[name]) for name in names))
    yield table
