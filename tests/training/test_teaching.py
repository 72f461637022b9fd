"""What a school could teach: who is taught by whom, and that gains and losses are seen as such."""

from __future__ import annotations

import numpy as np
import pytest

from kaimen_train.adapt import teaching
from kaimen_train.adapt.many_voices import TAKES, ManyVoices
from kaimen_train.points import unit

SPEAKERS, WIDE, DIMENSION = 90, 24, 16


def voices(nuisance: float) -> ManyVoices:
    """Speakers whose takes differ in two directions that tell nobody apart."""
    random = np.random.default_rng(1)
    centres = random.standard_normal((SPEAKERS, 1, WIDE))
    takes = centres + 0.5 * random.standard_normal((SPEAKERS, TAKES, WIDE))
    takes[..., :2] = nuisance * random.standard_normal((SPEAKERS, TAKES, 2))
    kernel = np.eye(WIDE, DIMENSION)
    return ManyVoices(
        takes.reshape(-1, WIDE).astype(np.float32),
        np.arange(SPEAKERS * TAKES),
        kernel.astype(np.float32),
        np.zeros(DIMENSION, np.float32),
    )


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "SIZES", {20: 2, 40: 1})
    monkeypatch.setattr(teaching, "POOL", 40)
    monkeypatch.setattr(teaching, "ROUNDS", 20)
    monkeypatch.setattr(teaching, "STEPS", 20)


def test_a_school_is_taught_what_tells_nobody_apart_and_an_interval_says_so() -> None:
    heard = voices(4.0)
    found = teaching.teach(heard, heard.points())
    assert found["strangers"] == SPEAKERS - 40
    rows = found["schools"]["40"]
    assert rows["as it was"]["change"] == 0
    assert rows["an encoder that heard them in training"]["fnir"] == rows["as it was"]["fnir"]
    whitened = rows["whitening within students"]
    assert whitened["fnir"] < rows["as it was"]["fnir"]
    assert whitened["change_interval"][1] < 0
    assert set(found["schools"]) == {"20", "40"}


def test_points_of_several_windows_are_their_mean_of_unit_length() -> None:
    heard = voices(0.0)
    pooled = np.repeat(heard.pooled, 2, axis=0)
    twice = ManyVoices(pooled, heard.starts * 2, heard.kernel, heard.bias)
    np.testing.assert_allclose(twice.points(), heard.points(), atol=1e-6)
    assert heard.points().shape == (SPEAKERS, TAKES, DIMENSION)


def test_who_is_nearer_to_another_student_is_missed() -> None:
    points = unit(np.random.default_rng(0).standard_normal((4, TAKES, 8)).astype(np.float32))
    points[:, :] = points[:, :1]  # all takes alike
    points[0, -1] = points[1, 0]
    found = teaching.visits(points, np.array([0, 1]), np.array([2, 3]))
    assert found.own[0] == -np.inf and found.own[1] == pytest.approx(1)
    assert found.strangers.shape == (2, TAKES)


def test_a_school_that_gains_nothing_keeps_the_last_layer() -> None:
    heard = voices(0.0)
    before = heard.points()
    after = teaching._last_layer(heard, before, np.arange(40))
    if after is not before:
        errors = [
            teaching._pair_error(
                points[40:].reshape(-1, DIMENSION), np.repeat(np.arange(50), TAKES)
            )
            for points in (before, after)
        ]
        assert errors[1] <= errors[0] + 0.02
