"""What opened the door is remembered, sealed, a few phrases of each, and forgotten on demand."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.gallery import Gallery
from kaimen.registry import replay_memory
from kaimen.registry.opening import OpenDatabase, open_for_reading
from kaimen.registry.replay_memory import KEPT, ReplayMemory, replay_memory_path
from kaimen.registry.sqlite_errors import Failure
from kaimen.registry.vault import Vault

VAULT = Vault()


def made(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (12, 117)).astype(np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.heard.sqlite"


def test_the_latest_are_known_the_latest_first(path: Path) -> None:
    memory = ReplayMemory(path, VAULT)
    for seed in range(KEPT + 3):
        memory.keep("Li", made(seed))
    found = memory.of("Li")
    assert len(found) == KEPT
    for place, each in enumerate(found):
        np.testing.assert_array_equal(each, made(KEPT + 2 - place))
    memory.close()


def test_students_and_words_are_kept_apart(path: Path) -> None:
    memory = ReplayMemory(path, VAULT)
    memory.keep("Li", made(1))
    memory.keep("Li", made(2), "北京")
    memory.keep("Wang", made(3))
    assert [len(memory.of(*who)) for who in (("Li",), ("Li", "北京"), ("Wang",), ("Zhao",))] == [
        1, 1, 1, 0,
    ]  # fmt: skip
    memory.forget("Li")
    assert [len(memory.of(*who)) for who in (("Li",), ("Li", "北京"), ("Wang",))] == [0, 0, 1]
    memory.close()


def test_it_is_there_again_after_a_restart_and_says_nothing_to_others(path: Path) -> None:
    memory = ReplayMemory(path, VAULT)
    memory.keep("Li Wei", made(1))
    memory.close()
    assert len(ReplayMemory(path, VAULT).of("Li Wei")) == 1
    assert ReplayMemory(path, Vault()).of("Li Wei") == []
    assert path.stat().st_mode & 0o077 == 0
    written = path.read_bytes()
    assert b"Li Wei" not in written
    assert made(1).tobytes()[:32] not in written


def test_one_that_is_damaged_is_begun_anew(path: Path) -> None:
    path.write_bytes(b"no database at all, whatever it was before" * 100)
    memory = ReplayMemory(path, VAULT)
    assert memory.of("Li") == []
    memory.keep("Li", made(1))
    assert len(memory.of("Li")) == 1
    memory.close()


def test_a_line_that_was_changed_is_left_out(path: Path) -> None:
    memory = ReplayMemory(path, VAULT)
    memory.keep("Li", made(1))
    memory.keep("Li", made(2))
    memory.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE heard SET fingerprint = x'00112233' WHERE number = 1")
    database.close()
    memory = ReplayMemory(path, VAULT)
    (left,) = memory.of("Li")
    np.testing.assert_array_equal(left, made(2))
    memory.close()


def test_where_it_cannot_be_written_it_says_so(path: Path) -> None:
    memory = ReplayMemory(path, VAULT)
    memory._database.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="read-only"):
        memory.keep("Li", made(1))
    assert len(memory.of("Li")) == 1  # until the program ends
    memory._database.execute("PRAGMA query_only = OFF")
    memory.keep("Li", made(2))
    assert len(ReplayMemory(path, VAULT).of("Li")) == 2
    memory.close()


def test_who_is_removed_is_forgotten_here_too(tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "gallery.sqlite", VAULT, "encoder", 4)
    gallery.enroll("Li", [np.eye(4, dtype=np.float32)[0]])
    memory = ReplayMemory(replay_memory_path(tmp_path / "gallery.sqlite"), VAULT)
    memory.keep("Li", made(1))
    gallery.remove("Li")
    assert memory.of("Li") == []
    memory.close()


def test_what_is_known_of_a_student_is_all_that_is_sealed_of_them(path: Path) -> None:
    with closing(ReplayMemory(path, VAULT)) as memory:
        memory.keep("Li", made(1))
        memory.keep("Li", made(2), "北京")
        memory.keep("Wang", made(3))
        sealed = memory.sealed_of("Li")
        assert len(set(sealed)) == 2 and all(type(each) is bytes for each in sealed)
        assert len(memory.sealed_of("Wang")) == 1 and memory.sealed_of("Zhao") == []
        memory.forget("Li")
        memory.compact()
        written = b"".join(each.read_bytes() for each in path.parent.iterdir())
        assert not any(each in written for each in sealed)
        assert memory.sealed_of("Wang")[0] in path.read_bytes()
        assert memory.sealed_of("Li") == []


def test_it_is_not_compact_while_somebody_reads_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATIENCE", "PAUSE"):
        monkeypatch.setattr(replay_memory, name, 0.01)
    with closing(ReplayMemory(path, VAULT)) as memory:
        memory.keep("Li", made(1))
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM heard").fetchall()
            memory.forget("Li")
            with pytest.raises(StorageError, match="sqlite: another process holds it"):
                memory.compact()
        memory.compact()


def test_one_that_is_whole_is_told_from_one_that_is_not(path: Path) -> None:
    with closing(ReplayMemory(path, VAULT)) as memory:
        memory.keep("Li", made(1))
    ReplayMemory.examine(path, VAULT)
    with pytest.raises(GalleryError, match="another key"):
        ReplayMemory.examine(path, Vault())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE heard SET phrase = 'x'")
    with pytest.raises(GalleryError, match="heard, x: changed"):
        ReplayMemory.examine(path, VAULT)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DELETE FROM heard")
        database.execute("PRAGMA writable_schema = ON")
        database.execute("DELETE FROM sqlite_master WHERE name = 'heard_of'")
    with pytest.raises(GalleryError, match=r"sqlite: damaged \(\*"):
        ReplayMemory.examine(path, VAULT)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(GalleryError, match="damaged"):
        ReplayMemory.examine(path, VAULT)


def test_one_that_is_damaged_while_it_is_open_is_begun_anew(path: Path) -> None:
    said: list[str] = []
    with closing(ReplayMemory(path, VAULT, say=said.append)) as memory:
        memory.keep("Li", made(1))
        memory.compact()
        content = bytearray(path.read_bytes())
        content[100:] = b"x" * (len(content) - 100)
        with path.open("r+b") as file:
            file.write(content)
        memory._database.execute("PRAGMA cache_size = 0")
        assert memory.of("Li") == []
        memory.keep("Li", made(2))
        assert len(memory.of("Li")) == 1
    assert len(said) == 1 and "begun anew" in said[0]
    assert len(ReplayMemory(path, VAULT).of("Li")) == 1


def test_one_that_was_put_in_anothers_place_is_taken_over(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with closing(ReplayMemory(other, VAULT)) as memory:
        memory.keep("Wang", made(2))
    with closing(ReplayMemory(path, VAULT)) as memory:
        memory.keep("Li", made(1))
        for log in ("-wal", "-shm"):
            path.with_name(path.name + log).unlink()
        other.rename(path)
        assert (memory.of("Li"), len(memory.of("Wang"))) == ([], 1)


def test_what_could_not_be_written_is_written_in_order_and_no_more_than_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_memory, "PATIENCE", 0.01)
    with closing(ReplayMemory(path, VAULT)) as memory:
        memory.keep("Li", made(0))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for seed in range(1, KEPT + 2):
                with pytest.raises(StorageError, match="another process holds it"):
                    memory.keep("Li", made(seed), "word")
            np.testing.assert_array_equal(memory.of("Li", "word")[0], made(KEPT + 1))
            assert len(memory.of("Li", "word")) == KEPT
            assert len(memory.of("Li")) == 1
        memory.keep("Wang", made(99))
    with closing(ReplayMemory(path, VAULT)) as memory:
        found = memory.of("Li", "word")
        assert len(found) == KEPT
        np.testing.assert_array_equal(found[0], made(KEPT + 1))
        np.testing.assert_array_equal(found[-1], made(2))
        assert [len(memory.of(name)) for name in ("Li", "Wang")] == [1, 1]


def test_one_that_cannot_be_written_says_which_file_and_until_when(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ReplayMemory(path, VAULT).close()

    def unwritable(place: Path, settings: Sequence[str], patience: float) -> OpenDatabase:
        return open_for_reading(place, Failure.FULL, patience)

    monkeypatch.setattr(replay_memory, "open_file", unwritable)
    said: list[str] = []
    with closing(ReplayMemory(path, VAULT, say=said.append)):
        (sentence,) = said
    assert sentence.startswith(f"{path}: the disk is full")
    assert sentence.endswith("what opens the door is remembered only until the gate ends")
