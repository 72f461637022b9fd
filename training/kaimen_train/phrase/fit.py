"""Trains the phrase encoder and writes the file that the gate loads; a killed run goes on.

Two phrases are compared as the gate compares them, by nearly the least similarity of their parts,
and a phrase must be more like the same words, by whomever, than like any other words of its batch:
the supervised contrast of P. Khosla et al. (NeurIPS 2020, arXiv 2004.11362).
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from kaimen.errors import EncoderError
from kaimen.sound import Samples
from kaimen.voice import features
from kaimen.voice.network import RUNTIMES
from kaimen.voice.phrase import (
    SOFTNESS,
    PhraseCard,
    PhraseEmbedding,
    PhraseEncoder,
    phrase_score,
    speech_in,
    stretched,
)
from kaimen_train import cards, loop
from kaimen_train.data.corpus import NOISE, Clips, Row, cut, long_enough, of_split
from kaimen_train.data.speakers import held_out
from kaimen_train.encoder.quantize import quantize
from kaimen_train.networks import phrase as network
from kaimen_train.phrase.batches import SHARES, WordFeatures, batches
from kaimen_train.points import unit

log = logging.getLogger(__name__)

SPEEDS = (1.0, 0.9, 1.1)  # a voice at another speed is another speaker
TEMPERATURE = 0.07  # of the contrast
WEIGHTS = "phrase.weights.h5"
EVERY = 250  # steps between checkpoints
SHOWN = 800  # phrases from which the quantizer takes the usual ones
COMPARED = 200  # on which the runtimes are compared
MISSED = 0.005  # share of right words that may miss the card's threshold: its speakers are few
ENROLLED = 5  # recordings
AGREE = 0.998  # least cosine of all parts together between the runtimes


@dataclass(frozen=True, slots=True)
class PhrasePlan:
    """How the phrase encoder is trained."""

    steps: int = 9_000
    rate: float = 2e-3
    warm: int = 200  # steps
    decay: float = 1e-2
    seed: int = 0


def fit(rows: Sequence[Row], folder: Path, plan: PhrasePlan) -> Path:
    """Train on the train split, but for its held-out speakers; returns the file of the weights."""
    own = folder / "phrase"
    own.mkdir(parents=True, exist_ok=True)
    (own / "plan.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")
    clips = speech_of(rows, folder, held=False)
    words = WordFeatures(
        [features.log_mel(long_enough(clips[at])) for at in range(len(clips))], clips
    )
    log.info("%d clips", len(clips))
    keras.utils.set_random_seed(plan.seed)
    with loop.half_precision():
        made = network.build()
    optimizer = keras.optimizers.AdamW(
        loop.Warmed(plan.rate, warmup=plan.warm, steps=plan.steps),
        weight_decay=plan.decay,
        global_clipnorm=5.0,
        jit_compile=False,
    )
    step = tf.Variable(0, dtype=tf.int64)

    @tf.function(reduce_retracing=True)
    def learn(heard: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = contrast(made(heard, training=True), which)
        slopes = tape.gradient(loss, made.trainable_variables)
        optimizer.apply_gradients(zip(slopes, made.trainable_variables, strict=True))
        step.assign_add(1)
        return loss

    loop.train(
        lambda batch: {"loss": float(learn(*batch))},
        lambda steps: batches(words, network.FRAMES, seed=plan.seed, steps=steps),
        plan.steps,
        kept=loop.checkpoints(own / "checkpoints", network=made, optimizer=optimizer, step=step),
        saved=EVERY,
        shown=EVERY,
    )
    made.save_weights(own / WEIGHTS)
    return own / WEIGHTS


def contrast(parts: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
    """Return the supervised contrast between phrases, compared as the gate compares them."""
    said = tf.math.l2_normalize(parts, axis=2)
    cosines = tf.einsum("ikd,jkd->kij", said, said)
    count = tf.cast(tf.shape(cosines)[0], tf.float32)
    least = -SOFTNESS * (tf.reduce_logsumexp(-cosines / SOFTNESS, axis=0) - tf.math.log(count))
    itself = tf.eye(tf.shape(which)[0], dtype=tf.bool)
    scores = tf.where(itself, -1e9, least / TEMPERATURE)
    same = tf.cast((which[:, None] == which[None]) & ~itself, tf.float32)
    shares = scores - tf.reduce_logsumexp(scores, axis=1, keepdims=True)
    own = tf.reduce_sum(shares * same, axis=1) / tf.maximum(tf.reduce_sum(same, axis=1), 1)
    return -tf.reduce_mean(own)


def speech_of(rows: Sequence[Row], folder: Path, *, held: bool) -> Clips:
    """Return words of the train split: of the held-out speakers as spoken, or of all others."""
    train = of_split(rows, "train")
    apart = held_out(train)
    clips = cut([row for row in train if row.corpus != NOISE], folder / "corpus")
    chosen = [
        at
        for at, label in enumerate(clips.labels)
        if label["corpus"] in SHARES
        and ((label["corpus"], label["speaker"]) in apart) == held
        and label["speed"] in ((1.0,) if held else SPEEDS)
    ]
    return clips.only(np.array(chosen, np.int64))


def export(rows: Sequence[Row], folder: Path, out: Path) -> PhraseCard:
    """Quantize what ``fit`` trained; write ``out`` and its card, with its threshold.

    Raises EncoderError when the runtimes do not agree.
    """
    weights = folder / "phrase" / WEIGHTS
    if not weights.exists():
        raise EncoderError(f"{weights}: no weights there; train them with 'kaimen-train phrase'")
    made = network.build()
    made.load_weights(weights)
    held = speech_of(rows, folder, held=True)
    sounds = [long_enough(held[at]) for at in range(len(held))]
    random = np.random.default_rng(0)
    windows = np.stack(
        [
            stretched(features.level_free(speech_in(features.log_mel(sounds[at]))), network.FRAMES)
            for at in random.choice(len(sounds), min(SHOWN, len(sounds)), replace=False)
        ]
    )
    content = quantize(made, windows)
    card = PhraseCard(
        name="phrase",
        sha256=hashlib.sha256(content).hexdigest(),
        frames=network.FRAMES,
        values=features.MELS,
        parts=network.PARTS,
        dimension=network.DIMENSION,
        softness=SOFTNESS,
        features=features.constants(),
        threshold=1.0,
        training={
            "recordings": len(speech_of(rows, folder, held=False)) // len(SPEEDS),
            "plan": json.loads((folder / "phrase" / "plan.json").read_text(encoding="utf-8")),
        },
        measured={"parameters": made.count_params(), "bytes": len(content)},
    )
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch, "phrase.tflite")
        cards.write(content, card, trial)
        compared = [sounds[at] for at in random.choice(len(sounds), min(COMPARED, len(sounds)))]
        least = agreement(trial, compared)
        if least < AGREE:
            raise EncoderError(f"the runtimes disagree: least cosine {least:.5f}")
        encoder = PhraseEncoder(trial)
        figures = development(held, [encoder.embed(sound) for sound in sounds])
    card = replace(
        card,
        threshold=figures.pop("threshold"),
        measured={**card.measured, "runtimes_least_cosine": least, "development": figures},
    )
    cards.write(content, card, out)
    return card


def agreement(trial: Path, sounds: Sequence[Samples]) -> float:
    """The least cosine between what the two runtimes make of all parts of a phrase together."""

    def parts(runtime: str) -> NDArray[np.float32]:
        encoder = PhraseEncoder(trial, runtime=runtime)
        return unit(np.stack([encoder.embed(sound).ravel() for sound in sounds]))

    first, second = (parts(runtime) for runtime in RUNTIMES)
    return float(np.sum(first * second, axis=1).min())


def development(held: Clips, said: Sequence[PhraseEmbedding]) -> dict[str, float]:
    """The threshold that MISSED of the held-out speakers' right words miss, and what passes it."""
    takes: dict[tuple[str, str], dict[str, list[PhraseEmbedding]]] = {}
    for label, each in zip(held.labels, said, strict=True):
        voice = takes.setdefault((str(label["corpus"]), str(label["speaker"])), {})
        voice.setdefault(str(label["text"]), []).append(each)
    right, wrong = [], []
    for texts in takes.values():
        for text, own in texts.items():
            if len(own) <= ENROLLED:
                continue
            enrolled = own[:ENROLLED]
            right += [phrase_score(each, enrolled) for each in own[ENROLLED:]]
            for other, theirs in texts.items():
                if other != text:
                    wrong += [phrase_score(each, enrolled) for each in theirs[ENROLLED:]]
    if not right or not wrong:
        return {"threshold": 1.0}
    threshold = float(np.quantile(right, MISSED, method="lower"))
    passed = float(np.mean(np.array(wrong) >= threshold))
    return {
        "threshold": threshold, "missed": MISSED, "wrong_passed": passed,
        "right": len(right), "wrong": len(wrong),
    }  # fmt: skip
