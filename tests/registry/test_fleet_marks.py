"""After a renewal a machine's marks are the new ones, and a change made here stays known as one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kaimen.errors import GalleryError
from kaimen.registry.fleet_marks import fleet_store_path, replace_marks


def marks(store: Path) -> list[str]:
    with closing(sqlite3.connect(store)) as database:
        return [mark for (mark,) in database.execute("SELECT mark FROM entries ORDER BY number")]


def test_marks_of_students_are_replaced_and_all_others_stay(tmp_path: Path) -> None:
    store = fleet_store_path(tmp_path / "gallery.sqlite")
    assert store == tmp_path / "gallery.fleet.sqlite"
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, mark TEXT)")
        entries = [("li",), ("wang before",), ("gone",), ("li",)]
        database.executemany("INSERT INTO entries (mark) VALUES (?)", entries)
    before = {"Li": "li", "Also Li": "li", "Wang": "wang", "Gone": "gone"}
    replace_marks(store, before, {"Li": "LI", "Also Li": "OTHER", "Wang": "WANG"})
    assert marks(store) == ["LI", "wang before", "gone", "LI"]
    replace_marks(store, {"Li": "LI"}, {"Li": "li"})
    assert marks(store)[0] == "li"


def test_a_store_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no database" * 100, encoding="utf-8")
    with pytest.raises(GalleryError, match="store: damaged"):
        replace_marks(tmp_path / "store", {}, {})
