"""What a machine of a fleet remembers of its registry's students: the mark of each (``marks``).

A student whose mark is another was changed here, and by no desk. A new key changes all marks and
no student, so that a gate would remove everybody, and take them from the fleet again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from kaimen.registry.opening import transaction
from kaimen.registry.sqlite_errors import as_error


def fleet_store_path(registry: Path) -> Path:
    """Return where a machine remembers what it knows of its fleet, by its registry's file."""
    return registry.with_suffix(".fleet.sqlite")


def replace_marks(store: Path, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Replace marks of students, given by name, by those of after.

    What was changed here and by no desk stays known as changed. Raises GalleryError and
    StorageError.
    """
    pairs = [(after[name], mark) for name, mark in before.items() if name in after]
    try:
        with (
            closing(sqlite3.connect(store, isolation_level=None)) as database,
            transaction(database),
        ):
            database.execute("CREATE TEMP TABLE new (mark TEXT, old TEXT PRIMARY KEY)")
            database.executemany("INSERT OR IGNORE INTO new VALUES (?, ?)", pairs)
            database.execute(
                "UPDATE entries SET mark = new.mark FROM new WHERE entries.mark = new.old"
            )
    except sqlite3.Error as error:
        raise as_error(error, store) from None
