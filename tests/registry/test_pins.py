"""A PIN is kept hashed and sealed, and fits whoever it is of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kaimen.errors import GalleryError
from kaimen.registry import pins
from kaimen.registry.pins import KEPT, UnfitPin
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.registry.whole_student import OTHER_PIN, PIN, POINTS

VAULT = Vault()
AS_KEPT = bytes(range(16)) + bytes.fromhex(
    "16a4f7348f63fa29eb23002d8b03ac941e690de10e19201dc6cec13e7bd393d0"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def registry(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(pins, "LOG_N", 4)
    with closing(Registry(path, VAULT)) as opened:
        for name in ("Li", "Wang"):
            opened.enroll(name, POINTS[0], "encoder")
        yield opened


def test_a_pin_of_an_earlier_kaimen_is_one_still(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    registry.pins.put(1, AS_KEPT)
    assert registry.pins.fits(1, PIN) and not registry.pins.fits(1, OTHER_PIN)
    assert registry.pins.kept(1) == AS_KEPT


def test_a_pin_fits_whoever_it_is_of_alone(registry: Registry) -> None:
    registry.pins.set(1, PIN)
    registry.pins.set(2, OTHER_PIN)
    fits = [(who, pin) for who in (1, 2, 3) for pin in (PIN, OTHER_PIN)
            if registry.pins.fits(who, pin)]  # fmt: skip
    assert fits == [(1, PIN), (2, OTHER_PIN)]
    assert registry.pins.everybody() == {1, 2}
    registry.pins.put(2, None)
    assert [registry.pins.has(who) for who in (1, 2, 3)] == [True, False, False]
    assert registry.pins.kept(2) is registry.pins.kept(3) is None


def test_the_same_pin_twice_is_kept_as_two_things(registry: Registry) -> None:
    for who in (1, 2):
        registry.pins.set(who, PIN)
    one, other = (registry.pins.kept(who) for who in (1, 2))
    assert one is not None and other is not None and len(one) == len(other) == KEPT
    assert one[:16] != other[:16] and one[16:] != other[16:]


def test_who_has_none_is_not_let_in_by_a_hash_of_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "_hash", lambda pin, salt: bytes(32))
    assert not registry.pins.fits(1, PIN)


def test_an_unfit_pin_changes_nothing(registry: Registry) -> None:
    registry.pins.set(1, PIN)
    for unfit in (
        "12345",
        "1" * 13,
        "123456",
        "987654",
        "890123",
        "000000",
        "52091x",
        "５２０９１４",
    ):
        with pytest.raises(UnfitPin):
            registry.pins.set(1, unfit)
    assert registry.pins.fits(1, PIN)
    for fit in ("135791", "1" * 11 + "2", "246802", "100000"):
        registry.pins.set(1, fit)
        assert registry.pins.fits(1, fit)


def test_a_pin_that_was_moved_or_changed_opens_for_nobody(path: Path, registry: Registry) -> None:
    registry.pins.set(1, PIN)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE pins SET student = 2")
    with pytest.raises(GalleryError, match="pin of student 2: changed"):
        registry.pins.fits(2, PIN)
    assert not registry.pins.fits(1, PIN)
