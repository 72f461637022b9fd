"""A small adversarial model of students' numbers: WGAN-GP (Gulrajani et al., 2017).

The generator adds to normal numbers, so untrained it is the normal distribution.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow import keras

from kaimen.bench.shapes import Layers
from kaimen_train.autoencoder.generate.numbers import Numbers
from kaimen_train.progress import track

STEPS = 1_500
CRITICISED = 3  # times for each step of the generator
BATCH = 256
WIDTH = 128
RATE = 5e-4
PENALTY = 10.0  # on how far the critic's slope is from one


def fit(numbers: Numbers, steps: int = STEPS, seed: int = 0) -> Layers:
    """Train a generator; returns its layers."""
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    count = numbers.takes.shape[1]
    generator, critic = _network(count, count, "zeros"), _network(count, 1, "glorot_uniform")
    optimizers = [
        keras.optimizers.Adam(RATE, beta_1=0.5, beta_2=0.9, use_ema=True, ema_momentum=0.99)
        for _ in range(2)
    ]
    for optimizer, network in zip(optimizers, (generator, critic), strict=True):
        optimizer.build(network.trainable_variables)

    def generated(size: int) -> tf.Tensor:
        start = tf.random.normal((size, count))
        return start + generator(start)

    @tf.function
    def criticise(real: tf.Tensor) -> None:
        drawn = generated(BATCH)
        share = tf.random.uniform((BATCH, 1))
        with tf.GradientTape() as tape:
            between = share * real + (1 - share) * drawn
            with tf.GradientTape() as inner:
                inner.watch(between)
                judged = critic(between)
            slopes = tf.norm(inner.gradient(judged, between), axis=1)
            loss = tf.reduce_mean(critic(drawn)) - tf.reduce_mean(critic(real))
            loss += PENALTY * tf.reduce_mean((slopes - 1) ** 2)
        _apply(optimizers[1], tape.gradient(loss, critic.trainable_variables), critic)

    @tf.function
    def generate() -> None:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(critic(generated(BATCH)))
        _apply(optimizers[0], tape.gradient(loss, generator.trainable_variables), generator)

    for _ in track(range(steps), "learning to make students up"):
        for _ in range(CRITICISED):
            criticise(tf.constant(numbers.students(BATCH, random)))
        generate()
    optimizers[0].finalize_variable_values(generator.trainable_variables)
    weights = generator.get_weights()
    return list(zip(weights[::2], weights[1::2], strict=True))


def _network(inputs: int, outputs: int, begin: str) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(WIDTH, "swish"),
            keras.layers.Dense(WIDTH, "swish"),
            keras.layers.Dense(outputs, kernel_initializer=begin),
        ]
    )


def _apply(
    optimizer: keras.optimizers.Optimizer, gradients: list[tf.Tensor], network: keras.Model
) -> None:
    optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
