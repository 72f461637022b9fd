"""The wrong-phrase protocol (``docs/figures/protocols.md``): a student says something else.

The gate learns from its school how alike two takes of the passphrase are. So each figure is given
at three thresholds: one that MISSED of the right phrases here miss, the card's, and one learned
from the recordings that enroll, text by text, as ``kaimen.calibration.phrase_threshold`` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.phrase_threshold import LOOSER, OTHER_WORDS, in_common
from kaimen.sound import Samples
from kaimen.voice import features
from kaimen.voice.encoder import Encoder
from kaimen.voice.phrase import PhraseEmbedding, PhraseEncoder, phrase_score
from kaimen_train.data.corpus import Row, of_split, speech_of
from kaimen_train.encoder import speed
from kaimen_train.evaluation.metrics import interval
from kaimen_train.evaluation.protocols import (
    ENROLLED,
    NEAR_ALIKE,
    PHRASES,
    PROBES,
    ROUNDS,
    one_phrase,
)
from kaimen_train.progress import track

MISSED = 0.02  # share of right phrases that may be taken for wrong ones
TIMED = 200  # times that each is asked

Key = tuple[str, str, int]  # text, speaker, take
Enrolled = Mapping[str, Sequence[PhraseEmbedding]]  # takes by speaker
Least = Callable[[Enrolled], float]  # a threshold


@dataclass(frozen=True)
class PhraseTrials:
    """Scores against the speaker's own phrase, by speaker; and of which kind the wrong ones are."""

    right: dict[str, list[float]]
    wrong: dict[str, dict[str, list[float]]]  # kind, speaker

    def at(self, threshold: float, speakers: Sequence[str] | None = None) -> dict[str, float]:
        """Return shares of right phrases missed, and of each kind of wrong ones accepted."""
        who = list(self.right) if speakers is None else speakers
        shares = {"missed": float(np.mean(self._of(self.right, who) < threshold))}
        for kind, scores in self.wrong.items():
            shares[kind] = float(np.mean(self._of(scores, who) >= threshold))
        return shares

    def threshold(self, speakers: Sequence[str] | None = None) -> float:
        """Return which MISSED of the right phrases miss."""
        who = list(self.right) if speakers is None else speakers
        return float(np.quantile(self._of(self.right, who), MISSED, method="lower"))

    def figures(self, others: Mapping[str, Mapping[str, float]], seed: int = 0) -> dict[str, Any]:
        """At the threshold that MISSED miss, with 95 % intervals by bootstrap over speakers.

        ``others`` are shares at other thresholds, to be set beside these, by name.
        """
        random = np.random.default_rng(seed)
        names = list(self.right)
        drawn: dict[str, list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            some = list(random.choice(names, len(names)))
            for kind, share in self.at(self.threshold(some), some).items():
                drawn[kind].append(share)
        threshold = self.threshold()
        found: dict[str, Any] = {"threshold": threshold, "right": len(self._of(self.right, names))}
        for kind, share in self.at(threshold).items():
            of_kind = self.right if kind == "missed" else self.wrong[kind]
            found[kind] = {
                "share": share,
                "interval": list(interval(drawn[kind])),
                "trials": len(self._of(of_kind, names)),
                **{name: shares[kind] for name, shares in others.items()},
            }
        return found

    @staticmethod
    def _of(scores: Mapping[str, list[float]], speakers: Sequence[str]) -> NDArray[np.float64]:
        return np.array([score for name in speakers for score in scores.get(name, [])])


def evaluate(rows: Sequence[Row], encoder: PhraseEncoder) -> dict[str, Any]:
    """Return all figures on the eval split: words of two corpora, and joined phrases."""
    rows = of_split(rows, "eval")
    found: dict[str, Any] = {}
    for corpus, probes in PROBES.items():
        some = [row for row in rows if row.corpus == corpus]
        sounds = {
            (row.text, row.speaker, row.take): speech_of(row.file)
            for row in track(some, f"hearing {corpus}")
        }
        said = {key: encoder.embed(sound) for key, sound in sounds.items()}
        texts = sorted({text for text, _, _ in said})
        tried = {corpus: partial(_words, said, texts, probes)}
        if corpus == "mandarin20":
            tried["joined"] = partial(_halves, _joins(sounds, texts, encoder.embed), probes)
        for name, trials in tried.items():
            made = trials()
            if made.right:
                card = encoder.card.threshold
                of_school = partial(learned, card=card)
                others = {"at_card": made.at(card), "at_school": trials(least=of_school).at(0.0)}
                found[name] = made.figures(others)
    return found


def cost(encoder: PhraseEncoder, voice: Encoder) -> float:
    """What the check adds to the time from 1.5 s of sound to a voiceprint, as a share of it."""
    heard = features.log_mel(speed.sound())
    work = {
        "voice": partial(voice.embed, speed.sound()),
        "phrase": partial(encoder.embed_features, heard),
    }
    taken = speed.in_turns(work, TIMED)
    return taken["phrase"] / taken["voice"]


def learned(enrolled: Enrolled, card: float) -> float:
    """Return the threshold that a school learns whose students all say one text."""
    school = in_common(enrolled.values())
    own = [
        phrase_score(each, [*takes[:place], *takes[place + 1 :]], school)
        for takes in enrolled.values()
        for place, each in enumerate(takes)
    ]
    return max(float(np.quantile(own, OTHER_WORDS)), card - LOOSER)


def _words(
    said: Mapping[Key, PhraseEmbedding],
    texts: Sequence[str],
    probes: range,
    least: Least | None = None,
) -> PhraseTrials:
    """Return every word enrolled, every word said; scores above the ``least`` of their text."""
    near = {frozenset(pair) for pair in NEAR_ALIKE}
    right: dict[str, list[float]] = defaultdict(list)
    wrong: dict[str, list[float]] = defaultdict(list)
    alike: dict[str, list[float]] = defaultdict(list)
    for text in texts:
        everybody = _enrolled(said, text)
        threshold = least(everybody) if least and everybody else 0.0
        school = in_common(everybody.values())
        for speaker, enrolled in everybody.items():
            for other in texts:
                for take in probes:
                    if (other, speaker, take) not in said:
                        continue
                    probe = said[other, speaker, take]
                    score = phrase_score(probe, enrolled, school) - threshold
                    (right if other == text else wrong)[speaker].append(score)
                    if frozenset((text, other)) in near:
                        alike[speaker].append(score)
    kinds = {"wrong": dict(wrong)}
    if alike:
        kinds["near alike"] = dict(alike)
    return PhraseTrials(dict(right), kinds)


def _joins(
    sounds: Mapping[Key, Samples], texts: Sequence[str], embed: Callable[[Samples], PhraseEmbedding]
) -> dict[tuple[str, str], dict[Key, PhraseEmbedding]]:
    """By pair of words, everybody's takes of the joined phrases and of those that share a half."""
    pairs = set(PHRASES)
    for first, second in PHRASES:
        pairs |= {(first, other) for other in texts} | {(other, second) for other in texts}
    made: dict[tuple[str, str], dict[Key, PhraseEmbedding]] = {}
    for first, second in track(sorted(pairs), "joining"):
        for text, speaker, take in sounds:
            if text != first or (second, speaker, take) not in sounds:
                continue
            if (first, second) not in PHRASES and take in ENROLLED:
                continue
            whole = one_phrase(sounds[first, speaker, take], sounds[second, speaker, take])
            made.setdefault((first, second), {})[first + second, speaker, take] = embed(whole)
    return made


def _halves(
    made: Mapping[tuple[str, str], Mapping[Key, PhraseEmbedding]],
    probes: range,
    least: Least | None = None,
) -> PhraseTrials:
    """Return every phrase enrolled, every join that shares its first or its last half said."""
    right: dict[str, list[float]] = defaultdict(list)
    half: dict[str, list[float]] = defaultdict(list)
    for phrase in PHRASES:
        everybody = _enrolled(made.get(phrase, {}), "".join(phrase))
        threshold = least(everybody) if least and everybody else 0.0
        school = in_common(everybody.values())
        for speaker, enrolled in everybody.items():
            for pair, takes in made.items():
                if pair[0] != phrase[0] and pair[1] != phrase[1]:
                    continue
                for take in probes:
                    if ("".join(pair), speaker, take) in takes:
                        other = takes["".join(pair), speaker, take]
                        score = phrase_score(other, enrolled, school) - threshold
                        (right if pair == phrase else half)[speaker].append(score)
    return PhraseTrials(dict(right), {"half right": dict(half)})


def _enrolled(said: Mapping[Key, PhraseEmbedding], text: str) -> dict[str, list[PhraseEmbedding]]:
    """Return the takes of a text that enroll each speaker, where there are enough of them."""
    found: dict[str, list[PhraseEmbedding]] = defaultdict(list)
    for (each, speaker, take), point in said.items():
        if each == text and take in ENROLLED:
            found[speaker].append(point)
    return {speaker: takes for speaker, takes in found.items() if len(takes) > 1}
