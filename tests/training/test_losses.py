"""What training asks of a batch, against sums written out."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from kaimen_train.encoder import losses  # noqa: E402


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=shape)
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


POINTS, CENTRES = unit(6, 8), unit(4, 8, seed=1)
LABELS = np.array([0, 1, 2, 3, 1, 0], np.int32)


def margin_softmax(points: np.ndarray, labels: np.ndarray, margin: float) -> float:
    return float(losses.margin_softmax(points, CENTRES, labels, tf.constant(margin)))


def slow_softmax(points: np.ndarray, labels: np.ndarray, margin: float) -> float:
    """Mean cross-entropy over points with a label, one after another."""
    found = []
    for point, label in zip(points.astype(float), labels, strict=True):
        if label >= 0:
            cosines = CENTRES.astype(float) @ point
            cosines[label] = np.cos(np.arccos(cosines[label]) + margin)
            powers = np.exp(losses.SCALE * cosines)
            found.append(-np.log(powers[label] / powers.sum()))
    return float(np.mean(found))


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_the_margin_softmax_is_a_cross_entropy(margin: float) -> None:
    expected = slow_softmax(POINTS, LABELS, margin)
    assert margin_softmax(POINTS, LABELS, margin) == pytest.approx(expected, rel=1e-4)


def test_a_margin_asks_for_more() -> None:
    wanted = [margin_softmax(POINTS, LABELS, margin) for margin in (0.0, 0.2, 0.4)]
    assert wanted == sorted(wanted) and wanted[0] < wanted[2]


def test_voices_nobody_named_belong_to_no_class() -> None:
    unknown = np.where(np.arange(6) < 2, -1, LABELS).astype(np.int32)
    expected = slow_softmax(POINTS[2:], LABELS[2:], 0.2)
    assert margin_softmax(POINTS, unknown, 0.2) == pytest.approx(expected, rel=1e-4)


def test_a_batch_without_a_name_asks_nothing() -> None:
    nobody = np.full(6, -1, np.int32)
    assert margin_softmax(POINTS, nobody, 0.2) == 0
    assert contrast(POINTS, nobody) == 0


def test_a_point_on_its_centre_has_a_gradient() -> None:
    with tf.GradientTape() as tape:
        points = tf.constant(CENTRES)
        tape.watch(points)
        found = losses.margin_softmax(points, tf.constant(CENTRES), tf.range(4), tf.constant(0.2))
    assert np.isfinite(tape.gradient(found, points)).all()


def contrast(points: np.ndarray, voices: np.ndarray) -> float:
    return float(losses.contrast(tf.constant(points), tf.constant(voices, tf.int32)))


def slow_contrast(points: np.ndarray, voices: list[int]) -> float:
    """Each take with a second one of its voice: how likely they find each other."""
    found = []
    count = len(voices)
    for one in range(count):
        powers = np.exp(points.astype(float) @ points[one] / losses.TEMPERATURE)
        others = [other for other in range(count) if other != one]
        own = [other for other in others if voices[one] == voices[other] >= 0]
        if own:
            total = sum(powers[other] for other in others)
            found.append(-np.mean([np.log(powers[other] / total) for other in own]))
    return float(np.mean(found))


@pytest.mark.parametrize(
    "voices",
    [[0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2], [0, 0, -1, -1, 1, 1], [-1, -1, 3, -1, 3, -1]],
)
def test_the_contrast_is_how_likely_takes_of_a_voice_find_each_other(voices: list[int]) -> None:
    expected = slow_contrast(POINTS, voices)
    assert contrast(POINTS, np.array(voices)) == pytest.approx(expected, rel=1e-4)


def test_voices_that_cluster_have_less_contrast_left() -> None:
    voices = np.repeat(np.arange(4), 2)
    centres = np.repeat(np.eye(4, 8, dtype=np.float32), 2, axis=0)
    apart = contrast(centres, voices)
    mixed = contrast(centres, np.tile(np.arange(4), 2))
    assert apart < 0.001 < mixed


def test_similarity_asks_only_how_points_lie_to_each_other() -> None:
    turned = POINTS @ np.linalg.qr(np.random.default_rng(2).normal(size=(8, 8)))[0]
    assert float(losses.similarity(POINTS, turned.astype(np.float32))) == pytest.approx(
        0, abs=1e-10
    )


def test_similarity_is_the_squared_difference_of_all_cosines() -> None:
    teacher = unit(6, 256, seed=3)  # of another dimension
    pairs = [
        (float(POINTS[i] @ POINTS[j]) - float(teacher[i] @ teacher[j])) ** 2
        for i in range(6)
        for j in range(6)
    ]
    assert float(losses.similarity(POINTS, teacher)) == pytest.approx(np.mean(pairs), rel=1e-4)
