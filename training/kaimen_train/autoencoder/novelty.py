"""Is this speech as usual? Scores of the autoencoder beside what the gate has already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.acoustics.devices import KINDS, gates
from kaimen.sound import Samples
from kaimen.sound.quality import VOICED, clipped_share, voiced_seconds
from kaimen.voice import features
from kaimen.voice.features import Features
from kaimen.voice.loudspeaker import LoudspeakerDetector
from kaimen_train.autoencoder.fit import FLAT, Autoencoder
from kaimen_train.autoencoder.pca import Components
from kaimen_train.data import out_of_distribution
from kaimen_train.data.corpus import long_enough
from kaimen_train.evaluation.evaluate import EvalSpeech
from kaimen_train.evaluation.metrics import auc, threshold_at

ALARMS = 0.01  # share of usual speech that a score may find unusual
OF_A_CORPUS = 200  # recordings on which it is measured
GATES = 6  # with a usual room each
VISITS = 60  # by each half of the voices to each gate
SPEECH, LIVE = "speech", "live"  # kinds that are usual: as recorded, and at simulated gates
SHRUNK = 0.1  # of a covariance, towards a round one

Figures = dict[str, Any]
Scores = dict[str, NDArray[np.float64]]  # by score, the higher the less usual


def novelty(
    autoencoder: Autoencoder, components: Components, heard: EvalSpeech, noise: Sequence[Samples]
) -> Figures:
    """Return AUC and the share found at ALARMS, by kind of sound and score.

    Against speech as it was recorded, and against speech said at simulated gates.
    """
    scored: dict[str, list[dict[str, float]]] = defaultdict(list)
    detector = LoudspeakerDetector()
    speech = [each for _, _, each in some(heard)]
    for kind, phrase in out_of_distribution.kinds(speech, noise):
        scored[kind].append(scores_of(autoencoder, components, detector, phrase))
    scores = {kind: _columns(each) for kind, each in scored.items()}
    found: Figures = {
        usual: {kind: compared(scores[usual], own) for kind, own in scores.items() if kind != usual}
        for usual in (SPEECH, LIVE)
    }
    # Replays come out of a room: against recordings it would be the room that is found.
    found[SPEECH] = {kind: each for kind, each in found[SPEECH].items() if kind not in KINDS}
    found[LIVE].pop(SPEECH)
    refused = {kind: float(np.mean(own["voice"] > -VOICED)) for kind, own in scores.items()}
    return {**found, "no_voice": refused, "of": {SPEECH: len(speech), LIVE: len(scored[LIVE])}}


def scores_of(
    autoencoder: Autoencoder,
    components: Components,
    detector: LoudspeakerDetector,
    phrase: Samples,
) -> dict[str, float]:
    """Return the autoencoder's scores of a phrase, PCA's, and those that the gate already has."""
    heard = features_of(phrase)
    windows = autoencoder.windows(heard)
    _, left = components.errors(windows)
    return {
        **autoencoder.novelty(heard)._asdict(),
        "pca": left / max(float(windows.var()), FLAT),
        "voice": -voiced_seconds(phrase),
        "clipping": clipped_share(phrase),
        "loudspeaker": detector.suspect(heard).score,
    }


def compared(usual: Scores, unusual: Scores) -> Figures:
    """For each score the area under the curve, and what is found at ALARMS; and of how many."""
    found: Figures = {"of": len(next(iter(unusual.values())))}
    for name, own in unusual.items():
        threshold = threshold_at(usual[name], ALARMS)
        found[name] = {"auc": auc(own, usual[name]), "found": float(np.mean(own >= threshold))}
    return found


def rooms(autoencoder: Autoencoder, heard: EvalSpeech) -> Figures:
    """Tell whether another room than the usual one is heard, both simulated.

    For each of several gates one half of the voices gives what is usual there; the other half
    comes to this gate and to others. Distances are Mahalanobis's from the usual points, and, to
    compare with, from the usual mean spectra.
    """
    random = np.random.default_rng(0)
    chosen = list(some(heard))
    voices = sorted({(corpus, speaker) for corpus, speaker, _ in chosen})
    random.shuffle(voices)
    known = set(map(tuple, voices[::2]))
    halves = [
        [each for corpus, speaker, each in chosen if ((corpus, speaker) in known) == own]
        for own in (True, False)
    ]
    places = gates(random, GATES + 1, out_of_distribution.FAMILY)
    usual: list[dict[str, float]] = []
    other: list[dict[str, float]] = []

    def visits(half: Sequence[Samples], number: int) -> Iterator[Features]:
        for index in random.choice(len(half), min(VISITS, len(half)), replace=False):
            sound = out_of_distribution.at(places[number], half[index], random)
            yield from (
                features_of(phrase) for _, phrase in out_of_distribution.cut("visit", sound)
            )

    for number in range(GATES):
        enrolled = list(visits(halves[0], number))
        by_point = Usual.of(np.stack([autoencoder.embed_features(each) for each in enrolled]))
        by_spectrum = Usual.of(np.stack([_spectrum(each) for each in enrolled]))
        for scored, at in ((usual, number), (other, number + 1)):
            for each in visits(halves[1], at):
                scores = autoencoder.novelty(each)._asdict()
                scores["point"] = by_point.distance(autoencoder.embed_features(each))
                scores["spectrum"] = by_spectrum.distance(_spectrum(each))
                scored.append(scores)
    return compared(_columns(usual), _columns(other))


@dataclass(frozen=True)
class Usual:
    """A normal distribution of what is usual."""

    mean: NDArray[np.float64]
    inverse: NDArray[np.float64]  # of the covariance

    @classmethod
    def of(cls, points: NDArray[np.float32]) -> Usual:
        """Fitted to points (n, d), the covariance shrunk towards a round one."""
        covariance = np.cov(points.astype(np.float64), rowvar=False)
        round_one = np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
        mixed = (1 - SHRUNK) * covariance + SHRUNK * round_one
        return cls(points.mean(axis=0, dtype=np.float64), np.linalg.inv(mixed))

    def distance(self, point: NDArray[np.float32]) -> float:
        """Mahalanobis's distance, squared."""
        away = point - self.mean
        return float(away @ self.inverse @ away)


def some(heard: EvalSpeech, seed: int = 0) -> Iterator[tuple[str, str, Samples]]:
    """(corpus, speaker, sound): all joined phrases, and some recordings of each corpus."""
    random = np.random.default_rng(seed)
    for (_, speaker, _), phrase in zip(heard.names, heard.phrases, strict=True):
        yield "mandarin20", speaker, phrase
    for corpus, sounds in heard.speech.items():
        count = min(OF_A_CORPUS, len(sounds))
        for index in random.choice(len(sounds), count, replace=False):
            yield corpus, heard.rows[corpus][index].speaker, sounds[index]


def features_of(samples: Samples) -> Features:
    """Return log-mel features of a phrase, however short."""
    return features.log_mel(long_enough(samples))


def _spectrum(heard: Features) -> Features:
    return np.asarray(features.level_free(heard).mean(axis=0), np.float32)


def _columns(scored: Sequence[Mapping[str, float]]) -> Scores:
    return {name: np.array([each[name] for each in scored]) for name in scored[0]}
