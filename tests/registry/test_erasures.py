"""What is under way, what the log waits for and which backups there are is written down."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from kaimen.errors import GalleryError, SettingsError, StorageError
from kaimen.registry import database
from kaimen.registry.erased import erasure, read_erased
from kaimen.registry.erasures import Backup, Erasure
from kaimen.registry.pseudonyms import pseudonym
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.registry.by_hand import by_hand

VAULT = Vault()
ERASURE = Erasure("b", "赵", "2026-11-28T10:00:00+00:00", {"recordings": 3}, ["ab"])
BACKUP = Backup("one", "2026-11-01T10:00:00+00:00", "/media/stick/one")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    with closing(Registry(path, VAULT)) as opened:
        yield opened


def test_an_erasure_is_under_way_until_it_ends(path: Path, registry: Registry) -> None:
    earlier = replace(ERASURE, identity="c", began="2026-11-27T10:00:00+00:00")
    registry.erasures.begin(ERASURE)
    registry.erasures.begin(earlier)
    with closing(Registry(path, VAULT)) as again:
        assert again.erasures.under_way() == [earlier, ERASURE]
    assert not any("赵".encode() in each.read_bytes() for each in path.parent.iterdir())
    registry.erasures.end("c")
    assert registry.erasures.under_way() == [ERASURE]


def test_an_erasure_that_an_earlier_version_began_is_under_way_still(registry: Registry) -> None:
    before = json.dumps({**asdict(ERASURE), "enrolled": "2026-09-01"}).encode()
    with registry.database.writing() as written:
        sealed = VAULT.seal(before, "erasure b")
        written.execute("INSERT INTO erasing VALUES ('b', ?)", (sealed,))
    assert registry.erasures.under_way() == [ERASURE]


def test_an_erasure_opens_as_no_other(path: Path, registry: Registry) -> None:
    registry.erasures.begin(ERASURE)
    by_hand(path, "UPDATE erasing SET identity = 'other'")
    with pytest.raises(GalleryError, match="erasure other: changed"):
        registry.erasures.under_way()


def test_backups_are_known_by_age_until_they_are_given_up(registry: Registry) -> None:
    older = Backup("two", "2026-10-01T10:00:00+00:00", "/media/stick/two")
    registry.erasures.add_backup(BACKUP)
    registry.erasures.add_backup(older)
    assert registry.erasures.backups() == [older, BACKUP]
    over = replace(BACKUP, identity="three", at="2026-12-01T10:00:00+00:00")
    registry.erasures.add_backup(over)  # at the place of the first
    again = replace(older, place="/elsewhere")
    registry.erasures.add_backup(again)  # the same, carried somewhere else
    assert registry.erasures.backups() == [again, over]
    assert registry.erasures.give_up_backup("three")
    assert not registry.erasures.give_up_backup("three")
    assert registry.erasures.backups() == [again]


def test_events_wait_in_order_until_the_log_has_them(path: Path, registry: Registry) -> None:
    registry.events.note("first", "赵", day="今天", until=None)
    for kind in ("second", "third"):
        registry.events.note(kind)
    named = {"kind": "first", "student": pseudonym(VAULT.log_key, "赵"), "day": "今天"}
    with closing(Registry(path, VAULT)) as again:
        assert again.events.waiting(2) == [(1, {**named, "until": None}), (2, {"kind": "second"})]
        again.events.done(2)
    assert registry.events.waiting(2) == [(3, {"kind": "third"})]
    assert not any("今天".encode() in each.read_bytes() for each in path.parent.iterdir())
    by_hand(path, "UPDATE events SET number = 7")
    with pytest.raises(GalleryError, match="event 7: changed"):
        registry.events.waiting(1)


def test_at_once_waits_for_nobody_and_later_does_again(path: Path, registry: Registry) -> None:
    ((before,),) = registry.database.read("PRAGMA busy_timeout")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(StorageError, match="another process holds it"),
            registry.events.at_once(),
        ):
            assert registry.database.read("PRAGMA busy_timeout") == [(0,)]
            registry.events.note("first")
    assert registry.database.read("PRAGMA busy_timeout") == [(before,)] != [(0,)]
    assert registry.events.waiting(1) == []


# What was deleted


def test_nothing_of_what_was_deleted_stays_when_a_registry_is_compacted(
    path: Path, registry: Registry
) -> None:
    for _ in range(300):
        registry.events.note("long", what="x" * 900)
    registry.events.done(299)
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
    registry.database.compact()
    assert path.stat().st_size < 300 * 900
    assert path.with_name("gallery.sqlite-wal").stat().st_size == 0
    assert len(registry.events.waiting(9)) == 1


def test_what_somebody_still_reads_is_not_gone(
    path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATIENCE", "PAUSE"):
        monkeypatch.setattr(database, name, 0.01)
    registry.database.read("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        registry.events.note("first")
        with pytest.raises(StorageError, match=r"gallery\.sqlite: another process holds it"):
            registry.database.truncate_log()
    registry.database.truncate_log()
    assert path.with_name("gallery.sqlite-wal").stat().st_size == 0


# Lists of who was erased


def test_a_list_of_hashes_is_read_and_anything_else_is_not(tmp_path: Path) -> None:
    hashes = {erasure(VAULT, "Li"), erasure(VAULT, "Wang")}
    file = tmp_path / "erased.txt"
    file.write_text("\n".join(hashes), encoding="ascii")
    assert read_erased(file) == hashes
    for wrong in ("Li", f"{min(hashes)}0", min(hashes).upper()):
        file.write_text(f"{max(hashes)} {wrong}", encoding="ascii")
        with pytest.raises(SettingsError, match=f"'{wrong[:20]}' is no hash"):
            read_erased(file)
    file.write_text("李", encoding="utf-8")
    for unread in (file, tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            read_erased(unread)
