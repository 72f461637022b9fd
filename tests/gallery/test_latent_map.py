"""The map of all students: what it keeps, who lands where, and who is gone from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import GalleryError
from kaimen.gallery import latent_map
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.latent_map import METHODS, LatentMap, kept_neighbours, map_path
from kaimen.registry.vault import Vault
from tests.gallery.exact import nearest_exactly
from tests.gallery.points import school, unit

DIMENSION = 16


def families(count: int, size: int) -> np.ndarray:
    """Voiceprints of students who are alike in families, (students, 2, dimension)."""
    random = np.random.default_rng(2)
    middles = unit(random.standard_normal((count, 1, DIMENSION)))
    own = unit(middles + 0.3 * unit(random.standard_normal((count, size, DIMENSION))))
    students = own.reshape(-1, 1, DIMENSION)
    return unit(students + 0.1 * unit(random.standard_normal((count * size, 2, DIMENSION))))


def kept(path: Path, points: np.ndarray, vault: Vault) -> Gallery:
    gallery = Gallery.open(path, vault, "encoder", DIMENSION)
    for number, own in enumerate(points):
        gallery.enroll(f"s{number:03}", list(own))
    gallery.save()
    return gallery


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def gallery(tmp_path: Path, vault: Vault) -> Gallery:
    return kept(tmp_path / "gallery.sqlite", families(6, 8), vault)


def fit(gallery: Gallery, method: str = "pca") -> LatentMap:
    return LatentMap.fit(gallery.encoder, *gallery.centroids(), method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_map_holds_everybody_and_says_what_it_keeps(gallery: Gallery, method: str) -> None:
    made = fit(gallery, method)
    assert made.places.shape == (48, 2)
    assert np.abs(made.places).max() == pytest.approx(1)
    assert made.kept == kept_neighbours(gallery.centroids()[1], made.places)
    assert made.kept > {"pca": 0.3, "neighbours": 0.55}[method]


def test_what_is_kept_of_neighbourhoods_is_all_where_two_dimensions_are_all() -> None:
    places = np.random.default_rng(1).normal(0, 0.03, (300, 2)).astype(np.float32)
    points = unit(np.column_stack([places, np.ones(300)]))
    assert kept_neighbours(points, places) > 0.95
    other = np.random.default_rng(4).normal(0, 1, (300, 2)).astype(np.float32)
    assert kept_neighbours(points, other) < 0.1


def test_a_map_opens_under_its_key_and_encoder_alone(
    gallery: Gallery, vault: Vault, tmp_path: Path
) -> None:
    made, path = fit(gallery), map_path(tmp_path / "gallery.sqlite")
    made.save(path, vault)
    back = LatentMap.load(path, vault, "encoder")
    assert np.array_equal(back.places, made.places)
    assert (back.method, back.kept) == (made.method, made.kept)
    assert path.stat().st_mode & 0o077 == 0
    for key, encoder in ((Vault(), "encoder"), (vault, "another")):
        with pytest.raises(GalleryError, match="kaimen map --fit"):
            LatentMap.load(path, key, encoder)
    path.unlink()
    with pytest.raises(GalleryError, match="make one with 'kaimen map --fit'"):
        LatentMap.load(path, vault, "encoder")


def test_a_probe_lands_at_its_student_without_a_voiceprint(gallery: Gallery) -> None:
    made = fit(gallery)
    numbers = {each.name: each.number for each in gallery.members}
    probe = gallery.voiceprints("s007")[0]
    nearest = [(numbers[each.student], each.score) for each in nearest_exactly(gallery, probe)]
    landed = made.land(nearest)
    assert landed is not None
    apart = np.abs(made.places - np.array(landed)).max(axis=1)
    own = made.numbers.tolist().index(numbers["s007"])
    assert apart[own] < 0.2
    assert made.land([]) is None
    assert made.land([(10**6, 0.5), (1, float("nan"))]) is None


def test_who_enrolls_later_lands_among_their_nearest(gallery: Gallery) -> None:
    made = fit(gallery)
    twin = unit(gallery.voiceprints("s007") + 0.01)
    gallery.enroll("twin", list(twin))
    now = made.completed(*gallery.centroids())
    assert len(now.numbers) == 49
    assert np.array_equal(now.places[:48], made.places)
    own = [each.name for each in gallery.members].index("s007")
    assert np.abs(now.places[48] - made.places[own]).max() < 0.3
    assert gallery.students_near("twin", 1)[0][0].name == "s007"


def test_who_is_removed_is_on_no_map_that_is_kept(
    gallery: Gallery, vault: Vault, tmp_path: Path
) -> None:
    path = map_path(tmp_path / "gallery.sqlite")
    fit(gallery).save(path, vault)
    number = gallery.members[5].number
    gallery.remove("s005")
    left = LatentMap.load(path, vault, "encoder")
    assert number not in left.numbers
    assert len(left.numbers) == len(left.places) == 47


def test_a_map_that_does_not_open_goes_with_a_removed_student(
    gallery: Gallery, tmp_path: Path
) -> None:
    path = map_path(tmp_path / "gallery.sqlite")
    path.write_bytes(b"torn")
    gallery.remove("s005")
    assert not path.exists()


def test_too_few_students_make_no_map(tmp_path: Path, vault: Vault) -> None:
    gallery = kept(tmp_path / "few.sqlite", school(2, 2, DIMENSION), vault)
    with pytest.raises(GalleryError, match="a map needs 3 students"):
        fit(gallery)


def test_a_missing_library_is_named(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(Exception, match=r"kaimen\[map\]"):
        fit(gallery, "neighbours")
    assert latent_map.METHODS[0] == "pca"
