"""Fine-tunes CAM++ for a gate: short phrases, and two takes that never sound alike.

The network begins as 3D-Speaker's CAM++ (``networks/campplus.py``). A step hears two takes of
each of some speakers; between the two everything changes but the voice: words, room, noise,
microphone, band, codec, speed. A margin softmax and the contrast within the batch tell speakers
apart. An anchor holds each point near where the untrained network puts that speaker, so that what
it knows of hundreds of thousands of others is not forgotten. A killed run goes on from its last
checkpoint.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from kaimen.errors import SettingsError
from kaimen.voice import features
from kaimen_train import loop
from kaimen_train.data.augment import rooms
from kaimen_train.data.batches import ahead
from kaimen_train.data.corpus import NOISE, Row, cut, of_split
from kaimen_train.data.surroundings import (
    FRAMES,
    FRAMES_SHARE,
    NARROW,
    SHARES,
    Pool,
    Surroundings,
    TakeBatch,
    produce,
)
from kaimen_train.encoder import losses
from kaimen_train.encoder.begin import LONGEST, begin, points_of
from kaimen_train.encoder.rounding import equalise, ranges_of
from kaimen_train.networks import LARGE, WEIGHTS, campplus
from kaimen_train.networks.campplus import RANGES
from kaimen_train.points import unit

log = logging.getLogger(__name__)

SHOWN = 150  # windows from which the ranges of eight bits are taken


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """How long and how hard to train."""

    steps: int = 400
    rate: float = 1e-3  # of a step, relative to how large the weights began
    warmup: int = 100  # steps
    margin: float = 0.2  # radians
    rising: float = 3.0  # the margin is reached at one over this share of the steps
    named: float = 1.0  # weight of the margin softmax
    contrast: float = 0.5  # weight of the contrast within a batch
    anchor: float = 4.0  # weight of the anchor
    averaging: float = 0.995  # of the weights
    narrow: float = NARROW  # share of the takes that are heard through a narrow band
    seed: int = 1
    save_every: int = 100


TUNINGS = (TuningPlan(seed=1), TuningPlan(seed=2, narrow=0.6))
ROUNDING = TuningPlan(steps=200, rate=4e-4, warmup=15, averaging=0.98, seed=2)
TUNED = 0.6  # share of the tuned weights in the encoder; the rest is as it began


class Tuning:
    """The state of a run: network, class centres, moments, averaged weights, step.

    The optimizer is Adam (D. Kingma and J. Ba, ICLR 2015) whose step is relative to how large
    each weight tensor began: folded normalisations leave tensors of very different sizes.
    """

    def __init__(
        self,
        plan: TuningPlan,
        start: keras.Model,
        centres: NDArray[np.float32],
        folder: Path,
        ranges: campplus.Ranges | None = None,
    ) -> None:
        """With ``ranges`` it computes in eight bits, and learns to do what ``start`` does."""
        self.plan = plan
        self.teacher = None
        if ranges is not None:
            with loop.half_precision():
                self.teacher = campplus.build()
            self.teacher.set_weights(start.get_weights())
        with loop.half_precision():
            self.network = campplus.build(ranges=ranges)
        self.network.set_weights(start.get_weights())
        self.centres = tf.Variable(centres, name="centres")
        self.variables = [*self.network.trainable_variables, self.centres]
        self._sizes = [
            max(1e-3, float(tf.sqrt(tf.reduce_mean(tf.square(each))))) for each in self.variables
        ]
        self.first = [tf.Variable(tf.zeros_like(each)) for each in self.variables]
        self.second = [tf.Variable(tf.zeros_like(each)) for each in self.variables]
        self.averaged = [tf.Variable(v, trainable=False) for v in self.network.weights]
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.checkpoints = loop.checkpoints(
            folder,
            network=self.network,
            centres=self.centres,
            first=self.first,
            second=self.second,
            averaged=self.averaged,
            step=self.step,
        )
        self._learn = tf.function(self._learn_eagerly, reduce_retracing=True)

    def learn(
        self, heard: NDArray[Any], speakers: NDArray[np.int32], anchors: NDArray[np.float32]
    ) -> dict[str, float]:
        """Take one step on features (batch, frames, MELS), speakers (batch,), anchors."""
        found = self._learn(
            tf.constant(heard, tf.float32), tf.constant(speakers), tf.constant(anchors)
        )
        return {name: float(value) for name, value in found.items()}

    def _learn_eagerly(
        self, heard: tf.Tensor, speakers: tf.Tensor, anchors: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        plan = self.plan
        step = tf.cast(self.step, tf.float32)
        done = step / plan.steps
        with tf.GradientTape() as tape:
            points = tf.math.l2_normalize(self.network(heard), 1)
            if self.teacher is None:
                found = self._as_told(points, speakers, anchors, done)
                total = (
                    found["anchor"] * plan.anchor
                    + found["contrast"] * plan.contrast
                    + found["margin"] * plan.named
                )
            else:
                wanted = tf.math.l2_normalize(self.teacher(heard), 1)
                total = 1 - tf.reduce_mean(tf.reduce_sum(points * wanted, 1))
                found = {"apart": total}
        gradients = tape.gradient(
            total, self.variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        gradients, norm = tf.clip_by_global_norm(gradients, 3_000.0)
        rate = loop.warmed(step, plan.rate, warmup=plan.warmup, steps=plan.steps, least=0.01)
        correct = tf.sqrt(1 - tf.pow(0.98, step + 1)) / (1 - tf.pow(0.9, step + 1))
        state = zip(self.variables, gradients, self.first, self.second, self._sizes, strict=True)
        for variable, gradient, first, second, size in state:
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.98 * second + 0.02 * tf.square(gradient))
            variable.assign_sub(rate * size * correct * first / (tf.sqrt(second) + 1e-8))
        loop.average(self.averaged, self.network.weights, step, plan.averaging)
        self.step.assign_add(1)
        return {**found, "norm": norm}

    def _as_told(
        self, points: tf.Tensor, speakers: tf.Tensor, anchors: tf.Tensor, done: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        plan = self.plan
        return {
            "anchor": 1 - tf.reduce_mean(tf.reduce_sum(points * anchors, 1)),
            "contrast": losses.contrast(points, speakers),
            "margin": losses.margin_softmax(
                points,
                tf.math.l2_normalize(self.centres, 1),
                speakers,
                plan.margin * tf.minimum(1.0, plan.rising * done),
            ),
        }

    def encoder(self, frames: int | None = None) -> keras.Model:
        """Return the network with averaged weights, in float32."""
        network = campplus.build(frames)
        network.set_weights([weight.numpy() for weight in self.averaged])
        return network


@dataclass(frozen=True)
class Lesson:
    """What every step draws from: the takes, where CAM++ puts them, and what surrounds them."""

    heard: Surroundings
    known: NDArray[np.float32]  # points of the clips before any training, weighted by length
    centres: NDArray[np.float32]  # of the speakers, unit length

    @classmethod
    def of(cls, heard: Surroundings, points: NDArray[np.float32]) -> Lesson:
        """Return the lesson of unit-length points (clips, DIMENSION)."""
        pool = heard.pool
        known = points * np.sqrt(np.minimum(pool.seconds, LONGEST))[:, np.newaxis]
        return cls(heard, known, unit(np.stack([known[each].sum(0) for each in pool.own])))

    def anchors(self, batch: TakeBatch) -> NDArray[np.float32]:
        """Return where each take should stay near: half its own clips, half its speaker."""
        said = unit(np.stack([self.known[each].sum(0) for each in batch.clips]))
        return unit(said + self.centres[batch.speakers])

    def windows(self, count: int) -> NDArray[np.float32]:
        """Return windows for the quantizer, (count, frames, MELS): every other one undisturbed."""
        frames = FRAMES[int(np.argmax(FRAMES_SHARE))]
        random = self.heard.random = np.random.default_rng(0)
        found: list[NDArray[np.float32]] = []
        while len(found) < count:
            for _, chosen in self.heard.pool.draw(random, frames / features.FRAMES_PER_SECOND):
                if len(found) % 2:
                    found.append(self.heard(chosen, frames))
                else:
                    clean = features.log_mel(self.heard.joined(chosen), features.FINE)
                    found.append(features.centred(features.fit_frames(clean, frames)[0]))
        return np.stack(found[:count])


def fit_large(rows: list[Row], folder: Path, tunings: Sequence[TuningPlan] = TUNINGS) -> Path:
    """Train the large encoder on the train split of ``rows``; return the file of its weights.

    First in float, as often as there are ``tunings``, whose weights are averaged; then a network
    that computes in eight bits learns to do the same. The ranges of eight bits are written beside
    the weights. Raises SettingsError where the peers are not installed, and where the folder holds
    a run of other features or plans.
    """
    own, corpus = folder / LARGE.name, folder / "corpus"
    own.mkdir(parents=True, exist_ok=True)
    _require_same(
        own,
        {
            "features": features.constants(features.FINE),
            "tunings": [asdict(each) for each in tunings],
            "rounding": asdict(ROUNDING),
        },
    )
    rows = [row for row in of_split(rows, "train") if row.corpus in (*SHARES, NOISE)]
    speech = cut([row for row in rows if row.corpus != NOISE], corpus, speeds=(1.0,))
    noise = cut([row for row in rows if row.corpus == NOISE], corpus, speeds=(1.0,))
    network = begin(own)
    kept = own / "points.npy"
    if not kept.exists():
        with loop.half_precision():
            fast = campplus.build()
        fast.set_weights(network.get_weights())
        np.save(kept, points_of(fast, speech))
    heard = Surroundings(Pool(speech), noise, rooms(corpus), np.random.default_rng())
    lesson = Lesson.of(heard, np.load(kept))
    log.info("%d clips, %d speakers", len(speech), len(lesson.centres))

    tuned = []
    for number, plan in enumerate(tunings, 1):
        log.info("tuning %d of %d", number, len(tunings))
        run = _learn(Tuning(plan, network, lesson.centres, own / f"tuning{number}"), lesson)
        tuned.append(run.encoder())
    network, shown = blend(network, tuned), lesson.windows(SHOWN)
    equalise(network, shown)
    ranges = own / RANGES.name
    if not ranges.exists():
        ranges.write_text(json.dumps(ranges_of(network, shown), indent=0), encoding="utf-8")
    limits = json.loads(ranges.read_text(encoding="utf-8"))
    run = _learn(Tuning(ROUNDING, network, lesson.centres, own / "rounding", limits), lesson)
    weights = own / WEIGHTS
    save(run.encoder(), weights)
    return weights


def _require_same(own: Path, plan: dict[str, Any]) -> None:
    """Note how a run begins. Raises SettingsError where another one has begun in its folder."""
    kept = own / "plan.json"
    if not any(own.iterdir()):
        kept.write_text(json.dumps(plan, indent=2), encoding="utf-8")
    elif not kept.exists() or json.loads(kept.read_text(encoding="utf-8")) != plan:
        raise SettingsError(
            f"{own}: holds a run of other features or plans; remove it, or give another --folder"
        )


def blend(before: keras.Model, after: Sequence[keras.Model], share: float = TUNED) -> keras.Model:
    """Return the network whose weights are ``share`` of the way from one to the mean of others.

    What was learned of the voices of training is kept for the most part, and less is forgotten of
    all others (M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022; of the
    mean, "Model soups", ICML 2022).
    """
    tensors = zip(before.get_weights(), *(each.get_weights() for each in after), strict=True)
    network = campplus.build()
    network.set_weights(
        [first + share * (np.mean(last, axis=0) - first) for first, *last in tensors]
    )
    return network


def _learn(run: Tuning, lesson: Lesson) -> Tuning:
    """Go on with a run to the end of its plan."""
    plan = run.plan
    heard = replace(lesson.heard, narrow=plan.narrow)
    loop.train(
        lambda batch: run.learn(batch.features, batch.speakers, lesson.anchors(batch)),
        lambda steps: ahead(produce, heard, plan.seed, steps),
        plan.steps,
        kept=run.checkpoints,
        saved=plan.save_every,
        shown=20,
    )
    return run


def save(network: keras.Model, path: Path) -> None:
    """Write a network's weights as 16-bit floats: half the size, and far finer than int8."""
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch, "whole.weights.h5")
        network.save_weights(whole)
        with h5py.File(whole) as exact, h5py.File(path, "w") as half:

            def copy(name: str, each: h5py.Group | h5py.Dataset) -> None:
                if isinstance(each, h5py.Dataset):
                    half[name] = each[()].astype(np.float16)
                else:
                    half.require_group(name)

            exact.visititems(copy)
