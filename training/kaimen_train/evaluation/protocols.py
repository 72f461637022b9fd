"""The trials every figure is measured on; ``docs/figures/protocols.md`` describes them in words.

All trials stay within a corpus. ``Points`` hold what an encoder made of the recordings, so
any encoder, a peer's too, is measured on the same trials.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice.score import score_of
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation.metrics import (
    equal_error_rate,
    equal_error_threshold,
    interval,
    interval_of_equal_error_rate,
    minimum_cost,
    misses_at,
    threshold_at,
)

Points = NDArray[np.float32]  # (n, dimension), unit-length rows
Embed = Callable[[Sequence[Samples]], Points]
Name = tuple[str, str, int]  # of a joined phrase: text, speaker, take

PAIRED = ("mandarin20", "arabic40", "commands")  # corpora of the pair protocol
PHRASES = (("语音", "识别"), ("中国", "上海"), ("北京", "饭店"), ("数字", "语言"))
NEAR_ALIKE = (("北京", "背景"), ("上海", "商行"), ("中国", "总工"), ("复旦", "饭店"))
PAUSE = 0.05  # seconds between the two words of a phrase
ENROLLED = range(1, 6)  # takes that enroll
PROBES = {"mandarin20": range(6, 9), "arabic40": range(6, 7)}  # takes that come to the gate
FPIRS = (0.01, 0.05)
ROUNDS = 1_000  # of the bootstrap
DET = np.geomspace(0.001, 0.5, 41)  # shares of strangers let in at which a curve is drawn


@dataclass(frozen=True)
class TextTakes:
    """Takes of one text by all speakers of a corpus: speaker -> take -> point."""

    text: str
    takes: dict[str, dict[int, NDArray[np.float32]]] = field(default_factory=dict)

    def enrolled(self, speaker: str) -> Points:
        """Return the points that enroll a speaker."""
        takes = self.takes[speaker]
        return np.stack([takes[take] for take in ENROLLED if take in takes])

    def probes(self, speaker: str, numbers: Iterable[int]) -> Points:
        """Return the points with which a speaker comes to the gate."""
        takes = self.takes[speaker]
        return np.stack([takes[take] for take in numbers if take in takes])


def by_text(rows: Sequence[Row], points: Points) -> list[TextTakes]:
    """Return recordings of one corpus, by text."""
    names = [(row.text, row.speaker, row.take) for row in rows]
    return sorted(by_phrase(names, points), key=lambda said: said.text)


def joined(rows: Sequence[Row], sounds: Sequence[Samples]) -> tuple[list[Name], list[Samples]]:
    """Return phrases of two words by one speaker in one take: their names, and how they sound."""
    words = {
        (row.text, row.speaker, row.take): sound for row, sound in zip(rows, sounds, strict=True)
    }
    names, phrases = [], []
    for first, second in PHRASES:
        for text, speaker, take in sorted(words):
            if text == first and (second, speaker, take) in words:
                one, other = (words[word, speaker, take] for word in (first, second))
                names.append((first + second, speaker, take))
                phrases.append(one_phrase(one, other))
    return names, phrases


def one_phrase(*words: Samples) -> Samples:
    """Return words with a short pause between them."""
    pause = np.zeros(round(PAUSE * SAMPLE_RATE), np.float32)
    return np.concatenate([piece for word in words for piece in (pause, word)][1:])


def by_phrase(names: Sequence[Name], points: Points) -> list[TextTakes]:
    """Joined phrases, embedded, by text."""
    texts: dict[str, TextTakes] = {}
    for (text, speaker, take), point in zip(names, points, strict=True):
        texts.setdefault(text, TextTakes(text)).takes.setdefault(speaker, {})[take] = point
    return list(texts.values())


def pairs(rows: Sequence[Row], points: Points, others: Points | None = None) -> VoiceTrials:
    """Return all pairs of recordings of the same text.

    With ``others``, the same recordings under another condition, each pair is tried twice:
    one of the two as it is, the other under the condition.
    """
    found = VoiceTrials()
    numbers = {name: n for n, name in enumerate(sorted({row.speaker for row in rows}))}
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[row.text].append(index)
    for indices in groups.values():
        cosines = points[indices] @ (points if others is None else others)[indices].T
        who = np.array([numbers[rows[index].speaker] for index in indices])
        first, second = np.triu_indices(len(indices), 1)
        found.add(cosines[first, second], who[first], who[second])
        if others is not None:
            found.add(cosines[second, first], who[first], who[second])
    return found


def verifications(
    texts: Sequence[TextTakes], numbers: Iterable[int], others: Sequence[TextTakes] | None = None
) -> VoiceTrials:
    """Return every probe against every enrolled speaker of the same text.

    With ``others``, the same texts under another condition, the probes are those.
    """
    found = VoiceTrials()
    numbers = list(numbers)
    for said, probed in zip(texts, others or texts, strict=True):
        order = {name: number for number, name in enumerate(sorted(said.takes))}
        for student, speaker in product(order, order):
            scored = score_of(said.enrolled(student), probed.probes(speaker, numbers))
            sides = (np.full(len(scored), order[name]) for name in (student, speaker))
            found.add(scored, *sides)
    return found


@dataclass
class VoiceTrials:
    """Scores of trials, and the numbers of the speakers on both sides."""

    _scores: list[NDArray[np.float32]] = field(default_factory=list)
    _first: list[NDArray[np.int_]] = field(default_factory=list)
    _second: list[NDArray[np.int_]] = field(default_factory=list)

    def add(
        self, scored: NDArray[np.float32], first: NDArray[np.int_], second: NDArray[np.int_]
    ) -> None:
        """Further trials, each argument of shape (trials,)."""
        self._scores.append(scored)
        self._first.append(first)
        self._second.append(second)

    @property
    def scores(self) -> NDArray[np.float32]:
        """Return all scores, (trials,)."""
        return np.concatenate(self._scores)

    @property
    def same(self) -> NDArray[np.bool_]:
        """Return whether a speaker met themself, (trials,)."""
        first, second = self.sides
        return np.asarray(first == second, np.bool_)

    @property
    def targets(self) -> NDArray[np.float32]:
        """Return scores of speakers who met themselves."""
        return self.scores[self.same]

    @property
    def strangers(self) -> NDArray[np.float32]:
        """Return scores of speakers who met others."""
        return self.scores[~self.same]

    @property
    def eer(self) -> float:
        """Return the equal error rate."""
        return equal_error_rate(self.targets, self.strangers)

    @property
    def both_kinds(self) -> bool:
        """Return whether there are trials of speakers with themselves, and of others."""
        return bool(self._scores) and bool(self.same.any()) and not self.same.all()

    @property
    def sides(self) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
        """Return numbers of the speakers on both sides, each (trials,)."""
        return np.concatenate(self._first), np.concatenate(self._second)

    def errors(self) -> dict[str, Any]:
        """Return EER with its interval, minDCF, and the DET curve."""
        targets, strangers = self.targets, self.strangers
        return {
            "eer": self.eer,
            "interval": interval_of_equal_error_rate(self.scores, *self.sides),
            "min_dcf": minimum_cost(targets, strangers),
            "targets": len(targets),
            "strangers": len(strangers),
            "det": misses_at(targets, strangers, DET).tolist(),
        }

    def flipped(self, exact: VoiceTrials) -> float:
        """Share of the trials that end otherwise than ``exact`` at the threshold of its EER."""
        threshold = equal_error_threshold(exact.targets, exact.strangers)
        return float(np.mean((self.scores >= threshold) != (exact.scores >= threshold)))


@dataclass(frozen=True)
class OpenSet:
    """Scores at a gate that must tell who it is, by the speaker who stood there."""

    strangers: dict[str, NDArray[np.float32]]  # best score over a gallery without them
    students: dict[str, NDArray[np.float32]]  # own score; -inf where somebody else is nearer

    def fnir(self, fpir: float, speakers: Sequence[str] | None = None) -> tuple[float, float]:
        """(FNIR, threshold) at which ``fpir`` of the strangers are let in."""
        names = list(self.strangers) if speakers is None else speakers
        strangers = np.concatenate([self.strangers[name] for name in names])
        students = np.concatenate([self.students[name] for name in names])
        threshold = threshold_at(strangers, fpir)
        return float(np.mean(students < threshold)), threshold

    def interval(self, fpir: float, seed: int = 0) -> tuple[float, float]:
        """Return 95 % interval of the FNIR by bootstrap over speakers."""
        random = np.random.default_rng(seed)
        names = list(self.strangers)
        drawn = [
            self.fnir(fpir, random.choice(names, len(names)).tolist())[0] for _ in range(ROUNDS)
        ]
        return interval(drawn)


def open_set(texts: Sequence[TextTakes], numbers: Iterable[int]) -> OpenSet:
    """One speaker at a time is a stranger to a gallery of all the others saying the same."""
    numbers = list(numbers)
    strangers: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    students: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for said in texts:
        speakers = sorted(said.takes)
        # table[s][p] are the scores of speaker p's probes against speaker s.
        table = {
            student: {
                speaker: score_of(said.enrolled(student), said.probes(speaker, numbers))
                for speaker in speakers
            }
            for student in speakers
        }
        for stranger in speakers:
            gallery = [name for name in speakers if name != stranger]
            strangers[stranger].append(np.max([table[s][stranger] for s in gallery], axis=0))
            for student in gallery:
                rivals = [table[s][student] for s in gallery if s != student]
                own = table[student][student]
                known = own >= np.max(rivals, axis=0) if rivals else np.full(len(own), True)
                students[student].append(np.where(known, own, -np.inf))
    return OpenSet(_joined(strangers), _joined(students))


def _joined(pieces: Mapping[str, list[NDArray[np.float32]]]) -> dict[str, NDArray[np.float32]]:
    return {name: np.concatenate(each) for name, each in pieces.items()}


def wrong_phrase(texts: Sequence[TextTakes], threshold: float) -> dict[str, float]:
    """Share of an enrolled speaker's probes of another text that open, over all and near-alike.

    Without another text, or without a near-alike pair among them, there is no such figure.
    """
    near = {frozenset(pair) for pair in NEAR_ALIKE}
    opened: list[NDArray[np.bool_]] = []
    opened_near: list[NDArray[np.bool_]] = []
    for enrolled, other in permutations(texts, 2):
        for speaker in set(enrolled.takes) & set(other.takes):
            probes = other.probes(speaker, PROBES["mandarin20"])
            opens = score_of(enrolled.enrolled(speaker), probes) >= threshold
            opened.append(opens)
            if frozenset((enrolled.text, other.text)) in near:
                opened_near.append(opens)
    found: dict[str, float] = {}
    for end, kind in (("", opened), ("_near_alike", opened_near)):
        if kind:
            found[f"opened{end}"] = float(np.mean(np.concatenate(kind)))
            found[f"trials{end}"] = sum(map(len, kind))
    return found
