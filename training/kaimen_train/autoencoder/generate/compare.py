"""The models side by side, by what they are for: ``kaimen-train school --compare``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.bench.synthetic import FURTHER, MODELS
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from kaimen_train.autoencoder import generate
from kaimen_train.autoencoder.generate import judge, privacy
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.evaluate import Embedded, embedded, hear, of_encoder
from kaimen_train.points import unit
from kaimen_train.school import school
from kaimen_train.school.school import CosinePairs, synthetic_pairs
from kaimen_train.school.variance import LabelledPoints

CORPUS = "commands"  # whose eval speakers are many: seven and six say nothing of a school
ASKED = 0.05  # FPIR of the largest real school, at whose threshold schools grow
REPEATED = 20  # times that parts of the real galleries are drawn
WAYS = ("where voices lie", "turned", "turned and laid back")  # what an attacker holds
FURTHER_BY = ("population", "diffusion")  # models that continue from a first recording


@dataclass(frozen=True)
class Compared:
    """Figures of each model, and what is drawn of them."""

    figures: dict[str, dict[str, Any]]
    pairs: dict[str, CosinePairs]
    nearness: dict[str, NDArray[np.float32]]
    growth: dict[str, dict[int, float]]


def compare(rows: Sequence[Row], folder: Path) -> Compared:
    """Hold every model against the eval speakers; fits them to all of the others and to halves."""
    encoder = Encoder()
    voices, apart = school.embed(rows, folder, encoder)
    population = generate.fit(voices, apart, encoder.identity)
    heard = hear([row for row in rows if row.corpus == CORPUS])
    unseen = voices_of(embedded(heard, of_encoder(SHIPPED)))
    galleries = judge.galleries(unseen)
    strangers = [each.strangers() for each in galleries]
    real = np.concatenate(strangers)
    threshold = float(np.quantile(real, 1 - ASKED))
    members = privacy.people(voices.only(voices.corpora == CORPUS))
    others = privacy.people(unseen, privacy.TAKES)
    spoken = pairs_of(unseen)
    attacked = membership(voices, apart)
    found = Compared(
        {}, {"real": spoken}, {}, {"real": judge.by_size(galleries * REPEATED, threshold)}
    )
    for model in MODELS:
        drawn_by = population.using(model)
        drawn = drawn_by.draw(judge.STUDENTS + judge.STRANGERS, judge.TAKES, seed=0)
        students, visitors = drawn[: judge.STUDENTS], drawn[judge.STUDENTS :, 0]
        small, large = judge.growth(students, visitors, galleries, threshold)
        near = privacy.nearness(students, members, others)
        found.pairs[model] = synthetic_pairs(drawn_by)
        found.nearness.update({model: near[0], "real": near[1]})
        found.growth.update({model: small, f"{model}, {judge.TAKES} recordings": large})
        same, other = judge.pair_distances(found.pairs[model], spoken)
        found.figures[model] = {
            "forecast": [each.fields() for each in judge.forecast(students, galleries, real)],
            "growth": small,
            "growth_large": large,
            "same_distance": same,
            "other_distance": other,
            "nearest_median": float(np.median(near[0])),
            "nearest_median_real": float(np.median(near[1])),
            "too_near": privacy.too_near(*near),
            "membership": attacked[model],
        }
        if model in FURTHER_BY:
            distance = judge.further_distance(drawn_by, galleries)
            found.figures[model]["further_distance"] = distance
    return found


def membership(
    voices: LabelledPoints, apart: NDArray[np.bool_]
) -> dict[str, dict[str, dict[str, tuple[float, float, float]]]]:
    """AUC of attacks, by model and way, over speakers of whom each half is fitted to in turn.

    Ways: the school lies where the encoder puts voices; is turned; or is turned and laid back by
    somebody who knows all these speakers, but not whom it was fitted to. The encoder saw both
    halves in training. Speakers it did not see serve to fit in both cases.
    """
    names = np.char.add(np.char.add(voices.corpora, "/"), voices.speakers)
    everybody = privacy.people(voices.only(~apart))
    mean = unit(voices.points.mean(axis=0))
    splits: dict[str, dict[str, dict[str, list[Any]]]] = {
        model: {way: {} for way in WAYS} for model in MODELS
    }
    for first in (True, False):
        chosen = apart | (privacy.half(names) == first)
        shapes = [name for name in generate.LEARNED if name != FURTHER]
        fitted = generate.fit(voices.only(chosen), apart[chosen], "", shapes)
        inside = privacy.half(everybody.names) == first
        for model in MODELS:
            lying = fitted.using(model).draw(judge.STUDENTS, judge.TAKES, seed=0)
            turned = fitted.using(model).turned().draw(judge.STUDENTS, judge.TAKES, seed=0)
            laid = privacy.laid_back(turned, everybody, mean)
            for way, drawn in zip(WAYS, (lying, turned, laid), strict=True):
                for attack, scores in privacy.attacks(drawn, everybody).items():
                    found = splits[model][way].setdefault(attack, [])
                    found.append((scores[inside], scores[~inside]))
    return {
        model: {
            way: {attack: privacy.averaged(each) for attack, each in tried.items()}
            for way, tried in ways.items()
        }
        for model, ways in splits.items()
    }


def voices_of(made: Embedded) -> LabelledPoints:
    """Return recordings of single texts, with whose they are."""
    points = np.concatenate(list(made.points.values()))
    said = [row for corpus in made.points for row in made.heard.rows[corpus]]
    fields = ([getattr(row, name) for row in said] for name in ("corpus", "speaker", "text"))
    return LabelledPoints(points.astype(np.float64), *map(np.array, fields))


def pairs_of(voices: LabelledPoints) -> CosinePairs:
    """Return cosines by the pair protocol."""
    rows = [
        Row("", Path(), corpus, "eval", speaker, text)
        for corpus, speaker, text in zip(voices.corpora, voices.speakers, voices.texts, strict=True)
    ]
    trials = protocols.pairs(rows, voices.points.astype(np.float32))
    return CosinePairs(trials.targets, trials.strangers)
