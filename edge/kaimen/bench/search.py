"""How fast and how surely the right student is found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from kaimen.bench import exact
from kaimen.bench.engines import PEERS, Engine, scan
from kaimen.bench.timing import once, percentiles
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.members import Numbers
from kaimen.screen import Screen
from kaimen.voice.score import Points

BREADTHS = (16, 32, 64, 128, 256, 512, 1024)  # points an approximate search may look at
FPIR = 0.01  # strangers that get in
TUNED = 2_000  # probes by which its breadth is chosen
TURNS = 50  # that every engine gets
TURN = 20  # probes of a turn: long enough that an engine finds its own data in the caches


def name_of(place: int) -> str:
    """Return what a synthetic student is called."""
    return f"s{place:07}"


def measure(
    gallery: Gallery,
    school: Points,
    probes: Points,
    strangers: Points,
    peers: Sequence[str],
    screen: Screen,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Times, recall and breadth of the gallery's search and of its peers.

    ``school`` (students, recordings, dimension) is enrolled; of ``probes`` (students, takes,
    dimension) each is of the student in its place; ``strangers`` (strangers, dimension) set the
    threshold. Recall is the share of the probes that an exact search gives the right student's
    name, and this one, too; of ``most`` probes at most.
    """
    students, recordings, dimension = school.shape
    points = school.reshape(-1, dimension)
    owners = np.repeat(np.arange(students), probes.shape[1])
    flat = probes.reshape(-1, dimension)
    # In no order, so that no search finds the last one's neighbours in the caches.
    shuffled = np.random.default_rng(0).permutation(len(flat))[:most]
    flat, owners = flat[shuffled], owners[shuffled]
    named = exact.best(school, flat, screen.progress).places
    met = exact.best(school, strangers, screen.progress).scores
    sure = float(np.quantile(met, 1 - FPIR, method="higher"))
    asked = screen.progress(flat, "searching", len(flat))
    ours = np.array([gallery.nearest(probe, 1, sure=sure)[0].student for probe in asked])
    found = ours == np.array([name_of(place) for place in owners.tolist()])
    agreed = ours == np.array([name_of(place) for place in named.tolist()])
    right = named == owners
    recall = float(np.mean(found[right]))

    def ask(probe: Points) -> Numbers:
        gallery.nearest(probe, sure=sure)
        return np.zeros(0, np.int64)

    engines = [scan(points), Engine("kaimen", ask)]
    about: dict[str, dict[str, Any]] = {
        "numpy scan": {},
        "kaimen": {
            "recall": recall,
            "probes": int(right.sum()),
            "agreement": float(np.mean(agreed)),
            "threshold": sure,
        },
    }
    for package in peers:
        screen.say(f"building the index of {package}")
        began = time.perf_counter()
        try:
            engine = PEERS[package](points)
        except ImportError:
            screen.say(f"{package} is not installed; pip install 'kaimen[bench]'")
            continue
        about[engine.name] = {"build_seconds": time.perf_counter() - began}
        engines.append(engine)
        if engine.broaden is not None:
            chosen = flat[right][:TUNED], owners[right][:TUNED]
            about[engine.name] |= _tune(engine, recordings, *chosen, recall)
    away = Engine("kaimen, strangers", ask)
    about[away.name] = {}
    taken = _times([(away, strangers), *((engine, flat) for engine in engines)], screen)
    base = float(np.median(taken["numpy scan"]))
    return [
        {
            "part": "search",
            "points": len(points),
            "by": engine.name,
            **percentiles(taken[engine.name]),
            "of_scan": float(np.median(taken[engine.name])) / base,
            **about[engine.name],
        }
        for engine in (*engines, away)
    ]


def _tune(
    engine: Engine, recordings: int, probes: Points, owners: Numbers, recall: float
) -> dict[str, Any]:
    """The least breadth at which the right student is on the shortlist as often as we find them."""
    assert engine.broaden is not None
    for breadth in BREADTHS:
        engine.broaden(breadth)
        there = [
            owner in engine.find(probe) // recordings
            for probe, owner in zip(probes, owners.tolist(), strict=True)
        ]
        if np.mean(there) >= recall:
            break
    return {"breadth": breadth, "recall": float(np.mean(there))}


def _times(asked: Sequence[tuple[Engine, Points]], screen: Screen) -> dict[str, list[float]]:
    """Return seconds of every search; the engines take turns, so that all meet the same machine."""
    taken: dict[str, list[float]] = {engine.name: [] for engine, _ in asked}
    for turn in screen.progress(range(TURNS), "timing searches", TURNS):
        for engine, probes in asked:
            for number in range(turn * TURN, (turn + 1) * TURN):
                probe = probes[number % len(probes)]
                taken[engine.name].append(once(lambda: engine.find(probe)))  # noqa: B023
    return taken
