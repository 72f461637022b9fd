"""A variational autoencoder of speech: its latent space, and how to train it.

It sees the encoder's own features, level-free log-mel windows, of the train split as it was
recorded: what is unlike them it draws badly, so the error of its reconstruction is a score of
novelty. What that is worth is measured by ``kaimen_train.autoencoder.latent_protocol``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from kaimen.errors import EncoderError, SettingsError
from kaimen.voice import features
from kaimen.voice.features import Features
from kaimen_train import loop
from kaimen_train.data.corpus import NOISE, Clips, Row, cut, long_enough, of_split
from kaimen_train.data.speakers import held_out, voice_of
from kaimen_train.data.utterances import JOINED, Speech
from kaimen_train.networks import autoencoder as network
from kaimen_train.networks.autoencoder import AutoencoderShape

log = logging.getLogger(__name__)

WEIGHTS = Path(__file__).parents[1] / "weights" / "autoencoder.weights.h5"
# Of the divergence in what is minimised: twice the variance of a bin around what is drawn of it,
# about (O. Rybkin et al., "Simple and effective VAE training with calibrated decoders", ICML 2021).
BETA = 4.0
SPEEDS = (0.9, 1.0, 1.1)
RUNNING = 250  # frames at most that are taken out of running speech, as of a phrase
TOGETHER = 256  # windows a call
FLAT = 1e-3  # nats squared: least variance
SHOWN = 500  # steps between lines of the log

Windows = NDArray[np.float32]  # (n, frames, MELS)
Points = NDArray[np.float32]  # (n, dimension)


@dataclass(frozen=True, slots=True)
class AutoencoderPlan:
    """How long and how hard to train."""

    shape: AutoencoderShape = field(default_factory=AutoencoderShape)
    steps: int = 3_000
    batch: int = 64
    rate: float = 2e-3  # at the beginning
    warmup: float = 0.1  # share of the steps in which the divergence comes to count
    checked: int = 1_024  # windows of speakers held out
    seed: int = 0


class Novelty(NamedTuple):
    """Scores of a phrase, the higher the less it is like what was learned."""

    error: float  # of the reconstruction, squared, the mean over bins in nats squared
    share: float  # of the bins' variance that the error is: what is flat is drawn easily
    bound: float  # the error and the divergence from the prior: what training minimised


class Autoencoder:
    """An encoder and a decoder, and the latent space between them.

    Points of speech are about normally distributed around the origin, with unit variance.
    """

    def __init__(self, shape: AutoencoderShape) -> None:
        """With weights drawn at random."""
        self.shape = shape
        self.encoder, self.decoder = network.encoder(shape), network.decoder(shape)
        # As graphs: layer by layer a window takes ten times as long.
        self._encoded, self._decoded = (
            tf.function(partial(model, training=False), reduce_retracing=True)
            for model in (self.encoder, self.decoder)
        )

    def windows(self, heard: Features) -> Windows:
        """Return log-mel features of a phrase (frames, MELS) as ``encode`` takes them, (n, ...)."""
        level_free = features.level_free(heard)
        return np.stack(features.fit_frames(level_free, self.shape.frames))

    def encode(self, windows: Windows) -> Points:
        """Return the means of the windows' posteriors, (n, dimension)."""
        return self._posterior(windows)[0]

    def decode(self, points: Points) -> Windows:
        """Return level-free log-mel features of points, (n, frames, MELS)."""
        return _in_parts(self._decoded, points)

    def embed_features(self, heard: Features) -> Points:
        """One point of a phrase, (dimension,): the mean over its windows."""
        return np.asarray(self.encode(self.windows(heard)).mean(axis=0), np.float32)

    def novelty(self, heard: Features) -> Novelty:
        """Return how unlike the speech that was learned from a phrase is, given by its features."""
        windows = self.windows(heard)
        means, logarithms = self._posterior(windows)
        error = float(np.mean((self.decode(means) - windows) ** 2))
        nats = 0.5 * np.sum(means**2 + np.exp(logarithms) - logarithms - 1, axis=1)
        bound = error + BETA * float(nats.mean()) / windows[0].size
        return Novelty(error, error / max(float(windows.var()), FLAT), bound)

    def _posterior(self, windows: Windows) -> tuple[Points, Points]:
        """Means and logarithms of variances."""
        means, logarithms = np.split(_in_parts(self._encoded, windows), 2, axis=1)
        return means, logarithms

    def save(self, path: Path) -> None:
        """Write the weights."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._whole().save_weights(path)
        # Keras has no place for it in such a file, and other features would be other pictures.
        with h5py.File(path, "a") as file:
            file.attrs.update(features.constants())

    def restore(self, path: Path) -> None:
        """Read the weights. Raises EncoderError."""
        advice = "train them with 'kaimen-train latent fit'"
        if not path.exists():
            raise EncoderError(f"{path}: no autoencoder's weights there; {advice}")
        try:
            with h5py.File(path) as file:
                learned = {name: file.attrs[name] for name in features.constants()}
            self._whole().load_weights(path)
        except (OSError, ValueError, KeyError):
            raise EncoderError(f"{path}: not this autoencoder's weights; {advice}") from None
        if learned != features.constants():
            raise EncoderError(f"{path}: trained with other features; {advice}")

    def _whole(self) -> keras.Model:
        means, _ = tf.split(self.encoder.output, 2, axis=1)
        return keras.Model(self.encoder.input, self.decoder(means))


def load(path: Path = WEIGHTS, shape: AutoencoderShape | None = None) -> Autoencoder:
    """Return the autoencoder that was trained. Raises EncoderError."""
    made = Autoencoder(shape or AutoencoderShape())
    made.restore(path)
    return made


def _in_parts(
    model: Callable[[tf.Tensor], tf.Tensor], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    parts = [tf.constant(values[at : at + TOGETHER]) for at in range(0, len(values), TOGETHER)]
    return np.concatenate([model(part).numpy() for part in parts])


class Pictures:
    """Draws windows from clips: every corpus by its weight, every voice of it alike."""

    def __init__(
        self, clips: Clips, chosen: Sequence[int], shape: AutoencoderShape, seed: int
    ) -> None:
        """``chosen`` are the indices of the clips to draw from."""
        self._random = np.random.default_rng(seed)
        self._speech = Speech(clips.only(np.array(chosen, np.int64)), self._random)
        self._frames = shape.frames
        self._heard: dict[int, NDArray[np.float16]] = {}

    def draw(self, count: int) -> Windows:
        """Return windows as the gate's features, (count, frames, MELS)."""
        return np.stack([self._window() for _ in range(count)])

    def _window(self) -> Features:
        speech, random = self._speech, self._random
        voices = speech.voices[speech.names[random.choice(len(speech.names), p=speech.weights)]]
        _, own = voices[random.integers(len(voices))]
        phrase = self._features(own)
        if len(phrase) < self._frames and random.random() < JOINED:
            phrase = np.concatenate((phrase, self._features(own)))
        phrase = features.level_free(_piece(phrase, RUNNING, random))
        if len(phrase) < self._frames:
            return features.fit_frames(phrase, self._frames)[0]
        return _piece(phrase, self._frames, random)

    def _features(self, own: Sequence[int]) -> Features:
        index = own[self._random.integers(len(own))]
        if index not in self._heard:
            heard = features.log_mel(long_enough(self._speech.clips[index]))
            self._heard[index] = heard.astype(np.float16)
        return self._heard[index].astype(np.float32)


