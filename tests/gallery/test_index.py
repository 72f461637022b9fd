"""Points by number: found, removed without a trace, kept sealed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kaimen.errors import GalleryError
from kaimen.gallery.index import Index
from kaimen.registry.vault import Vault
from tests.gallery.points import school

VAULT = Vault()
POINTS = school(60, 5, 16).reshape(-1, 16)
NUMBERS = np.arange(1, len(POINTS) + 1)


def filled(count: int = len(POINTS)) -> Index:
    index = Index(16)
    index.add(NUMBERS[:count], POINTS[:count])
    return index


def test_an_empty_index_finds_nothing() -> None:
    assert len(Index(16).search(POINTS[0], 5)[0]) == 0
    assert Index(16).points(np.zeros(0, np.int64)).shape == (0, 16)


def test_the_nearest_come_first() -> None:
    found = filled().search(POINTS[7], 300)[0]
    cosines = POINTS[found - 1] @ POINTS[7]
    assert found[0] == 8
    assert (np.diff(cosines) <= 1e-6).all()
    assert sorted(found) == NUMBERS.tolist()


def test_points_are_kept_as_they_are() -> None:
    chosen = np.array([9, 2, 300])
    np.testing.assert_array_equal(filled().points(chosen), POINTS[chosen - 1])


class Changes(RuleBasedStateMachine):
    """Whatever comes and goes, an index holds what a dictionary holds."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(4)
        self.points: dict[int, np.ndarray] = {}
        self.last = 0

    @rule(count=st.integers(1, 12))
    def come(self, count: int) -> None:
        numbers = np.arange(self.last + 1, self.last + 1 + count)
        points = school(1, count, 4, seed=self.last)[0]
        self.last += count
        self.index.add(numbers, points)
        self.points.update(zip(numbers.tolist(), points, strict=True))

    @precondition(lambda self: self.points)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        left = data.draw(st.sets(st.sampled_from(sorted(self.points)), min_size=1))
        self.index.remove(np.array(sorted(left)))
        for number in left:
            del self.points[number]

    @invariant()
    def holds_what_is_there(self) -> None:
        assert self.index.numbers.tolist() == sorted(self.points)
        assert len(self.index) == len(self.points)
        if self.points:
            numbers = self.index.numbers
            kept = np.stack([self.points[number] for number in numbers.tolist()])
            np.testing.assert_array_equal(self.index.points(numbers), kept)
            assert set(self.index.search(kept[0], 3)[0].tolist()) <= set(self.points)


TestChanges = Changes.TestCase


def test_who_is_removed_is_not_found_and_leaves_no_point() -> None:
    index = filled()
    index.remove(NUMBERS[:5])
    assert not set(index.search(POINTS[0], 300)[0].tolist()) & set(range(1, 6))
    assert len(index.search(POINTS[0], 300)[0]) == 295


def test_the_file_of_an_index_holds_nothing_of_who_was_removed(tmp_path: Path) -> None:
    # Read as the graph itself is written, before it is sealed.
    index = filled()
    index.remove(NUMBERS[:1])
    index._graph.save_index(str(tmp_path / "unsealed"))
    written = (tmp_path / "unsealed").read_bytes()
    assert POINTS[1].tobytes() in written
    assert POINTS[0].tobytes() not in written
    assert POINTS[0].tobytes()[:8] not in written


def test_the_few_who_stay_are_found_however_many_left() -> None:
    for stay in (1, 2, 5):
        index = filled()
        index.remove(NUMBERS[stay:])
        found, cosines = index.search(POINTS[0], 10)
        assert found[0] == 1 and cosines[0] == pytest.approx(1)
        assert sorted(found) == NUMBERS[:stay].tolist()


def test_an_index_is_worn_when_a_tenth_left() -> None:
    index = filled()
    index.remove(NUMBERS[:20])
    assert not index.worn
    index.remove(NUMBERS[20:40])
    assert index.worn


def test_vacant_places_are_given_to_those_who_come() -> None:
    index = filled()
    index.remove(NUMBERS[:20])
    index.add(NUMBERS[:20] + 1000, POINTS[:20])
    assert not index.worn
    assert index._graph.get_current_count() == 300
    assert index.search(POINTS[3], 1)[0].tolist() == [1004]


@given(gone=st.sets(st.integers(1, 40), max_size=20))
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, gone: set[int]) -> None:
    index = filled(40)
    index.breadth = 99
    index.remove(np.array(sorted(gone), np.int64))
    path = tmp_path_factory.mktemp("index") / "gallery.index"
    index.save(path, VAULT, "encoder")
    loaded = Index.load(path, VAULT, "encoder")
    np.testing.assert_array_equal(loaded.numbers, index.numbers)
    np.testing.assert_array_equal(loaded.points(index.numbers), index.points(index.numbers))
    assert (loaded.breadth, loaded.worn) == (99, index.worn)
    loaded.add(np.array([5000]), POINTS[50:51])
    assert loaded.search(POINTS[50], 1)[0].tolist() == [5000]


def test_it_is_sealed_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "gallery.index"
    filled().save(path, VAULT, "encoder")
    assert POINTS[0].tobytes()[:8] not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "gallery.index"
    filled(20).save(path, VAULT, "encoder")
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for position in {*range(20), *random.integers(0, len(content), 1_000).tolist()}:
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(GalleryError):
            Index.load(path, VAULT, "encoder")


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path, share: float) -> None:
    path = tmp_path / "gallery.index"
    filled().save(path, VAULT, "encoder")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(GalleryError):
        Index.load(path, VAULT, "encoder")


def test_pieces_cannot_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaimen.gallery.index.PIECE", 1000)
    path = tmp_path / "gallery.index"
    filled().save(path, VAULT, "encoder")
    content = path.read_bytes()
    pieces, place = [], 0
    while length := struct.unpack_from("<Q", content, place)[0]:
        pieces.append(content[place : place + 8 + length])
        place += 8 + length
    assert len(pieces) > 10
    pieces[5], pieces[6] = pieces[6], pieces[5]
    path.write_bytes(b"".join([*pieces, content[place:]]))
    with pytest.raises(GalleryError, match="changed"):
        Index.load(path, VAULT, "encoder")


def test_another_encoders_or_another_keys_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gallery.index"
    filled().save(path, VAULT, "encoder")
    with pytest.raises(GalleryError, match="another encoder"):
        Index.load(path, VAULT, "another")
    with pytest.raises(GalleryError, match="another key"):
        Index.load(path, Vault(), "encoder")
    with pytest.raises(GalleryError, match="cannot be read"):
        Index.load(tmp_path / "nowhere", VAULT, "encoder")


def test_points_are_taken_out_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # hnswlib takes forty times the memory of what it is asked for at once.
    index, asked = filled(), []
    taken = index._graph.get_items

    class Graph:
        def get_items(self, numbers: np.ndarray, return_type: str) -> np.ndarray:
            asked.append(len(numbers))
            return taken(numbers, return_type=return_type)

    monkeypatch.setattr(index, "_graph", Graph())
    monkeypatch.setattr("kaimen.gallery.index.FETCHED", 64)
    numbers = np.random.default_rng(0).permutation(NUMBERS)
    np.testing.assert_array_equal(index.points(numbers), POINTS[numbers - 1])
    assert max(asked) == 64 and sum(asked) == len(NUMBERS)
