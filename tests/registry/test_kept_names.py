"""Names in one form: however a name is written, it is the same student, also of an old registry."""

from __future__ import annotations

import datetime
import hmac
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.gallery import Gallery
from kaimen.names import as_kept
from kaimen.registry.database import statements
from kaimen.registry.erased import erasure, erasures
from kaimen.registry.migrations import MIGRATIONS, NAMES_KEPT
from kaimen.registry.pseudonyms import pseudonyms
from kaimen.registry.refused import Refused
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.registry.vault import Vault
from kaimen.settings.roster import Rule
from tests.gallery.points import school

POINTS = school(4, 3, 8)
VAULT = Vault()
MAC, KEYBOARD = "Rene\u0301", "Ren\u00e9"
DAY = datetime.datetime(2026, 9, 1, 8)


def old_registry(path: Path, names: list[str]) -> None:
    """Make a registry as an earlier release did, with names as they were given."""
    with sqlite3.connect(path, isolation_level=None) as database:
        for script in MIGRATIONS[: NAMES_KEPT - 1]:
            for statement in statements(script):
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {NAMES_KEPT - 1}")
        database.execute("INSERT INTO vault VALUES (?, '')", (VAULT.identity,))
        for name in names:
            database.execute(
                "INSERT INTO students (name, class, enrolled, encoder) VALUES (?, ?, ?, ?)",
                (name, f"{MAC} ", "2026-09-01T08:00:00+00:00", "encoder"),
            )
            database.execute(
                "INSERT INTO refused VALUES (?, ?, 'rules', 'kind', 'reason')",
                (name, name.encode().hex()),
            )
    database.close()


@pytest.mark.parametrize(("enrolled", "asked"), [(MAC, KEYBOARD), (KEYBOARD, MAC)])
def test_a_name_from_a_mac_is_found_claimed_and_removed(
    enrolled: str, asked: str, tmp_path: Path
) -> None:
    gallery = Gallery.open(tmp_path / "gallery.sqlite", VAULT, "encoder", 8)
    gallery.enroll(enrolled, POINTS[0], group=enrolled)
    assert asked in gallery
    assert gallery.registry.student(asked).name == KEYBOARD
    (rule,) = [Rule.read({"groups": [asked]}, "there")]
    (match,) = gallery.claimed(asked, POINTS[0, 0], groups=rule.groups, day=DAY.date())
    assert match.student == KEYBOARD
    gallery.describe(asked, group="7b")
    gallery.enroll(asked, POINTS[1], word=asked)
    assert gallery.registry.recordings.words(enrolled) == [KEYBOARD]
    assert len(gallery.registry.recordings.of_word(asked, enrolled, "encoder")) == 3
    gallery.remove(asked)
    assert gallery.registry.names() == set()
    assert gallery.registry.erased() == {erasure(VAULT, enrolled)}
    gallery.close()


def test_names_of_an_earlier_registry_are_brought_into_one_form(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    old_registry(path, [MAC, "Li"])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO recordings (student, source, voiceprint, word) VALUES (2, '', x'', ?)",
            (MAC,),
        )
    registry = Registry(path, VAULT)
    assert registry.recordings.words("Li") == [KEYBOARD]
    assert [(each.name, each.group) for each in registry.students()] == [
        ("Li", KEYBOARD),
        (KEYBOARD, KEYBOARD),
    ]
    assert set(registry.refused_files.by_rules("rules")) == {"Li", KEYBOARD}
    assert registry.namesakes() == {}
    registry.close()


def test_names_of_an_earlier_registry_are_sealed_as_they_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    old_registry(path, [MAC, KEYBOARD, "Li"])
    for _ in range(2):
        with closing(Registry(path, VAULT)) as registry:
            roll = registry.roll()
            assert (len(roll.students), roll.changed, roll.complete) == (3, [], True)


