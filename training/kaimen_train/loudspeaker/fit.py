"""Trains and exports the loudspeaker detector, on simulated replays only.

It learns from devices of the family "training", its operating point is set on speakers held out of
it; kaimen_train.loudspeaker.protocol measures it on others, through devices of the family "test".
"""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from kaimen.voice import SHIPPED, features
from kaimen.voice.encoder import Encoder
from kaimen.voice.loudspeaker import Limits, LoudspeakerCard, Weights, log_odds, standard, unlike
from kaimen_train import cards
from kaimen_train.data.corpus import Row
from kaimen_train.loudspeaker.dataset import SAID, ReplayPhrases
from kaimen_train.loudspeaker.protocol import both_errors
from kaimen_train.loudspeaker.replays import Amount, simulate
from kaimen_train.networks.loudspeaker import FRAMES, network, weights_of

log = logging.getLogger(__name__)

SHORTEST_PIECE = 40  # frames
PIECES = 0.4  # share of the phrases of which only a piece is shown
ALONE = 0.2  # share of the phrases that are shown without what enrolled their speakers
KNOTS = 6  # of a microphone's curve, over the mel scale
NATS = np.log(10) / 10  # a decibel
NEAR = 1e-3  # how strongly the line of calibration is held to zero


@dataclass(frozen=True, slots=True)
class DetectorPlan:
    """How much to draw, and how long and how hard to train."""

    learned: Amount = (3_000, 9_000)  # phrases with nothing beside them, and beside others
    held: Amount = (1_000, 1_600)  # the same, of speakers held out
    filters: tuple[int, int, int] = (96, 96, 96)
    dense: tuple[int, int] = (128, 64)
    dropped: float = 0.4
    epochs: int = 8
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-2
    microphone: float = 4.0  # dB, most deviation of a curve that is added to a phrase
    warp: float = 0.05  # most by which the mel scale is stretched: other voices
    smoothing: float = 0.01  # of the labels
    bpcer: float = 0.02  # at the threshold, on speakers held out
    bpcer_grey: float = 0.005  # beyond the grey zone
    seed: int = 0


def fit(
    rows: list[Row],
    folder: Path,
    out: Path,
    plan: DetectorPlan | None = None,
    encoder: Path = SHIPPED,
) -> LoudspeakerCard:
    """Train on the train split and write weights and card.

    The detector knows points of this encoder only. Raises SettingsError and EncoderError.
    """
    plan = plan or DetectorPlan()
    of = Encoder(encoder).card
    learned, held = simulate(rows, folder, plan.learned, plan.held, encoder, seed=plan.seed)
    weights = weights_of(learn(learned, of.dimension, plan))
    weights = calibrated(weights, score(held, weights), held.attacks)
    scored = partial(score, weights=weights)
    enrolled = held.only(held.beside)
    beside = limits(scored(enrolled), enrolled, plan)
    alone = limits(scored(held, alone=True), held, plan)
    content = io.BytesIO()
    np.savez(content, **weights)
    card = LoudspeakerCard(
        name="kaimen-loudspeaker",
        sha256=hashlib.sha256(content.getvalue()).hexdigest(),
        features=features.constants(),
        encoder=of.sha256,
        dimension=of.dimension,
        beside=beside,
        alone=alone,
        training={
            "plan": asdict(plan),
            "phrases": len(learned.heard),
            "speakers": len(np.unique(learned.speakers)),
            "corpora": sorted(set(learned.corpora.tolist())),
            "replays": "simulated by kaimen.acoustics.devices, family training",
        },
        measured={"held_out": both_errors(held, scored, beside, alone)},
    )
    cards.write(content.getvalue(), card, out)
    return card


