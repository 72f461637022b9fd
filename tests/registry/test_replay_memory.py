"""What opened the door is remembered, sealed, a few phrases of each, and forgotten on demand."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import StorageError
from kaimen.gallery.gallery import Gallery
from kaimen.registry.replay_memory import KEPT, ReplayMemory, replay_memory_of
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
    memory = ReplayMemory(replay_memory_of(tmp_path / "gallery.sqlite"), VAULT)
    memory.keep("Li", made(1))
    gallery.remove("Li")
    assert memory.of("Li") == []
    memory.close()
