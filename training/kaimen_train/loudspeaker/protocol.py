"""What a detector of loudspeakers is measured by: errors on phrases said and replayed.

Terms are those of ISO/IEC 30107-3: APCER, the share of replays that pass; BPCER, the share of live
phrases that count as replays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kaimen.acoustics.devices import KINDS
from kaimen.errors import EncoderError
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from kaimen.voice.loudspeaker import Limits, LoudspeakerDetector
from kaimen_train import cards
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation.metrics import equal_error_rate, interval
from kaimen_train.loudspeaker.dataset import EVERY, LIVE, PLAIN, ReplayPhrases
from kaimen_train.loudspeaker.replays import unseen
from kaimen_train.progress import track

ROUNDS = 1_000  # of the bootstrap

Figures = dict[str, Any]


class Scored(Protocol):
    """What scores phrases; alone, with nothing beside them."""

    def __call__(self, phrases: ReplayPhrases, *, alone: bool = False) -> NDArray[np.float64]: ...


def evaluate(
    rows: list[Row], folder: Path, detector: Path, *, keep: bool = False, encoder: Path = SHIPPED
) -> Figures:
    """Measure a detector on the eval split; ``keep`` the figures in its card.

    Raises SettingsError and EncoderError.
    """
    loaded = LoudspeakerDetector(detector)
    if Encoder(encoder).identity != loaded.card.encoder:
        raise EncoderError(f"{detector}: knows other points than those of {encoder}; train it anew")

    def scored(phrases: ReplayPhrases, *, alone: bool = False) -> NDArray[np.float64]:
        found = []
        for place, heard in enumerate(track(phrases.heard, "listening")):
            point, usual = (each[place].astype("f4") for each in (phrases.points, phrases.usual))
            known = [] if alone or np.isnan(usual).any() else [usual]
            found.append(loaded.suspect(heard.astype(np.float32), point, known).score)
        return np.array(found)

    card = loaded.card
    found = both_errors(unseen(rows, folder, encoder), scored, card.beside, card.alone)
    if keep:
        cards.add_measured(card, detector, {"eval": found})
    return found


def both_errors(phrases: ReplayPhrases, scored: Scored, beside: Limits, alone: Limits) -> Figures:
    """Errors on phrases beside what enrolled their speakers, and on all with nothing beside."""
    enrolled = phrases.only(phrases.beside)
    return {
        "beside": errors(scored(enrolled), enrolled, beside.threshold),
        "alone": errors(scored(phrases, alone=True), phrases, alone.threshold),
    }


def errors(scores: NDArray[np.float64], phrases: ReplayPhrases, threshold: float) -> Figures:
    """Return EER of replays against live phrases, APCER by kind of device, BPCER; with intervals.

    Intervals are of 95 %, by bootstrap over speakers.
    """
    of_kind = {kind: phrases.kinds == kind for kind in EVERY}
    flagged = scores >= threshold
    found: Figures = {"threshold": threshold, "phrases": len(scores)}
    simulated = scores[of_kind[LIVE]]
    found["eer"] = equal_error_rate(scores[phrases.attacks], simulated)
    found["apcer"] = _share(~flagged, phrases.attacks, phrases)
    for kind in KINDS:
        own = scores[of_kind[kind]]
        if len(own):
            found[f"eer_{kind}"] = equal_error_rate(own, simulated)
            found[f"apcer_{kind}"] = _share(~flagged, of_kind[kind], phrases)
    for corpus in sorted(set(phrases.corpora.tolist())):
        own, other = (
            (phrases.corpora == corpus) & each for each in (phrases.attacks, of_kind[LIVE])
        )
        if own.any() and other.any():
            found[f"eer_{corpus}"] = equal_error_rate(scores[own], scores[other])
            found[f"apcer_{corpus}"] = _share(~flagged, own, phrases)
    for kind, name in ((LIVE, "bpcer_live"), (PLAIN, "bpcer_recordings")):
        found[name] = _share(flagged, of_kind[kind], phrases)
        for corpus in sorted(set(phrases.corpora.tolist())):
            chosen = of_kind[kind] & (phrases.corpora == corpus)
            if chosen.any():
                found[f"{name}_{corpus}"] = _share(flagged, chosen, phrases)
    return found


def _share(
    wrong: NDArray[np.bool_], chosen: NDArray[np.bool_], phrases: ReplayPhrases
) -> dict[str, float]:
    """Return the share of the chosen that are wrong, its interval, and how many they are."""
    speakers, numbers = np.unique(phrases.voices[chosen], return_inverse=True)
    misses = np.bincount(numbers, wrong[chosen], len(speakers))
    counts = np.bincount(numbers, minlength=len(speakers))
    rounds = np.random.default_rng(0).integers(len(speakers), size=(ROUNDS, len(speakers)))
    low, high = interval(misses[rounds].sum(axis=1) / counts[rounds].sum(axis=1))
    share = float(wrong[chosen].mean())
    return {"share": share, "low": low, "high": high, "of": int(chosen.sum())}
