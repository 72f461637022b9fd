"""A run on a corpus as small as can be, with a network as small as can be."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
pytest.importorskip("scipy")

from kaimen_train.cli import main  # noqa: E402
from kaimen_train.data.corpus import Row  # noqa: E402
from kaimen_train.data.speakers import HELD_OUT, held_out  # noqa: E402
from kaimen_train.encoder import fit as training  # noqa: E402
from kaimen_train.encoder.fit import EncoderPlan, Fit, fit  # noqa: E402
from kaimen_train.networks import Rung, deep  # noqa: E402
from tests.training.tiny import FRAMES, Batches  # noqa: E402

pytestmark = [
    # Keras 2.14 seeds itself in a way that Python has come to dislike.
    pytest.mark.filterwarnings("ignore:non-integer arguments to randrange"),
]

SMALL = deep.DeepShape(front=2, channels=8, blocks=1, squeeze=4, pooled=16, dimension=8)
RUNG = Rung("small", "a deep encoder as small as can be", 1, partial(deep.build, shape=SMALL))
PLAN = EncoderPlan(steps=4, warmup=1, save_every=2, check_every=4)


def weights_of(path: Path) -> list[np.ndarray]:
    network = RUNG.make(FRAMES)
    network.load_weights(path)
    return network.get_weights()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    tiny_rows: list[Row], batches: Batches, tmp_path: Path
) -> None:
    batches.killed_before = 3
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_rows, tmp_path / "killed", PLAN, RUNG, frames=FRAMES)
    assert batches.steps == [0, 1, 2]
    assert not list(tmp_path.rglob("*.h5"))

    batches.killed_before = None
    batches.steps.clear()
    resumed = fit(tiny_rows, tmp_path / "killed", PLAN, RUNG, frames=FRAMES)
    assert batches.steps == [2, 3]  # from the checkpoint after two

    whole = fit(tiny_rows, tmp_path / "whole", PLAN, RUNG, frames=FRAMES)
    for one, other in zip(weights_of(resumed), weights_of(whole), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_a_run_leaves_its_weights_and_its_plan(
    tiny_rows: list[Row], batches: Batches, tmp_path: Path
) -> None:
    path = fit(tiny_rows, tmp_path, PLAN, RUNG, frames=FRAMES)
    weights = weights_of(path)
    assert all(np.isfinite(weight).all() for weight in weights)
    kept = json.loads((tmp_path / "small" / "plan.json").read_text(encoding="utf-8"))
    assert EncoderPlan(**kept) == PLAN


@pytest.mark.slow
def test_a_run_that_is_done_trains_no_further(
    tiny_rows: list[Row], batches: Batches, tmp_path: Path
) -> None:
    first = weights_of(fit(tiny_rows, tmp_path, PLAN, RUNG, frames=FRAMES))
    batches.steps.clear()
    again = weights_of(fit(tiny_rows, tmp_path, PLAN, RUNG, frames=FRAMES))
    assert batches.steps == []
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_nobody_held_out_and_nobody_of_eval_is_trained_on(
    tiny_rows: list[Row], batches: Batches, tmp_path: Path
) -> None:
    fit(tiny_rows, tmp_path, PLAN, RUNG, frames=FRAMES)
    apart = held_out([row for row in tiny_rows if row.split == "train"])
    assert len(apart) == 2 + 1  # of six and of three
    assert batches.clips is not None
    trained = {(label["corpus"], label["speaker"]) for label in batches.clips.labels}
    everybody = {(row.corpus, row.speaker) for row in tiny_rows if row.split == "train"}
    assert trained == everybody - apart - {("noise", "")}
    assert max(map(np.max, batches.given)) < len(batches.clips)


def voices(corpus: str, count: int) -> list[Row]:
    return [Row("", Path(), corpus, "train", f"{corpus}-{n}", "") for n in range(count)]


def test_the_held_out_are_always_the_same() -> None:
    rows = voices("mandarin20", 13) + voices("commands", 200)
    chosen = held_out(rows)
    assert held_out(rows[::-1]) == chosen
    assert sum(corpus == "mandarin20" for corpus, _ in chosen) == HELD_OUT["mandarin20"]
    assert sum(corpus == "commands" for corpus, _ in chosen) == HELD_OUT["commands"]


@pytest.mark.parametrize("count", range(1, 8))
def test_a_small_corpus_keeps_two_thirds_of_its_speakers(count: int) -> None:
    assert len(held_out(voices("mandarin20", count))) == min(2, count // 3)


def test_other_corpora_and_voices_without_a_name_are_all_trained_on() -> None:
    nameless = [Row("", Path(), "commands", "train", "", "")] * 9
    assert held_out(voices("others", 40) + nameless) == set()


@pytest.mark.slow
@pytest.mark.usefixtures("batches")
def test_training_learns_what_it_is_shown(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 4)
    kinds = random.normal(size=(4, 1, 64))  # a spectrum for each voice
    heard = kinds[labels] + 0.3 * random.normal(size=(16, FRAMES, 64))
    taught = np.eye(4, 256, dtype=np.float32)[labels]
    plan = EncoderPlan(steps=60, warmup=5, rate=1e-2)
    run = Fit(plan, RUNG.make, classes=4, taught=256, folder=tmp_path)
    losses = [run.learn(heard, labels, taught) for _ in range(40)]
    assert losses[-1]["teacher"] < 0.5 * losses[0]["teacher"]
    assert losses[-1]["contrast"] < losses[0]["contrast"]
    assert int(run.step.numpy()) == 40


@pytest.mark.slow
@pytest.mark.usefixtures("batches")
def test_the_encoder_has_the_averaged_weights_in_whole_precision(tmp_path: Path) -> None:
    run = Fit(PLAN, RUNG.make, classes=2, taught=256, folder=tmp_path)
    for number, mean in enumerate(run.averaged):
        mean.assign(tf.fill(mean.shape, 0.01 * (number + 1)))
    encoder = run.encoder(FRAMES)
    for number, weight in enumerate(encoder.get_weights()):
        np.testing.assert_allclose(weight, 0.01 * (number + 1))
    assert encoder.input_shape[1] == FRAMES
    assert {layer.compute_dtype for layer in encoder.layers} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in run.network.layers}
    assert tf.keras.mixed_precision.global_policy().name == "float32"


@pytest.mark.parametrize(("given", "steps"), [([], EncoderPlan().steps), (["--steps", "7"], 7)])
def test_the_command_trains_for_the_steps_asked_for_or_as_it_shipped(
    given: list[str], steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, asked = tmp_path / "manifest.csv", []
    manifest.write_text("path,corpus,split,speaker,text\n", encoding="utf-8")
    monkeypatch.setattr(training, "fit", lambda rows, folder, plan, rung: asked.append(plan.steps))
    assert main.main(["fit", str(manifest), "--model", "small", *given]) == 0
    assert asked == [steps]
