"""Under another key a registry holds the same, moved elsewhere and sealed anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import GalleryError, StorageError
from kaimen.registry import pins, renewing
from kaimen.registry.database import MEMORY
from kaimen.registry.erasures import Backup, Erasure
from kaimen.registry.registry import Registry
from kaimen.registry.renewing import (
    LINKED,
    copy_database,
    renew_registry,
    renew_replay_memory,
    unlinked,
)
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.registry.rotation import Rotation
from kaimen.registry.vault import Vault
from kaimen.voice.evidence import Evidence
from tests.gallery.points import Near, school
from tests.registry.whole_student import LI, PIN, POINTS, enroll_whole

ERASURE = Erasure("one", "赵", "2026-11-28T10:00:00+00:00", {"recordings": 3}, ["ab"])
RENE = "Rene\u0301"


class CountedStudents(Vault):
    """A vault that counts how many others were drawn of it."""

    drawn = 0

    def renewed(self) -> Vault:
        self.drawn += 1
        return super().renewed()


OLD = CountedStudents()
NEW = OLD.renewed()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "LOG_N", 4)


@pytest.fixture(params=["rotated", "not rotated"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return where a registry of two students is, of one of whom everything is known."""
    place = tmp_path / "gallery.sqlite"
    with closing(Registry(place, OLD)) as registry, registry.database.writing() as database:
        database.execute("UPDATE vault SET rotated = ?", (request.param == "rotated",))
    with closing(Registry(place, OLD)) as registry:
        registry.enroll("Wang", POINTS[5, :1], "encoder")
        enroll_whole(registry)
        registry.erasures.begin(ERASURE)
        registry.erasures.add_backup(Backup("b", "2026", "/b"))
    return place


@pytest.fixture
def to(path: Path) -> Path:
    return path.with_name("renewed.sqlite")


@pytest.fixture
def before(path: Path) -> Iterator[Registry]:
    with closing(Registry(path, OLD)) as registry:
        yield registry


def renewed(path: Path, to: Path) -> Registry:
    renew_registry(path, to, OLD, NEW, None)
    return Registry(to, NEW)


def sealed(registry: Registry) -> set[object]:
    """Return every piece of a registry that is sealed."""
    found: set[object] = set()
    for table, columns in (
        ("recordings", ("voiceprint", "said", "fingerprint")),
        *((each, ("sealed",)) for each in ("points", "consents", "pins", "events", "erasing")),
        ("grown", ("voiceprint",)),
        ("students", ("seal",)),
    ):
        rows = registry.database.read(f"SELECT {', '.join(columns)} FROM {table}")
        assert rows
        found |= {each for row in rows for each in row if each}
    return found


def test_everything_is_what_it_was_under_another_key(
    path: Path, to: Path, before: Registry
) -> None:
    with closing(renewed(path, to)) as after:
        for name in (LI, "Wang"):
            assert after.copies.of(name) == before.copies.of(name)
            assert after.recordings.listed(name) == before.recordings.listed(name)
        student = after.student(LI)
        assert student == before.student(LI)
        assert after.pins.fits(student.number, PIN)
        assert after.consents.of(student.number) == before.consents.of(student.number)
        assert after.erasures.under_way() == [ERASURE]
        assert after.erasures.backups() == before.erasures.backups()
        assert after.events.waiting(9) == before.events.waiting(9) != []
        assert after.refused_files.by_rules("rules") == before.refused_files.by_rules("rules")
        ((one, grown),), ((other, same),) = (each.grown.of_student(LI) for each in (before, after))
        assert (one, Near(grown)) == (other, Near(same))
        after.recordings.examine()
        after.grown.examine()
        roll, state = after.roll(), after.database.state()
        assert (roll.changed, roll.complete, state.whole) == ([], True, True)
        assert state.registry == before.database.state().registry
        assert state.changes == before.database.state().changes + 1
        assert not sealed(after) & sealed(before)
        assert to.stat().st_mode & 0o777 == 0o600


def test_voiceprints_lie_elsewhere_under_another_key(
    path: Path, to: Path, before: Registry
) -> None:
    with closing(renewed(path, to)) as after:
        assert after.database.rotated
        for encoder in ("encoder", "another"):
            numbers = before.recordings.numbers(encoder)[0]
            kept = [each.recordings.kept(numbers, encoder) for each in (before, after)]
            assert np.abs(kept[0] - kept[1]).max() > 0.1


def test_the_registry_before_stays_and_neither_opens_under_the_others_key(
    path: Path, to: Path
) -> None:
    content = path.read_bytes()
    renewed(path, to).close()
    assert path.read_bytes() == content
    for place, key in ((path, NEW), (to, OLD)):
        with pytest.raises(GalleryError, match="another key"):
            Registry(place, key)


