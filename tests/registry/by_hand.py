"""Changes to a registry's file by something else than Kaimen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def by_hand(path: Path, *statements: str) -> None:
    """Run SQL statements on a file, behind Kaimen's back."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
