"""Trains, exports and measures the loudspeaker detector, on simulated replays only.

It learns from devices of the family "training", its operating point is set on speakers held out of
it, and it is measured on the eval split's speakers through devices of the family "test".
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras
from tensorflow.keras import layers

from edge.attack.devices import KINDS
from edge.voice import features
from edge.voice.loudspeaker import (
    EVEN,
    LAYERS,
    STRIDE,
    TAPS,
    LoudspeakerCard,
    LoudspeakerDetector,
    Weights,
    log_odds,
    standard,
)
from training.corpus import Row
from training.metrics import equal_error_rate
from training.progress import track
from training.replays import EVERY, LIVE, PLAIN, SAID, Heard, Phrases, simulate, unseen

log = logging.getLogger(__name__)

FRAMES = 210  # of a batch; longer phrases are cut
SHORTEST_PIECE = 40  # frames
PIECES = 0.4  # share of the phrases of which only a piece is shown
KNOTS = 6  # of a microphone's curve, over the mel scale
NATS = np.log(10) / 10  # a decibel
ROUNDS = 1_000  # of the bootstrap
NEAR = 1e-3  # how strongly the line of calibration is held to zero

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to draw, and how long and how hard to train."""

    phrases: int = 7_000  # recordings, as many live, twice as many replays; to learn from
    held: int = 800  # the same, of speakers held out
    filters: tuple[int, int] = (64, 64)
    hidden: int = 64
    dropped: float = 0.3
    epochs: int = 16
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-2
    microphone: float = 2.0  # dB, most deviation of a curve that is added to a phrase
    smoothing: float = 0.01  # of the labels
    bpcer: float = 0.02  # at the threshold, on speakers held out
    bpcer_grey: float = 0.005  # beyond the grey zone
    seed: int = 0


def fit(rows: list[Row], folder: Path, out: Path, plan: Plan | None = None) -> LoudspeakerCard:
    """Train on the train split and write weights and card. Raises SettingsError."""
    plan = plan or Plan()
    learned, held = simulate(rows, folder, plan.phrases, plan.held, plan.seed)
    weights = weights_of(learn(learned, plan))
    weights = calibrated(weights, score(held.heard, weights), held.attacks)
    scores = score(held.heard, weights)
    threshold, grey = (threshold_at(scores, held, at) for at in (plan.bpcer, plan.bpcer_grey))
    content = io.BytesIO()
    np.savez(content, **weights)
    card = LoudspeakerCard(
        name="kaimen-loudspeaker",
        sha256=hashlib.sha256(content.getvalue()).hexdigest(),
        features=features.constants(),
        threshold=threshold,
        grey=grey,
        training={
            "plan": asdict(plan),
            "phrases": len(learned.heard),
            "speakers": len(np.unique(learned.speakers)),
            "corpora": sorted(set(learned.corpora.tolist())),
            "replays": "simulated by edge.attack.devices, family training",
        },
        measured={"held_out": errors(scores, held, threshold)},
    )
    out.write_bytes(content.getvalue())
    _write(card, out)
    return card


def evaluate(rows: list[Row], folder: Path, detector: Path, *, keep: bool = False) -> Figures:
    """Measure a detector on the eval split; ``keep`` the figures in its card.

    Raises SettingsError and EncoderError.
    """
    loaded = LoudspeakerDetector(detector)
    phrases = unseen(rows, folder)
    heard = track(phrases.heard, "listening", len(phrases.heard))
    nothing = np.zeros(0, np.float32)
    scores = np.array([loaded.score(each.astype(np.float32), nothing) for each in heard])
    found = errors(scores, phrases, loaded.threshold)
    if keep:
        card = loaded.card
        _write(replace(card, measured=card.measured | {"eval": found}), detector)
    return found


def _write(card: LoudspeakerCard, detector: Path) -> None:
    text = json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n"
    detector.with_suffix(".json").write_text(text, encoding="utf-8")


