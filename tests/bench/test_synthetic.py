"""Synthetic schools: what is drawn is as the population says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaimen.bench import synthetic
from kaimen.bench.synthetic import BLOCK, Population
from kaimen.errors import GalleryError
from kaimen.voice.encoder import Encoder

DIMENSION = 24
HIGH = 0.4  # squared length of the mean


@pytest.fixture
def population() -> Population:
    random = np.random.default_rng(0)
    mean = np.zeros(DIMENSION, np.float32)
    mean[0] = np.sqrt(HIGH)
    # Across the mean and long enough that a student's direction is of unit length on average.
    between = random.standard_normal((DIMENSION, DIMENSION)).astype(np.float32)
    between[0] = 0
    between *= np.sqrt(1 - HIGH) / np.linalg.norm(between)
    return Population(
        encoder="encoder",
        speakers=10,
        recordings=100,
        mean=mean,
        between=between,
        within=random.standard_normal((DIMENSION, DIMENSION)).astype(np.float32),
        manners=DIMENSION,
        near=0.7,
        near_students=0.006,
        near_recordings=0.004,
    )


def pairs(school: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of two recordings of a student, and of two students."""
    same = np.sum(school[:, 0] * school[:, 1], axis=-1)
    return same, (school[:, 0] @ school[:, 0].T)[np.triu_indices(len(school), 1)]


def test_voiceprints_are_of_unit_length_in_the_shape_asked_for(population: Population) -> None:
    school = population.draw(BLOCK + 3, 2, seed=0)
    assert school.shape == (BLOCK + 3, 2, DIMENSION) and school.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(school, axis=-1), 1, atol=1e-5)


def test_a_turned_population_draws_the_same_school_elsewhere(population: Population) -> None:
    lying, turned = (each.draw(50, 2, seed=0) for each in (population, population.turned()))
    cosines = [school.reshape(100, -1) @ school.reshape(100, -1).T for school in (lying, turned)]
    np.testing.assert_allclose(*cosines, atol=1e-4)
    assert np.mean(np.sum(lying * turned, axis=-1)) < 0.9 * population.near


def test_no_two_turns_are_alike(population: Population) -> None:
    assert not np.allclose(population.turned().mean, population.turned().mean, atol=0.01)


def test_recordings_are_as_near_each_other_as_the_population_says(population: Population) -> None:
    same, other = pairs(population.draw(4_000, 2, seed=0))
    assert same.mean() == pytest.approx(population.near, abs=0.01)
    assert other.mean() == pytest.approx(population.near * HIGH, abs=0.02)


def test_some_students_are_steadier_than_others(population: Population) -> None:
    def of_students(drawn: Population) -> float:
        """Covariance, over students, of the cosines of two pairs that share no recording."""
        school = drawn.draw(6_000, 4, seed=0)
        first, second = (np.sum(school[:, a] * school[:, a + 1], axis=-1) for a in (0, 2))
        return float(np.cov(first, second)[0, 1])

    steady = replace(population, near_students=0.0)
    assert of_students(population) == pytest.approx(population.near_students, abs=0.002)
    assert abs(of_students(steady)) < 0.001


def test_with_fewer_manners_recordings_are_less_evenly_alike(population: Population) -> None:
    many, few = (
        pairs(replace(population, manners=manners).draw(3_000, 2, seed=0))[0].std()
        for manners in (DIMENSION, 2)
    )
    assert few > 1.3 * many


def test_the_same_seed_draws_the_same_school(population: Population) -> None:
    assert np.array_equal(population.draw(20, 3, seed=5), population.draw(20, 3, seed=5))


def test_another_seed_draws_other_people(population: Population) -> None:
    both = np.concatenate([population.draw(300, 1, seed)[:, 0] for seed in (1, 2)])
    cosines = both @ both.T
    across = cosines[:300, 300:]
    within = cosines[:300, :300][np.triu_indices(300, 1)]
    assert across.mean() == pytest.approx(within.mean(), abs=0.02)
    assert across.max() < 0.99


def test_a_population_is_read_as_it_was_written(population: Population, tmp_path: Path) -> None:
    population.save(tmp_path / "school.npz")
    read = synthetic.load(tmp_path / "school.npz")
    assert repr(read) == repr(population)
    assert np.array_equal(read.draw(5, 2, seed=1), population.draw(5, 2, seed=1))


@pytest.mark.parametrize("content", [None, b"", b"not a file of arrays", b"PK\x03\x04 cut off"])
def test_a_missing_or_damaged_population_says_what_to_do(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "school.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GalleryError, match="kaimen-train school --fit"):
        synthetic.load(path)


def test_arrays_of_something_else_are_no_population(tmp_path: Path) -> None:
    path = tmp_path / "school.npz"
    np.savez(path, vectors=np.zeros(3))
    with pytest.raises(GalleryError, match="no population"):
        synthetic.load(path)


def test_the_shipped_population_has_the_shipped_encoders_dimension() -> None:
    assert synthetic.load().dimension == Encoder().card.dimension
