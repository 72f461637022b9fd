"""Bring the names of an earlier release's registry into the form that names are kept in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from kaimen.names import as_kept

NAMELESS = "(no name)"


def keep_names(database: sqlite3.Connection) -> None:
    """Rename students, groups and words, in a transaction of the caller's.

    Two students whose names become the same stay two: the later is given a number behind the
    name, and ``renamed`` says which name that was.
    """
    rows = database.execute("SELECT number, name, class FROM students ORDER BY number").fetchall()
    names = _apart(name for _, name, _ in rows)
    for number, name, group in rows:
        database.execute(
            "UPDATE students SET name = ?, class = ? WHERE number = ?",
            (names[name], as_kept(group), number),
        )
        wanted = as_kept(name)
        if names[name] != wanted:
            database.execute("INSERT INTO renamed VALUES (?, ?)", (number, wanted))
    for (name,) in database.execute("SELECT DISTINCT student FROM refused").fetchall():
        database.execute(
            "UPDATE refused SET student = ? WHERE student = ?",
            (names.get(name, as_kept(name)), name),
        )
    for (word,) in database.execute("SELECT DISTINCT word FROM recordings").fetchall():
        database.execute("UPDATE recordings SET word = ? WHERE word = ?", (as_kept(word), word))


def _apart(names: Iterable[str]) -> dict[str, str]:
    """Return what each name is kept as, no two the same; one that is kept as it is stays so."""
    before = list(names)
    after = {name: name for name in before if name and as_kept(name) == name}
    taken = set(after)
    for name in before:
        if name not in after:
            wanted = as_kept(name) or NAMELESS
            free = wanted
            number = 1
            while free in taken:
                number += 1
                free = f"{wanted} ({number})"
            after[name] = free
            taken.add(free)
    return after