class Pooled(layers.Layer):
    """Means and deviations over the frames that a phrase has: edge.voice.loudspeaker's."""

    def call(self, values: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        present = tf.sequence_mask(counts, tf.shape(values)[1], values.dtype)[..., tf.newaxis]
        counts = tf.cast(counts, values.dtype)[:, tf.newaxis]
        mean = tf.reduce_sum(values * present, 1) / counts
        apart = (values - mean[:, tf.newaxis]) * present
        variance = tf.reduce_sum(apart**2, 1) / counts
        return tf.concat((mean, tf.sqrt(variance + EVEN)), -1)


def network(plan: Plan) -> keras.Model:
    """What edge.voice.loudspeaker computes, for batches of padded phrases and their lengths."""
    values = layers.Input((FRAMES, features.MELS))
    counts = layers.Input((), dtype=tf.int32)
    pooled, found, present = [Pooled()(values, counts)], values, counts
    for number, (filters, taps) in enumerate(zip(plan.filters, TAPS, strict=True)):
        found = layers.Conv1D(
            filters, taps, strides=STRIDE, activation="relu", name=LAYERS[number]
        )(found)
        present = (present - taps) // STRIDE + 1
        pooled.append(Pooled()(found, present))
    every = layers.Dropout(plan.dropped)(layers.Concatenate()(pooled))
    hidden = layers.Dense(plan.hidden, activation="relu", name="hidden")(every)
    odds = layers.Dense(1, name="output")(layers.Dropout(plan.dropped)(hidden))
    return keras.Model((values, counts), odds[:, 0])


def learn(phrases: Phrases, plan: Plan) -> keras.Model:
    """Train a network to tell replays from the rest."""
    keras.utils.set_random_seed(plan.seed)
    random = np.random.default_rng(plan.seed)
    made = network(plan)
    truth = phrases.attacks.astype(np.float32)
    steps = -(-len(truth) // plan.batch) * plan.epochs
    schedule = keras.optimizers.schedules.CosineDecay(plan.rate, steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=plan.decay, global_clipnorm=2.0)
    optimizer.build(made.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(values: tf.Tensor, counts: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            odds = made((values, counts), training=True)
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
            values, counts = _batch([phrases.heard[i] for i in chosen], plan, random)
            losses.append(float(step(values, counts, truth[chosen])))
        log.info("epoch %d/%d  loss %.3f", epoch + 1, plan.epochs, np.mean(losses))
    return made


def _batch(
    heard: list[Heard], plan: Plan, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Phrases behind other microphones, some of them only a piece; and their lengths."""
    values = np.zeros((len(heard), FRAMES, features.MELS), np.float32)
    counts = np.zeros(len(heard), np.int32)
    places = np.linspace(0, KNOTS - 1, features.MELS)
    for number, whole in enumerate(heard):
        phrase = whole.astype(np.float32)
        if len(phrase) > SHORTEST_PIECE and random.random() < PIECES:
            length = random.integers(SHORTEST_PIECE, len(phrase))
            start = random.integers(len(phrase) - length + 1)
            phrase = phrase[start : start + length]
        deviation = plan.microphone * NATS * random.random()
        curve = np.interp(places, np.arange(KNOTS), random.normal(0, deviation, KNOTS))
        phrase = standard(phrase + curve.astype(np.float32))[:FRAMES]
        values[number, : len(phrase)] = phrase
        counts[number] = len(phrase)
    return values, counts


def weights_of(made: keras.Model) -> Weights:
    """The network's weights as edge.voice.loudspeaker wants them."""
    found: Weights = {}
    for name in LAYERS:
        kernel, bias = made.get_layer(name).get_weights()
        found[name], found[f"{name}_bias"] = kernel.reshape(-1, kernel.shape[-1]), bias
    return found


def score(heard: list[Heard], weights: Weights) -> NDArray[np.float64]:
    """The log-odds of each phrase, as the gate computes them."""
    return np.array([log_odds(each.astype(np.float32), weights) for each in heard])


def calibrated(
    weights: Weights, scores: NDArray[np.float64], attacks: NDArray[np.bool_]
) -> Weights:
    """Weights whose scores are log-odds: a line through them by logistic regression.

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


def threshold_at(scores: NDArray[np.float64], phrases: Phrases, bpcer: float) -> float:
    """Where at most this share of recordings, and of live phrases, counts as replayed."""
    return max(float(np.quantile(scores[phrases.kinds == kind], 1 - bpcer)) for kind in SAID)


def errors(scores: NDArray[np.float64], phrases: Phrases, threshold: float) -> Figures:
    """EER of replays against live phrases, APCER by kind of device, BPCER; with intervals.

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
    wrong: NDArray[np.bool_], chosen: NDArray[np.bool_], phrases: Phrases
) -> dict[str, float]:
    """The share of the chosen that are wrong, its interval, and how many they are."""
    speakers, numbers = np.unique(phrases.voices[chosen], return_inverse=True)
    misses = np.bincount(numbers, wrong[chosen], len(speakers))
    counts = np.bincount(numbers, minlength=len(speakers))
    rounds = np.random.default_rng(0).integers(len(speakers), size=(ROUNDS, len(speakers)))
    shares = misses[rounds].sum(axis=1) / counts[rounds].sum(axis=1)
    low, high = np.quantile(shares, (0.025, 0.975))
    share = float(wrong[chosen].mean())
    return {"share": share, "low": float(low), "high": float(high), "of": int(chosen.sum())}
