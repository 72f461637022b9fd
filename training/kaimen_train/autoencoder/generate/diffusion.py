"""Diffusion models of students' numbers: of nobody known, and given one recording of theirs.

The preconditioning of Karras et al. (2022, see ``kaimen.bench.shapes``) is that of unit variance,
so an untrained network is the normal distribution, and training adds only what that lacks. One
network for both was tried, half of its students with a recording: it learned less of either.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow import keras

from kaimen.bench.shapes import Layers, Points, seen_by_denoiser
from kaimen_train.autoencoder.generate.numbers import Numbers
from kaimen_train.progress import track

STEPS = 2_500
BATCH = 256
WIDTH = 256
DROPPED = 0.2  # share of a layer: 500 speakers are soon learned by heart
RATE = 2e-3
AVERAGED = 7.5  # the longer the training, the longer the average of the weights
LEVELS = (-0.2, 1.2)  # mean and deviation of the noise's logarithm


def fit(numbers: Numbers, steps: int = STEPS, seed: int = 0) -> Layers:
    """Train a denoiser of students of whom nothing is known; returns its layers."""
    return _fit(lambda random: (numbers.students(BATCH, random), None), numbers, steps, seed)


def fit_further(numbers: Numbers, steps: int = STEPS, seed: int = 0) -> Layers:
    """Train one of what a student's first recording leaves open; returns its layers."""
    return _fit(lambda random: numbers.known_by_one(BATCH, random), numbers, steps, seed)


_Draw = Callable[[np.random.Generator], tuple[Points, Points | None]]


def _fit(draw: _Draw, numbers: Numbers, steps: int, seed: int) -> Layers:
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    count = numbers.takes.shape[1]
    network = keras.Sequential(
        [
            keras.Input((_task(*draw(random), random)[0].shape[1],)),
            keras.layers.Dense(WIDTH, "swish"),
            keras.layers.Dropout(DROPPED),
            keras.layers.Dense(WIDTH, "swish"),
            keras.layers.Dropout(DROPPED),
            keras.layers.Dense(count, kernel_initializer="zeros"),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=1e-2, use_ema=True, ema_momentum=1 - AVERAGED / steps
    )
    optimizer.build(network.trainable_variables)

    @tf.function
    def learn(heard: tf.Tensor, wanted: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((network(heard, training=True) - wanted) ** 2)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))

    for _ in track(range(steps), "learning how students are spread"):
        heard, wanted = _task(*draw(random), random)
        learn(tf.constant(heard), tf.constant(wanted))
    optimizer.finalize_variable_values(network.trainable_variables)
    weights = network.get_weights()
    return list(zip(weights[::2], weights[1::2], strict=True))


def _task(
    students: Points, given: Points | None, random: np.random.Generator
) -> tuple[Points, Points]:
    """Return what the network hears of students under noise, and what it should say."""
    noise = np.exp(random.normal(*LEVELS, (len(students), 1))).astype(np.float32)
    noisy = students + noise * random.standard_normal(students.shape, np.float32)
    wanted = (students - noisy / (1 + noise**2)) * np.sqrt(1 + noise**2) / noise
    return seen_by_denoiser(noisy, noise, given), wanted.astype(np.float32)
