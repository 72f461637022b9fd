"""What training asks of a batch of points."""

from __future__ import annotations

import tensorflow as tf

SCALE = 30.0  # of the margin softmax
TEMPERATURE = 0.08  # of the contrast within a batch


def margin_softmax(
    points: tf.Tensor, centres: tf.Tensor, labels: tf.Tensor, margin: tf.Tensor
) -> tf.Tensor:
    """Return additive angular margin softmax; labels of -1 do not count.

    points (batch, d) and centres (classes, d) are unit-length, margin in radians.
    J. Deng et al., "ArcFace", CVPR 2019.
    """
    cosines = tf.clip_by_value(points @ tf.transpose(centres), -0.9999, 0.9999)
    known = labels >= 0
    own = tf.one_hot(tf.maximum(labels, 0), tf.shape(centres)[0], on_value=True, off_value=False)
    harder = tf.cos(tf.acos(cosines) + margin)
    logits = SCALE * tf.where(own, harder, cosines)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    return _mean(losses, known)


def contrast(points: tf.Tensor, voices: tf.Tensor) -> tf.Tensor:
    """Supervised contrastive loss: takes of one voice attract, others repel.

    P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020. points (batch, d) are
    unit-length; voices (batch,) are equal for the same voice, -1 where nobody knows whose.
    """
    count = tf.shape(points)[0]
    others = 1 - tf.eye(count)
    logits = points @ tf.transpose(points) / TEMPERATURE - 1e9 * tf.eye(count)
    logs = logits - tf.reduce_logsumexp(logits, axis=1, keepdims=True)
    same = tf.cast(voices[:, None] == voices[None, :], tf.float32) * others
    same *= tf.cast(voices >= 0, tf.float32)[:, None]
    matches = tf.reduce_sum(same, 1)
    return -_mean(tf.reduce_sum(same * logs, 1) / tf.maximum(matches, 1), matches > 0)


def similarity(points: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Return squared difference of all pairs' cosines, the student's and the teacher's."""
    ours, theirs = (every @ tf.transpose(every) for every in (points, teacher))
    return tf.reduce_mean(tf.square(ours - theirs))


def _mean(values: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    weight = tf.cast(counted, tf.float32)
    return tf.reduce_sum(values * weight) / tf.maximum(tf.reduce_sum(weight), 1)
