"""Voiceprints that were taken in at the gate: few, sealed, marked, and gone when asked for."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import GalleryError
from kaimen.registry.database import MEMORY
from kaimen.registry.export import export
from kaimen.registry.grown import A_DAY, A_MONTH, MONTH, MOST
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.gallery.points import Near, school
from tests.registry.by_hand import by_hand

POINTS = school(4, 5, 8)
VAULT = Vault()
BEGIN = datetime.datetime(2026, 3, 1, 7, 30, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    with closing(Registry(path, VAULT)) as opened:
        opened.enroll("Li", POINTS[0], "encoder")
        opened.enroll("Wang", POINTS[1], "encoder")
        assert opened.grown.take_in("Li", POINTS[2, 0], "encoder", BEGIN)
        yield opened


def grown(registry: Registry, encoder: str = "encoder") -> list[Near]:
    kept = registry.grown.points(encoder)[2]
    made = registry.recordings.rotation(encoder, kept.shape[-1]).undo(kept) if len(kept) else kept
    return [Near(each) for each in made]


def near(point: np.ndarray) -> Near:
    return Near(point)


def test_what_was_taken_in_is_there_when_opened_again(path: Path, registry: Registry) -> None:
    with closing(Registry(path, VAULT)) as again:
        assert grown(again) == [near(POINTS[2, 0])]
        (listed,) = again.grown.listed()
    assert (listed.student, listed.at) == ("Li", "2026-03-01T07:30:00+00:00")


def test_it_is_no_recording(registry: Registry) -> None:
    assert registry.student("Li").recordings == 5
    assert len(registry.recordings.numbers("encoder")[0]) == 10
    assert [each.source for each in registry.recordings.known("encoder")] == [""] * 10


def test_it_is_sealed_on_the_disk(path: Path, registry: Registry) -> None:
    for file in path.parent.glob("gallery.sqlite*"):
        assert POINTS[2, 0].astype("<f4").tobytes() not in file.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE grown SET student = 2",
        "UPDATE grown SET at = '2025-01-01T00:00:00+00:00'",
        "UPDATE grown SET number = 7",
        "UPDATE grown SET encoder = 'other'",
        "UPDATE grown SET voiceprint = x'00'",
        "UPDATE grown SET voiceprint = 'a text'",
        "UPDATE grown SET voiceprint = (SELECT voiceprint FROM recordings LIMIT 1)",
    ],
)
def test_one_that_was_changed_counts_for_nothing(
    path: Path, registry: Registry, change: str
) -> None:
    by_hand(path, change)
    assert grown(registry) == grown(registry, "other") == []
    with pytest.raises(GalleryError, match="changed"):
        registry.grown.examine()


def test_it_passes_for_no_recording_that_enrolled(path: Path, registry: Registry) -> None:
    by_hand(path, "UPDATE recordings SET voiceprint = (SELECT voiceprint FROM grown)")
    with pytest.raises(GalleryError, match="changed"):
        registry.recordings.voiceprints([1], "encoder")


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 23)), max_size=40),
    st.integers(1, 5),
)
def test_no_more_is_taken_in_than_the_limits_allow(
    when: list[tuple[int, int]], enrolled: int
) -> None:
    registry = Registry(MEMORY, VAULT)
    registry.enroll("Li", POINTS[0, :enrolled], "encoder")
    taken = []
    for days, hours in when:  # a clock may go back
        at = BEGIN + days * DAY + hours * datetime.timedelta(hours=1)
        if registry.grown.take_in("Li", POINTS[2, 0], "encoder", at):
            taken.append(at)
        assert len(registry.grown.listed()) <= min(MOST, enrolled)
    assert taken == sorted(taken)
    kept = [datetime.datetime.fromisoformat(each.at) for each in registry.grown.listed()]
    assert kept == taken[len(taken) - len(kept) :]
    for last in kept:
        assert sum(each.date() == last.date() for each in kept) <= A_DAY
        assert sum(last - MONTH < each <= last for each in kept) <= A_MONTH
    registry.close()


def test_nobody_grows_who_is_not_enrolled(registry: Registry) -> None:
    assert not registry.grown.take_in("Chen", POINTS[2, 0], "encoder", BEGIN)


def test_another_encoders_give_way(registry: Registry) -> None:
    assert registry.grown.take_in("Li", POINTS[2, 1], "other", BEGIN + DAY)
    assert grown(registry) == []
    assert grown(registry, "other") == [near(POINTS[2, 1])]
    registry.points.forget(["encoder"])
    assert registry.grown.listed() == []


def test_forgetting_them_leaves_what_enrolled(path: Path, registry: Registry) -> None:
    assert registry.grown.take_in("Wang", POINTS[2, 1], "encoder", BEGIN)
    assert registry.grown.forget(["Li"]) == 1
    assert [each.student for each in registry.grown.listed()] == ["Wang"]
    assert registry.student("Li").recordings == 5


def test_who_is_removed_takes_them_along(path: Path, registry: Registry) -> None:
    ((sealed,),) = registry.database.read("SELECT voiceprint FROM grown")
    registry.remove("Li")
    assert grown(registry) == []
    for file in path.parent.glob("gallery.sqlite*"):
        assert sealed not in file.read_bytes()


def test_who_is_enrolled_anew_begins_without_and_who_adds_keeps_them(registry: Registry) -> None:
    registry.enroll("Li", POINTS[3, :1], "encoder", add=True)
    assert len(grown(registry)) == 1
    registry.enroll("Li", POINTS[3, :1], "encoder", word="open")
    assert len(grown(registry)) == 1
    registry.enroll("Li", POINTS[3], "encoder")
    assert grown(registry) == []


def test_a_student_is_given_them_with_the_rest(registry: Registry) -> None:
    (given_out,) = export(registry, "Li")["grown"]
    assert given_out["at"] == "2026-03-01T07:30:00+00:00"
    assert given_out["voiceprint"]["shape"] == [8]
    assert export(registry, "Wang")["grown"] == []


def test_they_are_listed_and_read_of_some_or_of_all(path: Path, registry: Registry) -> None:
    registry.enroll("Rene\u0301", POINTS[3], "encoder")
    assert registry.grown.take_in("Ren\u00e9", POINTS[3, 0], "encoder", BEGIN)
    assert registry.grown.take_in("Wang", POINTS[2, 1].astype(np.float64), "encoder", BEGIN)
    numbers, owners, points = registry.grown.points("encoder")
    assert (numbers.tolist(), owners.tolist(), points.shape) == ([1, 3, 2], [1, 2, 3], (3, 8))
    assert registry.grown.points("encoder", [2, 3, 9])[0].tolist() == [3, 2]
    nobody = registry.grown.points("encoder", [])
    assert [each.shape for each in nobody] == [(0,), (0,), (0, 0)]
    assert [each.dtype for each in nobody] == [np.int64, np.int64, np.float32]
    assert [each.number for each in registry.grown.listed(["Rene\u0301", "Zhao"])] == [2]
    assert [each.number for each in registry.grown.listed([])] == []
    ((one, made),) = registry.grown.of_student("Rene\u0301")
    assert (one.number, one.student, one.encoder) == (2, "Ren\u00e9", "encoder")
    assert near(made) == near(POINTS[3, 0])
    assert registry.grown.forget(["Rene\u0301", "Li", "Zhao"]) == 2
    by_hand(path, "UPDATE grown SET at = 'some day'")
    later = BEGIN + 400 * DAY
    assert not registry.grown.take_in("Wang", POINTS[2, 0], "encoder", later)


def test_one_is_taken_in_a_day_and_two_in_a_month(registry: Registry) -> None:
    hour = datetime.timedelta(hours=1)
    when = [BEGIN + hour, BEGIN + DAY, BEGIN + 2 * DAY, BEGIN + MONTH - hour, BEGIN + MONTH]
    taken = [registry.grown.take_in("Li", POINTS[2, 0], "encoder", each) for each in when]
    assert taken == [False, True, False, False, True]