def _piece(values: Features, frames: int, random: np.random.Generator) -> Features:
    if len(values) <= frames:
        return values
    start = random.integers(len(values) - frames + 1)
    return values[start : start + frames]


def pictures(
    rows: Sequence[Row], folder: Path, shape: AutoencoderShape, *, held: bool, seed: int = 0
) -> Pictures:
    """Return windows of the train split: of its held-out speakers as spoken, or of all others.

    Raises SettingsError where there are none.
    """
    train = [row for row in of_split(rows, "train") if row.corpus != NOISE]
    if not train:
        raise SettingsError("the manifest has no speech to train on; see docs/how/latent.md")
    apart = held_out(train)
    clips = cut(train, folder / "corpus")
    chosen = [
        index
        for index, label in enumerate(clips.labels)
        if ((label["corpus"], voice_of(label)) in apart) == held
        and label["speed"] in ((1.0,) if held else SPEEDS)
    ]
    if not chosen:
        raise SettingsError("too few speakers to hold some out; see docs/how/latent.md")
    return Pictures(clips, chosen, shape, seed)


def fit(
    rows: Sequence[Row], folder: Path, out: Path = WEIGHTS, plan: AutoencoderPlan | None = None
) -> float:
    """Train on the train split, write the weights; the error on speakers held out.

    Raises SettingsError.
    """
    plan = plan or AutoencoderPlan()
    keras.utils.set_random_seed(plan.seed)
    learned = pictures(rows, folder, plan.shape, held=False, seed=plan.seed)
    unseen = pictures(rows, folder, plan.shape, held=True, seed=plan.seed).draw(plan.checked)
    with loop.half_precision():
        made = Autoencoder(plan.shape)
    variables = made.encoder.trainable_variables + made.decoder.trainable_variables
    schedule = keras.optimizers.schedules.CosineDecay(plan.rate, plan.steps)
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=5.0, jit_compile=False)
    optimizer.build(variables)

    @tf.function
    def learn(windows: tf.Tensor, beta: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            means, logarithms = tf.split(made.encoder(windows, training=True), 2, axis=1)
            drawn = means + tf.exp(logarithms / 2) * tf.random.normal(tf.shape(means))
            error = tf.reduce_mean((made.decoder(drawn, training=True) - windows) ** 2)
            spread = means**2 + tf.exp(logarithms) - logarithms - 1
            nats = 0.5 * tf.reduce_mean(tf.reduce_sum(spread, axis=1))
            bins = plan.shape.frames * features.MELS
            loss = error + beta * nats / bins
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return error, nats

    def step(number: int) -> dict[str, float]:
        beta = BETA * min(1.0, (number + 1) / (plan.warmup * plan.steps))
        error, nats = learn(tf.constant(learned.draw(plan.batch)), tf.constant(beta, tf.float32))
        return {"error": float(error), "nats": float(nats)}

    loop.train(step, lambda steps: steps, plan.steps, shown=SHOWN)
    with suppress(FileNotFoundError):
        out.unlink()
    made.save(out)
    exact = load(out, plan.shape)
    error = float(np.mean((exact.decode(exact.encode(unseen)) - unseen) ** 2))
    log.info("error %.3f on speakers held out", error)
    return error
