"""The rate of a training, its steps, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from kaimen_train import loop  # noqa: E402

STEPS = 7


class Counting:
    """A training whose weight is the sum of what it was given."""

    def __init__(self, folder: Path, *, killed_before: int | None = None) -> None:
        self.step = tf.Variable(0, dtype=tf.int64)
        self.weight = tf.Variable(0.0)
        self.kept = loop.checkpoints(folder, weight=self.weight, step=self.step)
        self.killed_before = killed_before
        self.asked: list[range] = []
        self.done: list[int] = []

    def batches(self, steps: range) -> Iterable[int]:
        self.asked.append(steps)
        for step in steps:
            if step == self.killed_before:
                raise KeyboardInterrupt
            yield 10**step

    def learn(self, batch: int) -> dict[str, float]:
        self.weight.assign_add(batch)
        self.step.assign_add(1)
        return {"loss": float(batch)}

    def run(self) -> float:
        loop.train(
            self.learn,
            self.batches,
            STEPS,
            shown=2,
            saved=3,
            kept=self.kept,
            then=self.done.append,
        )
        return float(self.weight.numpy())


def test_a_killed_training_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Counting(tmp_path, killed_before=5).run()
    again = Counting(tmp_path)
    assert again.run() == 1_111_111
    assert again.asked == [range(3, STEPS)]
    assert again.done == [4, 5, 6, 7]


def test_a_training_that_is_done_takes_no_step(tmp_path: Path) -> None:
    Counting(tmp_path).run()
    again = Counting(tmp_path)
    assert again.run() == 1_111_111
    assert again.done == []


def test_what_is_logged_is_the_mean_since_the_last_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger=loop.__name__):
        Counting(tmp_path).run()
    lines = [record.getMessage().partition("  loss ")[::2] for record in caplog.records]
    assert [(line, float(rest.split()[0])) for line, rest in lines] == [
        ("step 2/7", 5.5),
        ("step 4/7", 550),
        ("step 6/7", 55_000),
        ("step 7/7", 1_000_000),
    ]


def test_fewer_batches_than_steps_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        loop.train(lambda _: {}, lambda _: [1, 2], 3, shown=100)


def test_the_rate_rises_in_a_line_and_falls_to_nearly_nothing() -> None:
    schedule = loop.Warmed(1e-2, warmup=10, steps=100)
    rate = [float(schedule(tf.constant(step))) for step in range(100)]
    assert int(np.argmax(rate)) == 9
    assert rate[9] == pytest.approx(1e-2, rel=0.03)
    assert rate[0] == pytest.approx(1e-3, rel=0.03)
    assert rate[-1] < 1e-4


def test_an_average_begins_with_the_weights_and_grows_longer() -> None:
    mean, weight = [tf.Variable(0.0)], [tf.Variable(1.0)]
    found = []
    for step in (0.0, 90.0, 1e9):
        mean[0].assign(0.0)
        loop.average(mean, weight, tf.constant(step), most=0.99)
        found.append(float(mean[0].numpy()))
    assert found == pytest.approx([0.9, 0.09, 0.01], abs=1e-6)
