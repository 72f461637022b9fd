"""Claims: when is a voice another student's, so that the claim is refused?

Two rules: another student scores higher by a margin; or another scores higher, and so high that
the gallery would know the voice as that student's without a claim.

Speakers of the eval split enroll with five takes of a text, and come with their others. Each says
once who they are, and once that they are each of the others. What is chosen here is built into
``kaimen.access.decision``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.voice.encoder import Encoder
from kaimen.voice.score import score_of
from kaimen_train.data.corpus import Row, cut, long_enough, of_split
from kaimen_train.progress import track

CORPORA = ("mandarin20", "arabic40", "commands")
ANY_TEXT = ("commands",)  # too few takes of a word there: any words make a student
ENROLLED = 5  # takes
FMRS = (0.01, 0.05, 0.2)  # of the thresholds; the last as a school of few recordings may get
FPIR = 0.01  # of the threshold from which on somebody is known without a claim
NOBODY, KNOWN = "nobody", "known"  # rules beside the margins
MARGINS = (0.2, 0.1, 0.05, 0.0)
RULES = (NOBODY, *MARGINS, KNOWN)

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Claims:
    """Claims to one gallery, or to several: each of shape (claims,)."""

    score: NDArray[np.float32]  # of the claimed student
    other: NDArray[np.float32]  # the best of all others
    true: NDArray[np.bool_]

    @classmethod
    def of(cls, galleries: Sequence[Mapping[str, Points]]) -> Claims:
        """Return every claim of every probe, of takes by speaker; galleries of one have none."""
        parts = [each for each in map(_claims, galleries) if each is not None]
        return cls(*(np.concatenate(side) for side in zip(*parts, strict=True)))

    def figures(self, fmr: float, rule: str | float) -> dict[str, Any]:
        """Return shares of true claims that are turned away, and of false ones that open."""
        threshold = float(np.quantile(self.score[~self.true], 1 - fmr))
        opens = (self.score >= threshold) & ~self.another(rule)
        return {
            "fmr": fmr,
            "threshold": threshold,
            "rule": rule,
            "fnmr": float(np.mean(~opens[self.true])),
            "false": float(np.mean(opens[~self.true])),
            "true_claims": int(self.true.sum()),
            "false_claims": int((~self.true).sum()),
        }

    def another(self, rule: str | float) -> NDArray[np.bool_]:
        """Return whether the voice is another student's by a rule, or by a margin: (claims,)."""
        if isinstance(rule, float):
            return self.other > self.score + np.float32(rule)
        if rule == NOBODY:
            return np.zeros(len(self.score), np.bool_)
        # Who is left out of a gallery is a stranger to it: a true claim's best other.
        known = np.quantile(self.other[self.true], 1 - FPIR)
        return np.asarray((self.other >= known) & (self.other > self.score), np.bool_)


def _claims(
    takes: Mapping[str, Points],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]] | None:
    students = [name for name, points in takes.items() if len(points) > ENROLLED]
    if len(students) < 2:
        return None
    probes = np.concatenate([takes[name][ENROLLED:] for name in students])
    owners = np.repeat(range(len(students)), [len(takes[name]) - ENROLLED for name in students])
    scored = np.stack([score_of(takes[name][:ENROLLED], probes) for name in students], axis=1)
    first, second = np.sort(scored, axis=1)[:, ::-1][:, :2].T
    other = np.where(scored == first[:, np.newaxis], second[:, np.newaxis], first[:, np.newaxis])
    true = owners[:, np.newaxis] == np.arange(len(students))
    return scored.ravel(), other.ravel(), true.ravel()


def compare(rows: Sequence[Row], folder: Path, encoder: Path) -> list[dict[str, Any]]:
    """Return figures of every rule at every threshold, by corpus."""
    spoken = [row for row in of_split(rows, "eval") if row.corpus in CORPORA]
    loaded = Encoder(encoder)
    clips = cut(spoken, folder / "corpus", speeds=(1.0,))
    every = track(range(len(clips)), "voiceprints")
    points = np.stack([loaded.embed(long_enough(clips[at])) for at in every])
    found = []
    for corpus in CORPORA:
        said: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for at, label in enumerate(clips.labels):
            if label["corpus"] == corpus:
                text = "" if corpus in ANY_TEXT else str(label["text"])
                said[text][str(label["speaker"])].append(at)
        galleries = [{name: points[at] for name, at in by.items()} for by in said.values()]
        claims = Claims.of(galleries)
        students = sum(len(each) > ENROLLED for each in galleries[0].values())
        for fmr in FMRS:
            for rule in RULES:
                figures = claims.figures(fmr, rule)
                found.append({"corpus": corpus, "students": students, **figures})
    return found
