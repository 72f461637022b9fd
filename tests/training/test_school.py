"""Populations fitted to voices whose truth is known, forecasts, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("tensorflow")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from kaimen.bench import shapes, synthetic
from kaimen.bench.synthetic import Population
from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE
from kaimen.voice.encoder import Encoder
from kaimen_train.autoencoder import generate
from kaimen_train.autoencoder.generate import compare, judge
from kaimen_train.autoencoder.generate.numbers import Numbers, uncorrected
from kaimen_train.cli import main
from kaimen_train.data.corpus import Row, read_manifest
from kaimen_train.evaluation.evaluate import Embedded, EvalSpeech
from kaimen_train.school import forecast, school, variance
from kaimen_train.school.school import LabelledPoints
from tests.sounds import in_a_room, silence, spoken

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
    # Keras draws its seeds so.
    pytest.mark.filterwarnings("ignore:non-integer arguments to randrange"),
]

DIMENSION = 16
SPEAKERS = 400
TAKES = 6


@pytest.fixture(scope="module")
def truth() -> Population:
    random = np.random.default_rng(3)
    mean = np.zeros(DIMENSION, np.float32)
    mean[0] = np.sqrt(0.3)
    widths = np.linspace(2, 0.2, DIMENSION)
    widths[0] = 0
    between = np.diag(widths) * np.sqrt(0.7) / np.linalg.norm(widths)
    turned, _ = np.linalg.qr(random.standard_normal((DIMENSION, DIMENSION)))
    return Population(
        encoder="truth",
        speakers=0,
        recordings=0,
        mean=mean,
        between=between.astype(np.float32),
        within=(turned * np.linspace(1, 2, DIMENSION)).astype(np.float32),
        manners=6,
        near=0.75,
        near_students=0.004,
        near_recordings=0.003,
    )


def voices_of(drawn: np.ndarray, corpus: str = "commands", text: str = "up") -> LabelledPoints:
    speakers, takes, dimension = drawn.shape
    return LabelledPoints(
        drawn.reshape(-1, dimension).astype(float),
        np.full(speakers * takes, corpus),
        np.repeat([f"{corpus}-{number}" for number in range(speakers)], takes),
        np.full(speakers * takes, text),
    )


def together(*every: LabelledPoints) -> LabelledPoints:
    names = ("points", "corpora", "speakers", "texts")
    return LabelledPoints(
        *(np.concatenate([getattr(each, name) for each in every]) for name in names)
    )


@pytest.fixture(scope="module")
def fitted(truth: Population) -> Population:
    voices = voices_of(truth.draw(SPEAKERS, TAKES, seed=0))
    return school.fit(voices, np.full(SPEAKERS * TAKES, True), "encoder")


def test_a_population_is_found_again_in_what_was_drawn_from_it(
    truth: Population, fitted: Population
) -> None:
    assert (fitted.encoder, fitted.speakers) == ("encoder", SPEAKERS)
    assert fitted.recordings == SPEAKERS * TAKES
    assert fitted.near == pytest.approx(truth.near, abs=0.01)
    assert fitted.near_students == pytest.approx(truth.near_students, abs=0.002)
    assert fitted.near_recordings == pytest.approx(truth.near_recordings, abs=0.001)
    assert abs(fitted.manners - truth.manners) <= 2
    assert np.sum(fitted.mean**2) == pytest.approx(0.3, abs=0.05)


@pytest.mark.slow
def test_pairs_of_the_fitted_population_are_as_those_of_the_true_one(
    truth: Population, fitted: Population
) -> None:
    expected, found = (school.synthetic_pairs(each).figures() for each in (truth, fitted))
    for name in ("same_mean", "same_deviation", "other_mean", "other_deviation"):
        # Of so few dimensions students are not all equally far out: directions shift a little.
        assert found[name] == pytest.approx(expected[name], abs=0.03)


def test_what_a_text_adds_to_all_its_recordings_is_nobodys(truth: Population) -> None:
    halves = (truth.draw(200, TAKES, seed=0), truth.draw(200, TAKES, seed=1))
    spoken_alike = together(*(voices_of(half, text="a") for half in halves[:1]))
    moved = halves[1] + 0.5 * np.eye(DIMENSION, dtype=np.float32)[1]
    both = together(spoken_alike, voices_of(moved, text="b"))
    alone, beside = (
        school.fit(each, np.full(len(each.points), True), "encoder")
        for each in (spoken_alike, both)
    )
    along = [np.sum(each.between[1] ** 2) / np.sum(each.between**2) for each in (alone, beside)]
    assert along[1] == pytest.approx(along[0], abs=0.05)


def test_sizes_come_from_the_speakers_held_out_of_training(truth: Population) -> None:
    by_heart = Population(**{**vars(truth), "near": 0.95, "near_students": 0, "near_recordings": 0})
    learned, held = by_heart.draw(100, TAKES, seed=0), truth.draw(100, TAKES, seed=1)
    voices = voices_of(np.concatenate([learned, held]))
    apart = np.repeat(np.arange(200) >= 100, TAKES)
    assert school.fit(voices, apart, "encoder").near == pytest.approx(truth.near, abs=0.02)


def test_every_speaker_counts_alike_whichever_the_corpus(truth: Population) -> None:
    near = Population(**{**vars(truth), "near": 0.9})
    many = voices_of(truth.draw(91, TAKES, seed=0), "commands")
    few = voices_of(near.draw(11, 30, seed=1), "mandarin20")
    voices = together(many, few)
    found = school.fit(voices, np.full(len(voices.points), True), "encoder").near
    assert found == pytest.approx(0.9 * truth.near + 0.1 * near.near, abs=0.02)


def test_too_few_takes_are_an_error_that_says_so(truth: Population) -> None:
    voices = voices_of(truth.draw(5, variance.TAKES - 1, seed=0))
    with pytest.raises(SettingsError, match=f"{variance.TAKES} times"):
        school.fit(voices, np.full(len(voices.points), True), "encoder")


def test_without_held_out_speakers_nothing_is_fitted(truth: Population) -> None:
    voices = voices_of(truth.draw(5, TAKES, seed=0))
    with pytest.raises(SettingsError, match="held out"):
        school.fit(voices, np.full(len(voices.points), False), "encoder")


def test_calibrations_are_held_against_people_they_never_met(
    fitted: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "STRANGERS", 4_000)
    monkeypatch.setattr(forecast, "PROBES", 2_000)
    monkeypatch.setattr(forecast, "TOGETHER", 1_000)
    found = forecast.check(fitted, Encoder().card, sizes=(100, 500))
    own = [each for each in found if each.calibrated == each.students]
    assert [(each.error, each.students, each.schools) for each in own] == [
        ("FPIR", 100, 10), ("FNIR", 100, 10), ("FPIR", 500, 2), ("FNIR", 500, 2),
    ]  # fmt: skip
    (kept,) = (each for each in found if each.calibrated < each.students and each.at == "own")
    assert (kept.error, kept.calibrated, kept.students, kept.schools) == ("FPIR", 100, 500, 10)
    for each in own[2:]:
        assert each.least <= each.measured <= each.most
        assert each.measured == pytest.approx(each.predicted, rel=1, abs=0.01)


def test_real_voices_are_enrolled_by_halves_and_the_others_come(
    fitted: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "HALVES", 10)
    voices = fitted.draw(80, 6, seed=3)
    rows = [
        Row("up.wav", Path("up.wav"), "commands", "eval", str(number), "up")
        for number in range(80)
        for _ in range(6)
    ]
    made = Embedded(
        EvalSpeech({"commands": rows}, {}, [], []), {"commands": voices.reshape(480, -1)}, []
    )
    found = forecast.check_voices(made, "encoder", Encoder().card)["commands"]
    assert (found.students, found.schools) == (40, 10)
    assert found.predicted == pytest.approx(forecast.FPIR_OF_FEW)
    assert found.measured == pytest.approx(found.predicted, rel=1)
    assert found.least < found.predicted < found.most
    assert found.within is not None and found.within > 0


def promise(**changed: float) -> forecast.Promise:
    values = {"schools": 3, "threshold": 0.625, "predicted": 0.25, "measured": 0.5}
    spread = {"least": 0.125, "most": 0.75, "within": 0.5}
    return forecast.Promise("FNIR", 500, 20_000, "forecast", **{**values, **spread, **changed})


def test_a_promise_is_broken_by_as_much_as_was_measured_over_it() -> None:
    assert promise().ratio == pytest.approx(2)
    assert promise().fields()["ratio"] == promise().ratio
    assert promise(predicted=0.0).ratio == float("inf")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Six speakers for training and two of eval, who say two texts four times."""
    folder = tmp_path_factory.mktemp("speech")
    lines = ["path,corpus,split,speaker,text"]
    for number in range(8):
        split = "train" if number < 6 else "eval"
        for take in range(8):
            word = spoken(0.45 + 0.01 * take, 90 + 25 * number + take)
            sound = in_a_room(silence(0.2), word, silence(0.4), seed=10 * number + take)
            name = f"{number}-{take + 1}.wav"
            soundfile.write(folder / name, sound, SAMPLE_RATE)
            lines.append(f"{name},mandarin20,{split},s{number},{'ab'[take % 2]}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_manifest(folder / "manifest.csv")


@pytest.mark.slow
def test_only_training_speakers_are_embedded(rows: list[Row], tmp_path: Path) -> None:
    voices, apart = school.embed(rows, tmp_path, Encoder())
    assert set(voices.speakers) == {f"s{number}" for number in range(6)}
    assert len(voices.points) == 48
    assert 0 < len(set(voices.speakers[apart])) < 6


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a fitted population goes in a test."""
    path = tmp_path / "school.npz"
    monkeypatch.setattr(synthetic, "SHIPPED", path)
    return path


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that add nothing to the normal distribution; they have tests of their own."""

    def silent(numbers: Numbers, inputs: Callable[[int], int]) -> shapes.Layers:
        count = numbers.takes.shape[1]
        kernel = np.zeros((inputs(count), count), np.float32)
        return uncorrected([(kernel, np.zeros(count, np.float32))])

    levels = 2 * len(shapes.FREQUENCIES)
    for name, inputs in {
        "diffusion": lambda count: count + levels,
        "gan": lambda count: count,
        synthetic.FURTHER: lambda count: 2 * count + levels,
    }.items():
        monkeypatch.setitem(generate.LEARNED, name, partial(silent, inputs=inputs))


@pytest.mark.slow
@pytest.mark.usefixtures("untrained")
def test_the_command_fits_draws_and_compares(
    rows: list[Row],
    shipped: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    manifest, figure, out = rows[0].file.parent / "manifest.csv", tmp_path / "f.svg", tmp_path / "o"
    arguments = ["school", str(manifest), "--folder", str(tmp_path), "--fit", "--json"]
    arguments += ["--figure", str(figure), "--students", "30", "--recordings", "2"]
    assert main.main([*arguments, "--out", str(out)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["voices"] for line in lines] == ["synthetic", "mandarin20"]
    assert synthetic.load(shipped).encoder == Encoder().identity
    assert "<svg" in figure.read_text(encoding="utf-8")
    with np.load(out) as drawn:
        assert drawn["voiceprints"].shape == (30, 2, Encoder().card.dimension)
        assert str(drawn["encoder"]) == Encoder().identity and bool(drawn["synthetic"])


@pytest.mark.slow
@pytest.mark.usefixtures("untrained")
def test_the_command_holds_every_model_against_real_voices(
    rows: list[Row],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(compare, "CORPUS", "mandarin20")
    for name, value in {"STUDENTS": 400, "STRANGERS": 20, "SIZES": (100,), "SMALL": (1,)}.items():
        monkeypatch.setattr(judge, name, value)
    manifest = rows[0].file.parent / "manifest.csv"
    arguments = ["school", str(manifest), "--folder", str(tmp_path), "--compare", "--json"]
    assert main.main([*arguments, "--figure", str(tmp_path / "f.svg")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["model"] for line in lines] == list(synthetic.MODELS)
    for line in lines:
        assert list(line["membership"]) == list(compare.WAYS)
        assert set(line["growth"]) == {"1", "2"} and set(line["growth_large"]) == {"100"}
    assert "<svg" in (tmp_path / "f.svg").read_text(encoding="utf-8")


def test_the_command_says_when_the_encoder_is_another(
    fitted: Population, shipped: Path, capsys: pytest.CaptureFixture
) -> None:
    fitted.save(shipped)
    assert main.main(["school"]) == 0
    said = capsys.readouterr()
    assert "--fit" in said.err and "synthetic" in said.out


def test_the_command_shows_what_calibrations_promise(
    fitted: Population,
    shipped: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    fitted.save(shipped)
    monkeypatch.setattr(forecast, "check", lambda *_: [promise()])
    assert main.main(["school", "--check"]) == 0
    shown = capsys.readouterr().out
    for shown_one in ("0.625, forecast", "25.00", "50.00 (12.50 to 75.00)", "20,000"):
        assert shown_one in shown
