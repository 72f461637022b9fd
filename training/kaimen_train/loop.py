"""One way to train: how the rate goes, how steps follow each other, and what is kept of a run."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from tensorflow import keras

log = logging.getLogger(__name__)

Given = TypeVar("Given")


def warmed(
    step: tf.Tensor, rate: float, *, warmup: int, steps: int, least: float = 0.002
) -> tf.Tensor:
    """Return the learning rate at a step: a straight rise to ``rate``, then half a cosine down.

    It ends at the share ``least`` of ``rate``.
    """
    done = tf.cast(step, tf.float32)
    falling = 0.5 * (1 + tf.cos(math.pi * done / steps)) + least
    return rate * tf.minimum(1.0, (done + 1) / warmup) * falling


class Warmed(keras.optimizers.schedules.LearningRateSchedule):
    """``warmed``, for an optimizer of Keras."""

    def __init__(self, rate: float, *, warmup: int, steps: int) -> None:
        self.rate, self.warmup, self.steps = rate, warmup, steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the rate at a step."""
        return warmed(step, self.rate, warmup=self.warmup, steps=self.steps)


@contextmanager
def half_precision() -> Iterator[None]:
    """Make layers in here that compute in bfloat16: twice as fast, and as good."""
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(policy)


def average(
    means: Sequence[tf.Variable], weights: Sequence[tf.Variable], step: tf.Tensor, most: float
) -> None:
    """Move means of weights on by a step; they grow longer with the run, up to ``most``."""
    keep = tf.minimum(most, (1 + step) / (10 + step))
    for mean, weight in zip(means, weights, strict=True):
        mean.assign(keep * mean + (1 - keep) * weight)


def checkpoints(folder: Path, **state: Any) -> tf.train.CheckpointManager:
    """Return what keeps the last two states of a run in a folder; ``state`` is what they are of."""
    return tf.train.CheckpointManager(tf.train.Checkpoint(**state), str(folder), max_to_keep=2)


def train(
    learn: Callable[[Given], Mapping[str, float]],
    batches: Callable[[range], Iterable[Given]],
    steps: int,
    *,
    shown: int,
    saved: int = 0,
    kept: tf.train.CheckpointManager | None = None,
    then: Callable[[int], None] = lambda done: None,
) -> None:
    """Take every step that is left, each with what ``batches`` yields for it.

    Where checkpoints are kept, a run begins with the last of them, and one is written every
    ``saved`` steps; the ``step`` in them says how many are done, and ``learn`` counts it. Every
    ``shown`` steps the means of what ``learn`` returned are logged. ``then`` is told how many steps
    are done after each.
    """
    if kept is not None:
        kept.restore_or_initialize()
    left = range(0 if kept is None else int(kept.checkpoint.step.numpy()), steps)
    began = time.monotonic()
    recent: list[Mapping[str, float]] = []
    for step, batch in zip(left, batches(left), strict=True):
        recent.append(learn(batch))
        done = step + 1
        if done % shown == 0 or done == steps:
            means = {name: float(np.mean([each[name] for each in recent])) for name in recent[0]}
            figures = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
            speed = (done - left.start) / (time.monotonic() - began)
            log.info("step %d/%d  %s  %.1f steps/s", done, steps, figures, speed)
            recent.clear()
        if kept is not None and (done % saved == 0 or done == steps):
            kept.save()
        then(done)