def test_an_earlier_registry_that_is_opened_with_another_key_stays_as_it_was(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gallery.sqlite"
    old_registry(path, [MAC, "Li"])
    with pytest.raises(GalleryError, match="under another key"):
        Registry(path, Vault())
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchall() == [(NAMES_KEPT - 1,)]
        names = {name for (name,) in database.execute("SELECT name FROM students")}
    assert names == {MAC, "Li"}
    with closing(Registry(path, VAULT)) as registry:
        assert [each.name for each in registry.students()] == ["Li", KEYBOARD]


def test_two_students_whose_names_become_the_same_stay_two_and_are_told(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    old_registry(path, [MAC, KEYBOARD, f"{KEYBOARD} (2)", f"{KEYBOARD} "])
    registry = Registry(path, VAULT)
    numbers = {each.number: each.name for each in registry.students()}
    assert numbers == {
        1: f"{KEYBOARD} (3)",
        2: KEYBOARD,
        3: f"{KEYBOARD} (2)",
        4: f"{KEYBOARD} (4)",
    }
    assert registry.namesakes() == {f"{KEYBOARD} (3)": KEYBOARD, f"{KEYBOARD} (4)": KEYBOARD}
    assert registry.refused_files.by_rules("rules")[f"{KEYBOARD} (3)"] == [
        Refused(MAC.encode().hex(), "rules", "kind", "reason")
    ]
    registry.remove(f"{KEYBOARD} (3)")
    registry.remove(KEYBOARD)
    assert registry.namesakes() == {}  # who is left has the name to themselves
    registry.close()


@given(st.lists(st.text(st.sampled_from("e\u0301\u00e9 \n(2)"), min_size=1), unique=True))
def test_nobody_of_an_earlier_registry_is_lost(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gallery.sqlite")
        old_registry(path, names)
        registry = Registry(path, VAULT)
        found = registry.students()
        assert {each.number for each in found} == set(range(1, len(names) + 1))
        for each in found:
            assert registry.student(each.name).number == each.number
            assert as_kept(each.name) == each.name
        registry.close()


def test_who_was_removed_by_an_earlier_release_stays_removed(tmp_path: Path) -> None:
    hashed = hmac.digest(VAULT.derive("erased"), MAC.encode(), "sha256").hex()
    assert hashed in erasures(VAULT, KEYBOARD)
    registry = Registry(tmp_path / "gallery.sqlite", VAULT)
    registry.list_erased([hashed])
    registry.enroll(KEYBOARD, POINTS[0], "encoder")
    assert registry.erased() == set()  # who is enrolled again is not removed any more
    registry.close()


def test_lines_of_an_earlier_log_are_found(tmp_path: Path) -> None:
    key = b"key"
    before = hmac.digest(key, f"student {MAC}".encode(), "sha256").hex()[:16]
    assert before in pseudonyms(key, KEYBOARD)
    assert pseudonyms(key, MAC) == pseudonyms(key, KEYBOARD)
    assert len(pseudonyms(key, "Li")) == 1


def test_what_was_heard_of_a_name_from_a_mac_is_known_again_and_forgotten(tmp_path: Path) -> None:
    heard = np.zeros((8, 4), np.uint8)
    memory = ReplayMemory(tmp_path / "heard.sqlite", VAULT)
    memory.keep(MAC, heard)
    assert len(memory.of(KEYBOARD)) == 1
    memory.forget(KEYBOARD)
    assert memory.of(MAC) == []
    memory.close()


def test_what_waits_to_be_written_of_a_name_from_a_mac_is_known_and_forgotten(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gallery.heard.sqlite"
    memory = ReplayMemory(path, VAULT)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError):
            memory.keep(MAC, np.zeros((8, 4), np.uint8))
    assert len(memory.of(KEYBOARD)) == len(memory.of(MAC)) == 1
    memory.forget(KEYBOARD)
    assert memory.of(MAC) == []
    memory.close()


def test_a_student_who_is_not_there_is_said_by_their_name(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "gallery.sqlite", VAULT)
    with pytest.raises(GalleryError, match=f"{MAC} is not enrolled"):
        registry.remove(MAC)
    registry.close()
