"""Models of students: they find what is known to be there, and what judges them can fail."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from kaimen.bench import shapes, synthetic
from kaimen.bench.synthetic import FURTHER, Population
from kaimen.errors import GalleryError
from kaimen_train.autoencoder.generate import diffusion, gan, judge, privacy
from kaimen_train.autoencoder.generate.compare import Compared
from kaimen_train.autoencoder.generate.numbers import Numbers, corrected, numbers_of, uncorrected
from kaimen_train.autoencoder.generate.report import draw, rows, table
from kaimen_train.evaluation.metrics import auc
from kaimen_train.school import variance
from kaimen_train.school.school import CosinePairs, fit
from kaimen_train.school.variance import LabelledPoints

# Keras draws its seeds so.
pytestmark = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")

DIMENSION = 12


def population_of(dimension: int = DIMENSION, **changed: Any) -> Population:
    mean = np.zeros(dimension, np.float32)
    mean[-1] = np.sqrt(0.2)
    between = np.diag(np.linspace(2, 0.2, dimension)).astype(np.float32)
    between[-1, -1] = 0
    between *= np.sqrt(0.8) / np.linalg.norm(between)
    within = np.eye(dimension, dtype=np.float32) / np.sqrt(dimension)
    nearness = {"near": 0.75, "near_students": 0.004, "near_recordings": 0.003, "manners": 6}
    spread = {"mean": mean, "between": between, "within": within}
    return Population("truth", 0, 0, **{**spread, **nearness, **changed})


def voices_of(school: np.ndarray, corpus: str = "commands") -> LabelledPoints:
    speakers, takes, dimension = school.shape
    return LabelledPoints(
        school.reshape(-1, dimension).astype(float),
        np.full(speakers * takes, corpus),
        np.repeat([f"{corpus}-{number}" for number in range(speakers)], takes),
        np.full(speakers * takes, "up"),
    )


@pytest.fixture(scope="module")
def two_clusters() -> Numbers:
    """Students in two clusters, one of three quarters, with hardly anybody between them."""
    random = np.random.default_rng(0)
    takes = random.standard_normal((600, 4)).astype(np.float32)
    takes[:, 0] = np.where(random.random(600) < 0.75, -0.5, 1.5) + 0.5 * takes[:, 0]
    ones, unit = np.ones(600, np.int64), np.ones(4, np.float32)
    return Numbers(takes, np.arange(600), ones, ones / 1, np.diag(unit), unit, unit)


def between_clusters(numbers: np.ndarray) -> float:
    return float(np.mean(np.abs(numbers[:, 0] - 0.5) < 0.3))


@pytest.mark.slow
@pytest.mark.parametrize("model", [diffusion, gan])
def test_two_clusters_are_found_again(model: ModuleType, two_clusters: Numbers) -> None:
    name = model.__name__.rpartition(".")[2]
    layers = corrected(name, model.fit(two_clusters, 1_500))
    drawn = shapes.SHAPES[name](layers, 4_000, np.random.default_rng(1))
    normal = np.random.default_rng(1).standard_normal((4_000, 4))
    assert between_clusters(normal) > 0.18
    assert between_clusters(drawn) < 0.85 * between_clusters(normal)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(4), atol=0.15)


def test_an_untrained_diffusion_is_the_normal_distribution() -> None:
    silent = [(np.zeros((12, 4), np.float32), np.zeros(4, np.float32))]
    drawn = shapes.diffusion(uncorrected(silent), 5_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(4), atol=0.1)


def test_numbers_of_real_takes_are_of_unit_variance() -> None:
    population = population_of()
    numbers = numbers_of(voices_of(population.draw(800, 4, seed=0)), population)
    random = np.random.default_rng(0)
    np.testing.assert_allclose(
        np.var(numbers.students(20_000, random)[:, :11], axis=0), 1, atol=0.1
    )
    left, given = numbers.known_by_one(20_000, random)
    np.testing.assert_allclose(np.var(left[:, :6], axis=0), 1, atol=0.2)
    np.testing.assert_allclose(np.var(given[:, :6], axis=0), 1, atol=0.2)


def test_further_recordings_are_as_near_the_first_as_its_own_student_s() -> None:
    population = population_of(48)
    drawn = population.draw(3_000, 2, seed=0)
    further = population.further(drawn[:, 0], 1, seed=1)[:, 0]
    own, found = (np.sum(drawn[:, 0] * each, axis=1) for each in (drawn[:, 1], further))
    assert found.mean() == pytest.approx(own.mean(), abs=0.03)


def test_further_recordings_are_drawn_by_the_second_network() -> None:
    layers = [(np.zeros((8 + 4 + 4, 4), np.float32), np.zeros(4, np.float32))]
    weights = {"diffusion": uncorrected(layers), FURTHER: uncorrected(layers)}
    population = population_of(weights=weights, model="diffusion")
    further = population.further(population_of().draw(50, 1, seed=0)[:, 0], 3, seed=1)
    np.testing.assert_allclose(np.linalg.norm(further, axis=-1), 1, atol=1e-5)


def test_a_gaussian_school_has_the_covariances_it_was_given() -> None:
    population = population_of(48).using("gaussian")
    same = population.draw(4_000, 2, seed=0)
    assert np.sum(same[:, 0] * same[:, 1], axis=1).mean() == pytest.approx(0.75, abs=0.02)


def test_a_model_that_was_not_fitted_says_what_to_do() -> None:
    with pytest.raises(GalleryError, match="--fit"):
        population_of().using("gan")


def test_learned_shapes_are_read_as_they_were_written(tmp_path: Path) -> None:
    kernel = np.arange(8, dtype=np.float32).reshape(2, 4)
    weights = {"gan": [(kernel, np.ones(4, np.float32))] * 2}
    population_of(model="gan", weights=weights).save(tmp_path / "school.npz")
    read = synthetic.load(tmp_path / "school.npz")
    assert read.model == "gan" and list(read.weights) == ["gan"]
    np.testing.assert_array_equal(read.weights["gan"][1][0], kernel)
    assert synthetic.load(tmp_path / "school.npz", "gaussian").model == "gaussian"


def test_concentration_is_measured_without_bias() -> None:
    population = population_of(40, near_students=0.0)
    truth = np.sum(population.between**2, axis=0)
    truth = np.sum(truth**2) / np.sum(truth) ** 2
    found = [
        variance.pooled(voices_of(population.draw(40, 4, seed=seed))).concentration
        for seed in range(12)
    ]
    assert np.mean(found) == pytest.approx(truth, rel=0.15)
    naive = variance.pooled(voices_of(population.draw(40, 4, seed=0))).between
    assert np.sum(naive**2) / np.trace(naive) ** 2 > 1.1 * truth


def test_people_differ_in_as_few_directions_as_those_held_out() -> None:
    wide = population_of()
    narrow = population_of(between=np.diag(0.4 ** np.arange(12)).astype(np.float32))
    narrow.between[:] *= np.sqrt(0.8) / np.linalg.norm(narrow.between)
    voices = voices_of(np.concatenate([wide.draw(300, 4, seed=0), narrow.draw(40, 4, seed=1)]))
    apart = np.repeat(np.arange(340) >= 300, 4)
    widths = [
        np.sum(fit(voices, apart, "", concentrated=each).between ** 2, axis=0)
        for each in (False, True)
    ]
    shares = [np.sum(each**2) / np.sum(each) ** 2 for each in widths]
    assert shares[1] > 1.3 * shares[0]


@pytest.fixture(scope="module")
def halves() -> tuple[np.ndarray, privacy.People, privacy.People]:
    """A school drawn afresh, and people of whom some might have been learned from."""
    school = population_of(48).draw(600, 5, seed=0)
    members, others = (
        privacy.people(voices_of(population_of(48).draw(200, 5, seed=seed))) for seed in (1, 2)
    )
    return school, members, others


def copied(members: privacy.People, school: np.ndarray) -> np.ndarray:
    """A school of the members themselves, with five recordings that hardly differ."""
    random = np.random.default_rng(0)
    points = privacy.like(school, members)[:, np.newaxis]
    noisy = points + 0.01 * random.standard_normal((len(points), 5, points.shape[2]))
    return noisy / np.linalg.norm(noisy, axis=-1, keepdims=True)


def test_a_fresh_school_gives_nobody_away(
    halves: tuple[np.ndarray, privacy.People, privacy.People],
) -> None:
    school, members, others = halves
    for name, inside in privacy.attacks(school, members).items():
        outside = privacy.attacks(school, others)[name]
        mean, low, high = privacy.averaged([(inside, outside)])
        assert low < 0.5 < high and mean == pytest.approx(0.5, abs=0.06), name
    assert privacy.too_near(*privacy.nearness(school, members, others)) < 0.12


def test_a_school_of_copies_is_found_out(
    halves: tuple[np.ndarray, privacy.People, privacy.People],
) -> None:
    school, members, others = halves
    copies = copied(members, school)
    for name in ("nearest", "density"):
        inside, outside = (privacy.attacks(copies, each)[name] for each in (members, others))
        assert auc(inside, outside) > 0.95, name
    assert privacy.too_near(*privacy.nearness(copies, members, others)) > 0.9


def leaning(count: int, seed: int) -> np.ndarray:
    """People who differ in some directions more than in others, and more one way than the other."""
    random = np.random.default_rng(seed)
    numbers = random.exponential(1, (count, DIMENSION)) - 1
    points = np.eye(DIMENSION)[-1] + numbers * 0.6 ** np.arange(DIMENSION)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return np.repeat(points[:, np.newaxis], 2, axis=1).astype(np.float32)


def turn() -> np.ndarray:
    axes, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((DIMENSION, DIMENSION)))
    return axes.astype(np.float32)


def test_a_turned_school_is_laid_back_where_people_are_told_apart_by_their_directions() -> None:
    school, known = leaning(3_000, 0), leaning(3_000, 1)
    mean = known.mean(axis=(0, 1)) / np.linalg.norm(known.mean(axis=(0, 1)))
    laid = privacy.laid_back(school @ turn(), privacy.people(voices_of(known)), mean)
    assert np.mean(np.sum(school @ turn() * school, axis=-1)) < 0.5
    assert np.mean(np.sum(laid * school, axis=-1)) > 0.9


def test_even_copies_are_found_out_only_after_a_turn_is_undone() -> None:
    members, others = (privacy.people(voices_of(leaning(150, seed))) for seed in (1, 2))
    lying = leaning(1_000, 3)
    mean = lying.mean(axis=(0, 1)) / np.linalg.norm(lying.mean(axis=(0, 1)))
    turned = copied(members, lying) @ turn()
    laid = privacy.laid_back(turned, members, mean)
    for school, least, most in ((turned, 0.3, 0.7), (laid, 0.9, 1.0)):
        inside, outside = (privacy.attacks(school, each)["nearest"] for each in (members, others))
        assert least < auc(inside, outside) <= most


def test_halves_are_told_by_names_alone() -> None:
    names = np.array([f"someone-{number}" for number in range(400)])
    first = privacy.half(names)
    assert np.array_equal(first, privacy.half(names)) and 0.4 < first.mean() < 0.6


def test_auc_counts_ties_as_half() -> None:
    assert auc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == pytest.approx(0.875)


def real_galleries(population: Population, people: int = 60) -> list[judge.TextGallery]:
    return judge.galleries(voices_of(population.draw(people, 3, seed=9)))


def test_the_true_population_forecasts_its_own_people() -> None:
    population = population_of(48)
    galleries = [each for _ in range(6) for each in real_galleries(population)]
    real = np.concatenate([each.strangers() for each in galleries])
    (_, found) = judge.forecast(population.draw(1_500, 5, seed=0), galleries, real)
    assert found.interval[0] < 1 < found.interval[1]
    assert found.ratio == pytest.approx(0.05 / found.measured)


def test_people_more_alike_than_those_drawn_are_underestimated() -> None:
    galleries = real_galleries(population_of(48, mean=np.eye(48, dtype=np.float32)[-1] * 0.8))
    real = np.concatenate([each.strangers() for each in galleries])
    (_, found) = judge.forecast(population_of(48).draw(1_500, 5, seed=0), galleries, real)
    assert found.ratio < 0.5


def test_synthetic_galleries_are_as_large_as_real_ones() -> None:
    galleries = real_galleries(population_of(), 20)
    (made, *_) = judge.as_large(population_of().draw(50, 5, seed=0), galleries)
    assert np.array_equal(made.counts, galleries[0].counts)
    assert made.points.shape == galleries[0].points.shape


def test_more_students_let_more_strangers_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "SIZES", (50, 400))
    drawn = population_of().draw(800, 5, seed=0)
    small, large = judge.growth(drawn[:400], drawn[400:, 0], real_galleries(population_of()), 0.8)
    assert list(small) == [*judge.SMALL, 60] and list(large) == [50, 400]
    assert small[10] < small[60] and large[50] < large[400]


def test_the_table_and_the_figure_show_every_model(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cosines = random.random(100).astype(np.float32)
    one = judge.Forecast(0.05, 0.6, 0.1, (0.25, 0.75))
    figures = {
        "forecast": [one.fields()],
        "growth": {10: 0.01},
        "growth_large": {500: 0.125},
        "same_distance": 0.02,
        "other_distance": 0.03,
        "nearest_median": 0.5,
        "nearest_median_real": 0.6,
        "too_near": 0.05,
        "membership": {"turned": {"nearest": (0.51, 0.46, 0.56)}},
    }
    compared = Compared(
        {"population": figures},
        {"real": CosinePairs(cosines, cosines), "population": CosinePairs(cosines, cosines)},
        {"real": cosines, "population": cosines},
        {"real": {10: 0.02, 60: 0.03}, "population": {10: 0.01}},
    )
    assert rows(compared)[0]["forecast"][0]["ratio"] == pytest.approx(0.5)
    shown = [cell for column in table(compared).columns for cell in column.cells]
    for value in ("0.50", "0.25-0.75", "12.5", "0.51", "5.0"):
        assert value in shown
    draw(compared, tmp_path / "f.svg")
    assert "<svg" in (tmp_path / "f.svg").read_text(encoding="utf-8")