@pytest.mark.parametrize(
    ("statement", "changed", "complete"),
    [
        ("UPDATE students SET class = '9' WHERE name = 'Wang'", ["Wang"], True),
        ("UPDATE students SET seal = x'00' WHERE name = 'Wang'", ["Wang"], False),
        ("DELETE FROM students WHERE name = 'Wang'", [], False),
    ],
)
def test_what_somebody_else_changed_stays_known_as_changed(
    path: Path, to: Path, statement: str, changed: list[str], complete: bool
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(statement)
    with closing(renewed(path, to)) as after:
        roll = after.roll()
        assert (roll.changed, roll.complete) == (changed, complete)
        assert [each.name for each in roll.students] == [LI]


def test_what_does_not_open_is_not_sealed_anew(path: Path, to: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE recordings SET voiceprint = x'00' WHERE number = 1")
    with pytest.raises(GalleryError, match=r"recording 1 .* changed"):
        renew_registry(path, to, OLD, NEW, None)


def test_a_copy_that_cannot_be_made_is_said(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be made"):
        copy_database(path, tmp_path / "nowhere" / "copy.sqlite")
    with pytest.raises(GalleryError, match=r"copy\.sqlite"):
        copy_database(tmp_path, tmp_path / "copy.sqlite")
    (tmp_path / "text").write_text("no database" * 100, encoding="utf-8")
    with pytest.raises(GalleryError, match="damaged"):
        copy_database(tmp_path / "text", tmp_path / "other.sqlite")


# What opened the door


def print_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (12, 4)).astype(np.uint8)


def test_what_opened_the_door_is_known_under_another_key_and_what_is_nobodys_is_not(
    path: Path, to: Path, before: Registry
) -> None:
    before.enroll(RENE, POINTS[4, :1], "encoder")
    heard = path.with_name("heard.sqlite")
    said = [(LI, ""), (LI, "北京"), ("Wang", ""), (RENE, "")]
    with closing(ReplayMemory(heard, OLD)) as memory:
        for seed, (name, word) in enumerate([*said, ("Zhao", ""), (LI, "上"), (LI, "北京")]):
            memory.keep(name, print_of(seed), word)
    renew_replay_memory(heard, to, before, NEW)
    ReplayMemory.examine(to, NEW)
    with closing(ReplayMemory(to, NEW)) as memory:
        for seed, (name, word) in enumerate(said):
            np.testing.assert_array_equal(memory.of(name, word)[-1], print_of(seed))
        assert [len(memory.of(*each)) for each in said] == [1, 2, 1, 1]
        memory.forget(LI)
        assert [len(memory.of(*each)) for each in said] == [0, 0, 1, 1]
    with closing(sqlite3.connect(to)) as database:
        assert database.execute("SELECT count(*) FROM heard").fetchall() == [(2,)]
    with closing(ReplayMemory(heard, OLD)) as memory:
        assert len(memory.of(LI)) == 1


def test_a_memory_that_does_not_open_is_not_sealed_anew(
    path: Path, to: Path, before: Registry
) -> None:
    heard = path.with_name("heard.sqlite")
    with closing(ReplayMemory(heard, OLD)) as memory:
        memory.keep("Wang", print_of(1))
    with closing(sqlite3.connect(heard)) as database, database:
        database.execute("UPDATE heard SET fingerprint = x'00'")
    with pytest.raises(GalleryError, match="changed"):
        renew_replay_memory(heard, to, before, NEW)


# Which key


def linked(registry: Registry, new: Vault) -> float:
    """Return how many deviations recordings are more alike under both keys than others."""
    numbers = registry.recordings.numbers("encoder")[0]
    kept = registry.recordings.kept(numbers, "encoder")
    made = registry.recordings.voiceprints(numbers, "encoder")
    cosines = kept @ Rotation.of(new, "encoder", made.shape[1]).apply(made).T
    same = np.eye(len(cosines), dtype=bool)
    return float(abs(cosines[same].mean() - cosines[~same].mean()) / cosines[~same].std())


@pytest.fixture
def crowd() -> Iterator[Registry]:
    """Return a registry in a space so small that most keys leave a little of where points were."""
    with closing(Registry(MEMORY, CountedStudents())) as registry:
        registry.enroll("without a voice", [], "")
        for place, points in enumerate(school(12, 2, 8)):
            registry.enroll(f"s{place}", points, "encoder")
        registry.enroll("of a smaller space", np.eye(4, dtype=np.float32)[:1], "another")
        (*_, known) = registry.recordings.known("encoder")
        registry.points.add([(known, POINTS[0, 0], Evidence())], "encoder")
        yield registry


def test_a_key_is_drawn_that_leaves_nothing_of_where_points_were(
    crowd: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "DRAWS", 1000)
    vault = crowd.vault
    assert isinstance(vault, CountedStudents)
    for _ in range(4):
        assert linked(crowd, unlinked(crowd)) <= LINKED + 1e-6
    assert vault.drawn > 4
    assert unlinked(crowd).log_key == vault.log_key


def test_where_no_key_is_good_the_last_of_some_is_taken(
    crowd: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "DRAWS", 3)
    monkeypatch.setattr(renewing, "LINKED", -1.0)
    unlinked(crowd)
    assert isinstance(crowd.vault, CountedStudents) and crowd.vault.drawn == 3


@pytest.mark.parametrize(("recordings", "drawn"), [(0, 1), (1, 1), (2, 3)])
def test_a_school_that_nothing_can_be_said_of_gets_the_first_key(
    recordings: int, drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "DRAWS", 3)
    monkeypatch.setattr(renewing, "LINKED", -1.0)
    vault = CountedStudents()
    with closing(Registry(MEMORY, vault)) as registry:
        for name in range(recordings):
            registry.enroll(f"{name}", POINTS[name, :1], "encoder")
        new = unlinked(registry)
    assert new.identity != vault.identity and (new.log_key, vault.drawn) == (vault.log_key, drawn)
