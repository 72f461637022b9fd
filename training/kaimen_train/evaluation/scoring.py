"""How a student's recordings and a probe become one score: rules, held against each other.

Speakers that no training saw enroll with five recordings and come to the gate with others,
drawn many times. What is chosen here is built into ``kaimen.voice.score``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.voice.encoder import Encoder
from kaimen.voice.score import RULE, score_of
from kaimen_train.data.corpus import Row, cut, long_enough, of_split
from kaimen_train.data.speakers import HELD_OUT, held_out
from kaimen_train.evaluation.metrics import equal_error_rate
from kaimen_train.progress import track

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
    found |= {"mean": best(ENROLLED), "centroid": centroid, RULE: score_of}
    found["centroid, normalized"] = normalized(centroid, cohort)
    found[f"{RULE}, normalized"] = normalized(score_of, cohort)
    return found


def compare(rows: Sequence[Row], folder: Path, encoder: Path) -> dict[str, dict[str, float]]:
    """EER of each rule by corpus, on the speakers held out of training."""
    spoken = [row for row in of_split(rows, "train") if row.speaker and row.corpus in HELD_OUT]
    kept_back = held_out(spoken)
    loaded = Encoder(encoder)
    random = np.random.default_rng(0)

    def embed(chosen: Sequence[Row], doing: str) -> tuple[Points, list[dict[str, Any]]]:
        clips = cut(chosen, folder / "corpus", speeds=(1.0,))
        every = track(range(len(clips)), doing, len(clips))
        return np.stack([loaded.embed(long_enough(clips[i])) for i in every]), clips.labels

    others = [row for row in spoken if (row.corpus, row.speaker) not in kept_back]
    drawn = random.choice(len(others), min(COHORT, len(others)), replace=False)
    cohort, _ = embed([others[at] for at in drawn], "cohort")
    apart = [row for row in spoken if (row.corpus, row.speaker) in kept_back]
    points, labels = embed(apart, "held out")
    every = rules(cohort)
    found: dict[str, dict[str, float]] = {name: {} for name in every}
    for corpus in HELD_OUT:
        takes: dict[Any, dict[Any, list[int]]] = defaultdict(lambda: defaultdict(list))
        for at, label in enumerate(labels):
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
    own: list[NDArray[np.float32]] = []
    strangers: list[NDArray[np.float32]] = []
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
