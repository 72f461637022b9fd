"""How a student's recordings and a probe become one score: rules, held against each other.

Speakers that no training saw enroll with five recordings and come to the gate with others,
drawn many times. What is chosen here is built into ``edge.decision``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.voice.encoder import Encoder
from training.corpus import NOISE, Row, cut, of_split
from training.export import long_enough
from training.fit import HELD_OUT, held_out
from training.metrics import equal_error_rate
from training.progress import track

ENROLLED = 5  # recordings of a student
DRAWS = 20  # of who enrolls with what
COHORT = 400  # voiceprints of training speakers that scores are normalized by
FEW_TAKES = ("commands",)  # of a word: there, any words of a speaker make a student
NEAREST = 50  # of them, for a score's own normalization

Points = NDArray[np.float32]
Rule = Callable[[Points, Points], NDArray[np.float32]]  # enrolled, probes: (probes,)


def best(count: int) -> Rule:
    """The mean of the ``count`` highest cosines."""
    return lambda enrolled, probes: np.sort(probes @ enrolled.T, axis=1)[:, -count:].mean(axis=1)


def centroid(enrolled: Points, probes: Points) -> NDArray[np.float32]:
    """The cosine to the mean voiceprint."""
    mean = enrolled.mean(axis=0)
    found: NDArray[np.float32] = probes @ (mean / np.linalg.norm(mean))
    return found


def mixed(enrolled: Points, probes: Points) -> NDArray[np.float32]:
    """Half the best cosine, half the cosine to the mean voiceprint."""
    return (best(1)(enrolled, probes) + centroid(enrolled, probes)) / 2


def normalized(rule: Rule, cohort: Points) -> Rule:
    """Adaptive symmetric normalization by the nearest voiceprints of a cohort.

    P. Matejka et al., "Analysis of score normalization in multilingual speaker recognition",
    Interspeech 2017.
    """

    def score(enrolled: Points, probes: Points) -> NDArray[np.float32]:
        scored = rule(enrolled, probes)
        mean = enrolled.mean(axis=0)
        sides = (probes @ cohort.T, (mean / np.linalg.norm(mean))[np.newaxis] @ cohort.T)
        found = np.zeros_like(scored)
        for cosines in sides:
            nearest = np.sort(cosines, axis=1)[:, -NEAREST:]
            found += (scored - nearest.mean(axis=1)) / nearest.std(axis=1)
        return found / 2

    return score


def rules(cohort: Points) -> dict[str, Rule]:
    """All rules by name."""
    found: dict[str, Rule] = {"best": best(1)}
    found |= {f"mean of best {count}": best(count) for count in range(2, ENROLLED)}
    found |= {"mean": best(ENROLLED), "centroid": centroid, "best and centroid": mixed}
    found["mean of best 3, normalized"] = normalized(best(3), cohort)
    found["centroid, normalized"] = normalized(centroid, cohort)
    return found


def compare(rows: Sequence[Row], folder: Path, encoder: Path) -> dict[str, dict[str, float]]:
    """EER of each rule by corpus, on the speakers held out of training."""
    train = [row for row in of_split(rows, "train") if row.corpus != NOISE]
    clips = cut(train, folder / "corpus")
    kept_back = held_out(list(train))
    loaded = Encoder(encoder)
    random = np.random.default_rng(0)

    def embed(indices: Sequence[int], doing: str) -> Points:
        made = (loaded.embed(long_enough(clips[i])) for i in track(indices, doing, len(indices)))
        return np.stack(list(made))

    spoken = [
        (index, label)
        for index, label in enumerate(clips.labels)
        if label["speed"] == 1 and label["speaker"] and label["corpus"] in HELD_OUT
    ]
    apart = [each for each in spoken if (each[1]["corpus"], each[1]["speaker"]) in kept_back]
    others = [
        index for index, label in spoken if (label["corpus"], label["speaker"]) not in kept_back
    ]
    cohort = embed(list(random.choice(others, min(COHORT, len(others)), replace=False)), "cohort")
    points = embed([index for index, _ in apart], "held out")
    every = rules(cohort)
    found: dict[str, dict[str, float]] = {name: {} for name in every}
    for corpus in HELD_OUT:
        takes: dict[Any, dict[Any, list[int]]] = defaultdict(lambda: defaultdict(list))
        for at, (_, label) in enumerate(apart):
            if label["corpus"] == corpus:
                text = "any" if corpus in FEW_TAKES else label["text"]
                takes[text][label["speaker"]].append(at)
        for name, rule in every.items():
            errors = error(rule, points, list(takes.values()))
            if errors is not None:
                found[name][corpus] = errors
    return found


def error(rule: Rule, points: Points, texts: Sequence[dict[Any, list[int]]]) -> float | None:
    """EER where speakers of one text enroll with ENROLLED of their takes; None without any."""
    own: list[NDArray] = []
    strangers: list[NDArray] = []
    for said in texts:
        random = np.random.default_rng(0)
        for _ in range(DRAWS):
            for student, takes in said.items():
                if len(takes) <= ENROLLED:
                    continue
                drawn = random.permutation(takes)
                enrolled = points[drawn[:ENROLLED]]
                own.append(rule(enrolled, points[drawn[ENROLLED:]]))
                for stranger, others in said.items():
                    if stranger != student:
                        strangers.append(rule(enrolled, points[others]))
    if not own or not strangers:
        return None
    return equal_error_rate(np.concatenate(own), np.concatenate(strangers))
