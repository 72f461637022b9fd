"""Trains an encoder; a killed run goes on from its last checkpoint.

Teachers say where a clip belongs and how alike two clips are; who spoke is told by a margin
softmax and by the contrast within a batch. ``EncoderPlan`` says how much each of them counts.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from kaimen.errors import SettingsError
from kaimen.voice import features
from kaimen_train import loop
from kaimen_train.data.augment import Augmenter, rooms
from kaimen_train.data.batches import ClipBatch, batches
from kaimen_train.data.corpus import NOISE, Clips, Row, cut, long_enough, of_split
from kaimen_train.data.speakers import HELD_OUT, held_out, voice_of
from kaimen_train.encoder import losses, teacher
from kaimen_train.evaluation.metrics import equal_error_rate
from kaimen_train.networks import FRAMES, WEIGHTS, Build, Rung
from kaimen_train.points import unit

log = logging.getLogger(__name__)

UNKNOWN = -1
SHOWN = 50  # steps between lines of the log


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """How long and how hard to train."""

    steps: int = 9_000
    rate: float = 2e-3  # peak learning rate
    warmup: int = 300  # steps
    decay: float = 1e-2  # weight decay
    margin: float = 0.2  # radians, reached at half of the steps
    taught: float = 4.0  # weight of the teachers' points
    alike: float = 20.0  # weight of how alike they find two clips
    averaging: float = 0.998  # of the weights
    contrast: float = 0.5  # weight of the contrast within a batch
    named: float = 0.25  # weight of the margin softmax, from the first quarter on
    blurred: float = 0.25  # share of the speaker's mean in what is taught of a clip
    seed: int = 1
    save_every: int = 250
    check_every: int = 1_000


class Fit:
    """The state of a run: network, class centres, optimizer, averaged weights, step.

    ``taught`` is the dimension of the teachers' points.
    """

    def __init__(
        self, plan: EncoderPlan, build: Build, *, classes: int, taught: int, folder: Path
    ) -> None:
        keras.utils.set_random_seed(plan.seed)
        self.plan = plan
        self.build = build
        with loop.half_precision():
            self.network = build(None)
        dimension = self.network.output_shape[-1]
        normal = tf.random_normal_initializer(stddev=0.05, seed=plan.seed)
        self.centres = tf.Variable(normal((classes, dimension)), name="centres")
        self.student = tf.Variable(normal((dimension, taught)), name="towards_teacher")
        self.variables = [*self.network.trainable_variables, self.centres, self.student]
        self.averaged = [tf.Variable(v, trainable=False) for v in self.network.weights]
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.optimizer = keras.optimizers.AdamW(
            loop.Warmed(plan.rate, warmup=plan.warmup, steps=plan.steps),
            weight_decay=plan.decay,
            global_clipnorm=5.0,
        )
        self.optimizer.build(self.variables)
        self.checkpoints = loop.checkpoints(
            folder,
            network=self.network,
            centres=self.centres,
            student=self.student,
            averaged=self.averaged,
            optimizer=self.optimizer,
            step=self.step,
        )
        self._learn = tf.function(self._learn_eagerly, reduce_retracing=True)

    def learn(
        self, heard: NDArray[Any], labels: NDArray[np.int32], taught: NDArray[np.float32]
    ) -> dict[str, float]:
        """Take one step on features (batch, frames, MELS), labels (batch,), teacher's points."""
        found = self._learn(
            tf.constant(heard, tf.float32), tf.constant(labels, tf.int32), tf.constant(taught)
        )
        return {name: float(value) for name, value in found.items()}

    def _learn_eagerly(
        self, heard: tf.Tensor, labels: tf.Tensor, taught: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        plan = self.plan
        done = tf.cast(self.step, tf.float32) / plan.steps
        with tf.GradientTape() as tape:
            points = tf.math.l2_normalize(self.network(heard, training=True), 1)
            towards = tf.math.l2_normalize(points @ self.student, 1)
            found = {
                "teacher": 1 - tf.reduce_mean(tf.reduce_sum(towards * taught, 1)),
                "similarity": losses.similarity(points, taught),
                "contrast": losses.contrast(points, labels),
                "margin": losses.margin_softmax(
                    points,
                    tf.math.l2_normalize(self.centres, 1),
                    labels,
                    plan.margin * tf.minimum(1.0, 2 * done),
                ),
            }
            total = (
                found["teacher"] * plan.taught
                + found["similarity"] * plan.alike
                + found["contrast"] * plan.contrast
                + found["margin"] * plan.named * (0.2 + 0.8 * tf.minimum(1.0, 4 * done))
            )
        gradients = tape.gradient(total, self.variables)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        step = tf.cast(self.step, tf.float32)
        loop.average(self.averaged, self.network.weights, step, plan.averaging)
        self.step.assign_add(1)
        return found

    def encoder(self, frames: int | None = None) -> keras.Model:
        """Return the network with averaged weights, in float32."""
        network = self.build(frames)
        network.set_weights([weight.numpy() for weight in self.averaged])
        return network


def heard_at_the_gate(
    clips: Clips,
    indices: list[int],
    frames: int,
    *,
    centred: bool = False,
    bands: features.Bands = features.COARSE,
) -> NDArray[np.float32]:
    """Clean features as the gate computes them, one window a clip, (clips, frames, mels)."""
    windows = []
    for index in indices:
        values = features.level_free(features.log_mel(long_enough(clips[index]), bands))
        window = features.fit_frames(values, frames)[0]
        windows.append(features.centred(window) if centred else window)
    return np.stack(windows)


def check(network: keras.Model, clips: Clips, frames: int) -> dict[str, float]:
    """Pair EER over the held-out speakers by corpus: same text, as spoken."""
    found = {}
    for corpus in HELD_OUT:
        labels = [(i, label) for i, label in enumerate(clips.labels) if label["corpus"] == corpus]
        indices = [i for i, label in labels if label["speed"] == 1]
        if not indices:
            continue
        points = unit(network.predict(heard_at_the_gate(clips, indices, frames), 64, verbose=0))
        said = np.array([clips.labels[i]["text"] for i in indices])
        who = np.array([clips.labels[i]["speaker"] for i in indices])
        first, second = np.triu_indices(len(points), 1)
        paired = said[first] == said[second]
        first, second = first[paired], second[paired]
        scores = np.sum(points[first] * points[second], axis=1)
        same = who[first] == who[second]
        if same.all() or not same.any():
            continue
        found[corpus] = equal_error_rate(scores[same], scores[~same])
    return found


def fit(
    rows: list[Row], folder: Path, plan: EncoderPlan, rung: Rung, *, frames: int = FRAMES
) -> Path:
    """Train a rung on the train split of ``rows``; returns the file of its averaged weights.

    ``folder`` keeps what all runs share, and in a folder of its own what belongs to this one.
    """
    own = folder / rung.name
    rows = of_split(rows, "train")
    kept_back = held_out(rows)
    corpus = folder / "corpus"
    speech = cut([row for row in rows if row.corpus != NOISE], corpus)
    noise = cut([row for row in rows if row.corpus == NOISE], corpus)
    if not len(noise) or not len(speech):
        raise SettingsError(
            f"training needs recordings of speakers and of {NOISE!r}; see docs/how/encoder.md"
        )
    known = teacher.points(speech, corpus)

    voices = [(str(label["corpus"]), voice_of(label)) for label in speech.labels]
    apart = np.array([index for index, voice in enumerate(voices) if voice in kept_back], int)
    seen = np.array([index for index, voice in enumerate(voices) if voice not in kept_back])
    clips, held = speech.only(seen), speech.only(apart)
    labels, classes = _classes(clips)
    taught = teacher.together([each[seen] for each in known])
    taught = _towards_speaker(taught, labels, classes, plan.blurred)
    log.info("%d clips, %d voices; %d clips held out", len(clips), classes, len(held))

    run = Fit(
        plan,
        rung.builder(folder),
        classes=classes,
        taught=taught.shape[1],
        folder=own / "checkpoints",
    )
    augmenter = Augmenter(noise, clips, rooms(corpus, plan.seed), np.random.default_rng())

    def learn(batch: ClipBatch) -> dict[str, float]:
        return run.learn(batch.features, labels[batch.clips], taught[batch.clips])

    def checked(done: int) -> None:
        if len(held) and (done % plan.check_every == 0 or done == plan.steps):
            eer = check(run.encoder(frames), held, frames)
            figures = "  ".join(f"{name} {100 * value:.2f}" for name, value in eer.items())
            mean = 100 * float(np.mean(list(eer.values())))
            log.info("step %d/%d  held-out EER %% %s: %.2f", done, plan.steps, figures, mean)

    loop.train(
        learn,
        lambda steps: batches(clips, augmenter, seed=plan.seed, steps=steps),
        plan.steps,
        kept=run.checkpoints,
        saved=plan.save_every,
        shown=SHOWN,
        then=checked,
    )
    weights = own / WEIGHTS
    run.encoder(frames).save_weights(weights)
    (own / "plan.json").write_text(json.dumps(asdict(plan), indent=2), encoding="utf-8")
    return weights


def _classes(clips: Clips) -> tuple[NDArray[np.int32], int]:
    """Return a number for each speaker at each speed, UNKNOWN for voices without a name."""
    numbers: dict[tuple[str, str, float], int] = {}
    labels = np.full(len(clips), UNKNOWN, np.int32)
    for index, label in enumerate(clips.labels):
        if label["speaker"]:
            voice = (str(label["corpus"]), str(label["speaker"]), float(label["speed"]))
            labels[index] = numbers.setdefault(voice, len(numbers))
    return labels, len(numbers)


def _towards_speaker(
    taught: NDArray[np.float32], labels: NDArray[np.int32], classes: int, share: float
) -> NDArray[np.float32]:
    """Return the teachers' point of the clip, and a share of its speaker's mean: words blur it."""
    sums = np.zeros((classes, taught.shape[1]), np.float32)
    np.add.at(sums, labels[labels >= 0], taught[labels >= 0])
    means = unit(sums)
    mixed = taught.copy()
    mixed[labels >= 0] *= 1 - share
    mixed[labels >= 0] += share * means[labels[labels >= 0]]
    return unit(mixed)