def learn(phrases: ReplayPhrases, dimension: int, plan: DetectorPlan) -> keras.Model:
    """Train a network to tell replays from the rest."""
    keras.utils.set_random_seed(plan.seed)
    random = np.random.default_rng(plan.seed)
    made = network(dimension, plan.filters, plan.dense, plan.dropped)
    truth = phrases.attacks.astype(np.float32)
    steps = -(-len(truth) // plan.batch) * plan.epochs
    schedule = keras.optimizers.schedules.CosineDecay(plan.rate, steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=plan.decay, global_clipnorm=2.0)
    optimizer.build(made.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(batch: tuple[tf.Tensor, tf.Tensor, tf.Tensor], wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            odds = made(batch, training=True)
            wanted = wanted * (1 - 2 * plan.smoothing) + plan.smoothing
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(wanted, odds))
        gradients = tape.gradient(loss, made.trainable_variables)
        optimizer.apply_gradients(zip(gradients, made.trainable_variables, strict=True))
        return loss

    for epoch in range(plan.epochs):
        order = random.permutation(len(truth))
        losses = []
        for start in range(0, len(order), plan.batch):
            chosen = order[start : start + plan.batch]
            batch = _batch(phrases, chosen, dimension, plan, random)
            losses.append(float(step(batch, truth[chosen])))
        log.info("epoch %d/%d  loss %.3f", epoch + 1, plan.epochs, np.mean(losses))
    return made


def _batch(
    phrases: ReplayPhrases,
    chosen: NDArray[np.int_],
    dimension: int,
    plan: DetectorPlan,
    random: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Phrases, their lengths, and their points beside others: of other voices and microphones.

    Of some only a piece is shown, and of some no points.
    """
    values = np.zeros((len(chosen), FRAMES, features.MELS), np.float32)
    counts = np.zeros(len(chosen), np.int32)
    beside = np.zeros((len(chosen), 2 * dimension + 1), np.float32)
    places = np.linspace(0, KNOTS - 1, features.MELS)
    for number, which in enumerate(chosen):
        phrase = phrases.heard[which].astype(np.float32)
        usual = phrases.usual[which].astype(np.float32)
        if not np.isnan(usual).any() and random.random() >= ALONE:
            beside[number, :-1] = unlike(phrases.points[which].astype(np.float32), [usual])
            beside[number, -1] = 1
        elif len(phrase) > SHORTEST_PIECE and random.random() < PIECES:
            length = random.integers(SHORTEST_PIECE, len(phrase))
            start = random.integers(len(phrase) - length + 1)
            phrase = phrase[start : start + length]
        factor = 1 + plan.warp * random.uniform(-1, 1)
        deviation = plan.microphone * NATS * random.random()
        curve = np.interp(places, np.arange(KNOTS), random.normal(0, deviation, KNOTS))
        curve = (curve - curve.mean()).astype(np.float32)
        phrase = standard(_stretched(phrase, factor) + curve)[:FRAMES]
        values[number, : len(phrase)] = phrase
        counts[number] = len(phrase)
    return values, counts, beside


def _stretched(phrase: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return a phrase with its mel scale stretched, as of a voice of another size."""
    places = np.minimum(np.arange(features.MELS) * factor, features.MELS - 1)
    lower = np.minimum(places.astype(int), features.MELS - 2)
    share = (places - lower).astype(np.float32)
    return np.asarray(phrase[:, lower] * (1 - share) + phrase[:, lower + 1] * share, np.float32)


def score(phrases: ReplayPhrases, weights: Weights, *, alone: bool = False) -> NDArray[np.float64]:
    """The log-odds of each phrase, as the gate computes them; ``alone``, with nothing beside it."""
    found = []
    points, usual = phrases.points.astype(np.float32), phrases.usual.astype(np.float32)
    for place, heard in enumerate(phrases.heard):
        unknown = alone or np.isnan(usual[place]).any()
        beside = None if unknown else unlike(points[place], [usual[place]])
        found.append(log_odds(heard.astype(np.float32), beside, weights))
    return np.array(found)


def calibrated(
    weights: Weights, scores: NDArray[np.float64], attacks: NDArray[np.bool_]
) -> Weights:
    """Return weights whose scores are log-odds: a line through them by logistic regression.

    J. Platt, "Probabilistic outputs for support vector machines", 1999; both kinds weigh alike.
    """
    mean, deviation = scores.mean(), scores.std() + 1e-9
    inputs = np.stack(((scores - mean) / deviation, np.ones_like(scores)), axis=1)
    each = np.where(attacks, 0.5 / attacks.sum(), 0.5 / (~attacks).sum())
    line = np.zeros(2)
    for _ in range(30):  # Newton's method
        likely = 1 / (1 + np.exp(-inputs @ line))
        gradient = inputs.T @ (each * (likely - attacks)) + NEAR * line
        curvature = (inputs * (each * likely * (1 - likely))[:, np.newaxis]).T @ inputs
        line -= np.linalg.solve(curvature + NEAR * np.eye(2), gradient)
    scale = np.float32(line[0] / deviation)
    shift = np.float32(line[1] - line[0] * mean / deviation)
    return weights | {
        "output": weights["output"] * scale,
        "output_bias": weights["output_bias"] * scale + shift,
    }


def limits(scores: NDArray[np.float64], phrases: ReplayPhrases, plan: DetectorPlan) -> Limits:
    """Scores that no more than the plan's shares of recordings, and of live phrases, reach."""
    said = [scores[phrases.kinds == kind] for kind in SAID]
    at, grey = (
        max(float(np.quantile(each, 1 - share)) for each in said if len(each))
        for share in (plan.bpcer, plan.bpcer_grey)
    )
    return Limits(at, grey)
