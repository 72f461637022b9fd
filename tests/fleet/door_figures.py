"""Measures what a door gains whose threshold is for those who may enter at it.

``python -m tests.fleet.door_figures``: a simulated school of 20,000 (the population that comes with
Kaimen), calibrated as ``kaimen calibrate`` does at doors whose rosters have fewer.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np

from kaimen.bench.synthetic import load
from kaimen.calibration.calibration import FPIR, Calibration
from kaimen.calibration.learning import calibrate_points
from kaimen.calibration.leave_one_out import leave_one_out
from kaimen.calibration.roster_calibration import RosterSets
from kaimen.settings.encoder import ENCODERS
from kaimen.settings.roster import Rule
from kaimen.voice.encoder import Card
from kaimen.voice.score import centroids_of, scores

TAKES = 3
STRANGERS = 20_000
BLOCK = 500


def main() -> None:
    """Measure doors of several sizes, and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=20_000)
    parser.add_argument("--doors", type=int, nargs="+", default=[100, 800, 3_000])
    given = parser.parse_args()
    population, card = load(), Card.read(ENCODERS["large"].with_suffix(".json"))
    points = population.draw(given.students, TAKES, 0).reshape(-1, card.dimension)
    counts = np.full(given.students, TAKES)
    fresh = population.draw(STRANGERS, 1, 1)[:, 0]
    # The groups of a smaller door are part of the larger one's.
    sizes = sorted(given.doors)
    groups = [str(sum(number >= size for size in sizes)) for number in range(given.students)]
    rosters = [[str(each) for each in range(place + 1)] for place in range(len(sizes))]
    sets = [RosterSets.of([Rule(tuple(each))], groups) for each in rosters]
    left_out = leave_one_out(points, counts, at_once=[each.students[0] for each in sets])
    found: dict[str, Any] = {}
    for place, each in enumerate(sets):
        began = time.perf_counter()
        who = each.students[0]
        of_set = replace(left_out, at_once=left_out.at_once[:, [place]])
        learned = calibrate_points(points, counts, "", card, FPIR, left_out=of_set, sets=each)
        assert learned.roster is not None
        found[f"{sizes[place]} of {given.students}"] = {
            **of_door(learned, who, points[np.repeat(who, TAKES)], fresh),
            **of_others(learned, left_out.own, left_out.strangers, left_out.at_once[:, place], who),
            "seconds": round(time.perf_counter() - began, 1),
        }
    print(json.dumps(found, indent=1))


def of_door(
    learned: Calibration, who: np.ndarray, points: np.ndarray, fresh: np.ndarray
) -> dict[str, float]:
    """What is calibrated, and what fresh strangers do at the door of these points."""
    door = learned.roster
    assert door is not None
    starts = np.arange(0, len(points), TAKES)
    centroids = centroids_of(points, starts)
    best = np.concatenate(
        [
            scores(block @ points.T, starts, block @ centroids.T).max(axis=1)
            for block in np.array_split(fresh, len(fresh) // BLOCK)
        ]
    )
    return {
        "threshold for all": round(learned.threshold, 3),
        "threshold at the door": round(door.threshold, 3),
        "fresh strangers let in, threshold for all": round(
            float((best >= learned.threshold).mean()), 5
        ),
        "fresh strangers let in": round(float((best >= door.threshold).mean()), 5),
    }


def of_others(
    learned: Calibration,
    own: np.ndarray,
    strangers: np.ndarray,
    at_once: np.ndarray,
    who: np.ndarray,
) -> dict[str, float]:
    """What becomes of the school's own students at the door, on and off its roster."""
    door = learned.roster
    assert door is not None
    may = np.repeat(who, TAKES)
    opens = own[may] >= door.threshold
    others = at_once[~may] >= door.threshold
    return {
        "FNIR, threshold for all": round(float((own[may] < learned.threshold).mean()), 4),
        "FNIR": round(float(1 - opens.mean()), 4),
        "FNIR, nearest of all": round(
            float(1 - (opens & (np.maximum(own, at_once) >= strangers)[may]).mean()), 4
        ),
        "off the roster let in": round(float(others.mean()), 5),
        "off the roster let in, nearest of all": round(
            float((others & (at_once >= np.maximum(own, strangers))[~may]).mean()), 5
        ),
    }


if __name__ == "__main__":
    main()
