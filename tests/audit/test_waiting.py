"""Events that commands left in the registry come into the log, whoever else is at the registry."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from kaimen.audit import Audit, export, write_waiting
from kaimen.errors import StorageError
from kaimen.registry import database
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault

KEY = bytes(range(32))


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Write in another process's place, without an end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with closing(Registry(tmp_path / "gallery.sqlite", Vault(KEY))) as made:
        yield made


def kinds(folder: Path) -> list[tuple[str, int]]:
    return [(each["kind"], each["event_number"]) for each in export(folder, KEY)]


def test_what_waits_is_written_once_and_in_its_order(registry: Registry, tmp_path: Path) -> None:
    for kind in ("first", "second", "third"):
        registry.events.note(kind)
    with Audit(tmp_path / "audit", KEY) as log:
        assert write_waiting(log, registry.events, 2) == 2
        assert write_waiting(log, registry.events, 2) == 1
        assert write_waiting(log, registry.events, 2) == 0
        registry.events.note("fourth")
        assert write_waiting(log, registry.events, 2) == 1
    assert kinds(tmp_path / "audit") == [("first", 1), ("second", 2), ("third", 3), ("fourth", 4)]


def test_an_event_that_cannot_be_struck_off_is_written_once(
    registry: Registry, tmp_path: Path
) -> None:
    registry.events.note("first")
    with Audit(tmp_path / "audit", KEY) as log:
        with held(tmp_path / "gallery.sqlite"), registry.events.at_once():
            for _ in range(3):
                with pytest.raises(StorageError, match="another process holds it"):
                    write_waiting(log, registry.events, 5)
        registry.events.note("second")
        assert write_waiting(log, registry.events, 5) == 2
    assert kinds(tmp_path / "audit") == [("first", 1), ("second", 2)]


def test_a_gate_waits_for_nobody_and_others_do(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.25)
    with registry.events.at_once():
        assert registry.database.read("PRAGMA busy_timeout") == [(0,)]
    assert registry.database.read("PRAGMA busy_timeout") == [(250,)]
    with held(tmp_path / "gallery.sqlite"), pytest.raises(StorageError):
        registry.events.note("first")
