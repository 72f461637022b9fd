"""Nobody becomes somebody else by a change to the registry that Kaimen did not make."""

from __future__ import annotations

import datetime
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import GalleryError
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.index import index_path
from kaimen.registry.database import MEMORY
from kaimen.registry.migrations import CHANGES, EVENTS, MIGRATIONS, SEALED
from kaimen.registry.registry import Registry
from kaimen.registry.seals import RegistryState
from kaimen.registry.vault import Vault
from tests.gallery.points import school
from tests.registry.by_hand import by_hand

VAULT = Vault()
POINTS = school(5, 3, 8)
NAMES = ("Li", "Wang", "Zhao", "Chen")
DAY = datetime.date(9000, 1, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a registry of four students is."""
    file = tmp_path / "gallery.sqlite"
    with closing(opened(file)) as gallery:
        for name, points in zip(NAMES, POINTS, strict=False):
            gallery.enroll(name, points, group="7a", consent=DAY)
        gallery.save()
    return file


def opened(path: Path, said: list[str] | None = None) -> Gallery:
    say: Callable[[str], None] = (lambda text: None) if said is None else said.append
    return Gallery.open(path, VAULT, "encoder", 8, say=say)


SWAP = (
    "UPDATE students SET name = 'x' WHERE name = 'Li'",
    "UPDATE students SET name = 'Li' WHERE name = 'Wang'",
    "UPDATE students SET name = 'Wang' WHERE name = 'x'",
)


def test_two_names_that_were_swapped_open_for_neither_and_for_all_others(path: Path) -> None:
    by_hand(path, *SWAP)
    said: list[str] = []
    with closing(opened(path, said)) as gallery:
        assert gallery.students == ["Chen", "Zhao"]
        for points, name in zip(POINTS, NAMES, strict=False):
            nearest = gallery.nearest(points[0])[0].student
            assert (nearest == name) == (name in ("Zhao", "Chen"))
    assert len(said) == 1 and "2 students stay outside" in said[0] and "doctor" in said[0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE students SET class = '8b' WHERE name = 'Li'",
        "UPDATE students SET consent = NULL WHERE name = 'Li'",
        "UPDATE students SET consent = 'some day' WHERE name = 'Li'",
        "UPDATE students SET encoder = 'encoder2' WHERE name = 'Li'",
        "UPDATE students SET seal = x'' WHERE name = 'Li'",
        "UPDATE students SET seal = 'text' WHERE name = 'Li'",
        "UPDATE students SET number = 99 WHERE name = 'Li'",
        "UPDATE students SET seal = (SELECT seal FROM students WHERE name = 'Wang') "
        "WHERE name = 'Li'",
    ],
)
def test_a_row_that_was_changed_is_refused_alone(path: Path, statement: str) -> None:
    by_hand(path, statement)
    with closing(Registry(path, VAULT)) as registry:
        roll = registry.roll()
        assert [each.name for each in roll.students] == ["Chen", "Wang", "Zhao"]
        assert roll.changed == ["Li"]
        with pytest.raises(GalleryError, match="something else than Kaimen"):
            registry.student("Li")
        with pytest.raises(GalleryError, match="something else than Kaimen"):
            registry.describe("Li", group="8b")


def test_while_a_gate_runs_a_change_by_hand_is_taken_over_as_one(path: Path) -> None:
    said: list[str] = []
    with closing(opened(path, said)) as gallery:
        assert len(gallery) == 4 and not said
        by_hand(path, *SWAP)
        assert gallery.refresh()
        assert gallery.students == ["Chen", "Zhao"] and len(said) == 1


def test_whoever_was_changed_may_be_removed_and_enrolled_again(path: Path) -> None:
    by_hand(path, *SWAP)
    with closing(opened(path)) as gallery:
        gallery.remove("Li")
        gallery.enroll("Li", POINTS[0], group="7a")
        gallery.enroll("Wang", POINTS[1])  # without removing: nobody knows whose the row was
        assert gallery.students == sorted(NAMES)
        assert gallery.nearest(POINTS[0][0])[0].student == "Li"
        roll = gallery.registry.roll()
        assert (roll.changed, roll.complete) == ([], True)
        assert gallery.registry.student("Wang").group == ""


def test_a_whole_row_that_was_put_in_or_taken_out_is_noticed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        row = database.execute("SELECT * FROM students WHERE name = 'Li'").fetchone()
    with closing(Registry(path, VAULT)) as registry:
        registry.remove("Li")
        assert registry.roll().complete
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"INSERT INTO students VALUES ({','.join('?' * len(row))})", row)
    with closing(Registry(path, VAULT)) as registry:
        assert not registry.roll().complete
    by_hand(path, "DELETE FROM students WHERE name = 'Li'")
    with closing(Registry(path, VAULT)) as registry:
        assert registry.roll().complete
        registry.describe("Zhao", group="8c")
        assert registry.roll().complete


def test_a_registry_of_an_earlier_kaimen_is_sealed_when_it_is_opened(path: Path) -> None:
    as_before_seals(path, "UPDATE students SET consent = 'some day' WHERE name = 'Chen'")
    with closing(opened(path)) as gallery:
        assert gallery.students == ["Li", "Wang", "Zhao"]
        assert gallery.registry.student("Li").group == "7a"
        roll = gallery.registry.roll()
        assert (roll.changed, roll.complete) == (["Chen"], True)
    by_hand(path, *SWAP)
    with closing(opened(path)) as gallery:
        assert gallery.students == ["Zhao"]


def as_before_seals(path: Path, *statements: str) -> None:
    assert len(MIGRATIONS) == SEALED + 4
    triggers = [f"{table}_{event}" for table in CHANGES for event, _ in EVENTS]
    by_hand(
        path,
        *statements,
        *(f"DROP TRIGGER {name}" for name in triggers),
        "DROP TABLE journal",
        "DROP TABLE grown",
        *(f"DROP TABLE {name}" for name in ("consents", "pins", "events", "erasing", "backups")),
        "ALTER TABLE vault DROP COLUMN rotated",
        "ALTER TABLE recordings DROP COLUMN highest",
        *(f"ALTER TABLE vault DROP COLUMN {name}" for name in ("registry", "changes", "total")),
        "ALTER TABLE vault DROP COLUMN seal",
        "ALTER TABLE students DROP COLUMN seal",
        f"PRAGMA user_version = {SEALED - 1}",
    )


def test_an_older_registry_copied_over_the_newer_has_its_index_made_anew(
    path: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older.sqlite"
    shutil.copy(path, older)
    with closing(opened(path)) as gallery:
        gallery.enroll("Zhou", POINTS[4])
        gallery.remove("Li")
        gallery.save()
    shutil.copy(older, path)
    said: list[str] = []
    with closing(opened(path, said)) as gallery:
        # Its next recordings have the numbers of others that the old index knew.
        gallery.enroll("Sun", -POINTS[4])
        assert gallery.students == sorted([*NAMES, "Sun"])
        for points, name in zip(POINTS, NAMES, strict=False):
            assert gallery.nearest(points[0])[0].student == name
        np.testing.assert_allclose(gallery.voiceprints("Sun"), -POINTS[4], atol=1e-6)
        gallery.save()
    assert len(said) == 1 and "index" in said[0] and "made anew" in said[0]
    said.clear()
    with closing(opened(path, said)) as gallery:
        assert len(gallery) == 5 and not said
    assert index_path(path).exists()


def test_a_registry_that_was_put_in_anothers_place_is_taken_over_by_a_running_gate(
    path: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older.sqlite"
    shutil.copy(path, older)
    with closing(opened(path)) as gallery:
        gallery.enroll("Zhou", POINTS[4])
        assert len(gallery) == 5
        older.rename(path)
        for log in ("-wal", "-shm"):
            path.with_name(path.name + log).unlink(missing_ok=True)
        assert gallery.refresh()
        assert gallery.students == sorted(NAMES)
        assert gallery.nearest(POINTS[0][0])[0].student == "Li"


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 4)), max_size=12))
def test_whatever_kaimen_writes_fits_its_seals(steps: list[tuple[str, int]]) -> None:
    with closing(Registry(MEMORY, VAULT)) as registry:
        for place, (name, step) in enumerate(steps, 1):
            enrolled = name in {each.name for each in registry.students()}
            if step == 0 or not enrolled:
                registry.enroll(name, POINTS[0][: step + 1], "encoder", group=f"g{step}")
            elif step == 1:
                registry.describe(name, group="7b", until_withdrawn=True)
            elif step == 2:
                registry.remove(name)
            elif step == 3:
                registry.enroll(name, POINTS[1], "another", consent=DAY)
            else:
                registry.describe(name, consent=DAY)
            roll = registry.roll()
            assert (roll.changed, roll.complete) == ([], True)
            assert registry.database.state().changes == 1 + place


@pytest.mark.parametrize(
    ("noted", "said"),
    [
        ([], ""),
        (["r:1", "r:7"], ""),
        (["r:8"], "older than the log: it was written 7 times, and 8 times"),
        (["r:7", "r:5", "r:6"], "older copy of the registry was put in its place"),
        (["r:7", "q:1"], "with another registry"),
        (["q:9", "r:2"], ""),
    ],
)
def test_a_registry_that_went_back_is_told_by_what_was_noted(noted: list[str], said: str) -> None:
    found = RegistryState("r", 7, 0).went_back(noted)
    assert said in found and bool(found) == bool(said)


@pytest.mark.parametrize(
    "change",
    ["registry = 'other'", "changes = 0", "changes = 'x'", "total = x''", "total = 'x'",
     "seal = x'00'", "seal = 'x'"],
)  # fmt: skip
def test_a_state_that_was_changed_is_not_whole_and_stays_so(path: Path, change: str) -> None:
    by_hand(path, f"UPDATE vault SET {change}")
    with closing(Registry(path, VAULT)) as registry:
        state = registry.database.state()
        assert not state.whole and not registry.roll().complete
        whole = state.registry, state.changes, state.total
        assert change.startswith(("registry", "changes = 0", "seal = x")) or whole[1:] == (0, 0)
        registry.pins.remove(1)
        assert registry.database.state() == state


def test_a_registry_that_was_written_once_is_older_than_a_log_of_more() -> None:
    assert RegistryState("r", 0, 0).went_back([]) == ""
    assert "older" in RegistryState("r", 0, 0).went_back(["r:1"])
    assert RegistryState("r", 1, 0).went_back(["r:0", "r:1"]) == ""
