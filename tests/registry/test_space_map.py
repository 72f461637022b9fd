"""A map between two encoders' spaces is read back as it was written, or not at all."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import GalleryError
from kaimen.registry.space_map import SpaceMap

WAY = np.array([[0, 2, 0], [1, 0, 0], [0, 0, 3]], np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "map.npz"


def test_points_are_carried_to_unit_length() -> None:
    moved = SpaceMap("old", "new", WAY)(np.array([[0.1, 0, 0], [0, 3, 4], [0, 0, 0]], np.float32))
    np.testing.assert_allclose(moved[0], [0, 1, 0])
    np.testing.assert_allclose(moved[1], np.array([3, 0, 12]) / np.sqrt(153), rtol=1e-6)
    np.testing.assert_array_equal(moved[2], 0)
    assert moved.dtype == np.float32


def test_a_map_is_read_as_it_was_written(path: Path) -> None:
    SpaceMap("old", "new", WAY).save(path)
    found = SpaceMap.read(path)
    assert (found.old, found.new, found.way.dtype) == ("old", "new", np.float32)
    np.testing.assert_array_equal(found.way, WAY)


@pytest.mark.parametrize(
    "way", [np.zeros(4), np.zeros((2, 3)), np.zeros((2, 2, 2)), np.array([[np.nan]])]
)
def test_what_maps_no_space_onto_another_is_no_map(path: Path, way: np.ndarray) -> None:
    SpaceMap("old", "new", way.astype(np.float32)).save(path)
    with pytest.raises(GalleryError, match=r"map\.npz: not a map between two encoders"):
        SpaceMap.read(path)


def test_anything_else_is_no_map(path: Path) -> None:
    with pytest.raises(GalleryError, match="not a map"):
        SpaceMap.read(path)
    for content in (b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(GalleryError, match="not a map"):
            SpaceMap.read(path)
    with path.open("wb") as file:
        np.savez(file, old="old", way=WAY)
    with pytest.raises(GalleryError, match="not a map"):
        SpaceMap.read(path)
    with path.open("wb") as file:
        np.savez(file, old="old", new="new", way=np.array([[{}]], object))
    with pytest.raises(GalleryError, match="not a map"):
        SpaceMap.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("old.npy", b"no array")
    with pytest.raises(GalleryError, match="not a map"):
        SpaceMap.read(path)
