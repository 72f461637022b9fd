"""Tables for spreadsheets: CSV of which no cell is taken for a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import IO, Any

from kaimen.names import printable

FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # what one begins with
ENCODING = "utf-8-sig"  # with the mark by which spreadsheets know it


def write_table(file: IO[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a heading and rows. A text that would be a formula gets an apostrophe in front."""
    table = csv.writer(file)
    table.writerow(columns)
    for row in rows:
        table.writerow([_cell(value) for value in row])


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value  # -0.5 is a number
    shown = printable(value)
    return f"'{shown}" if value.startswith(FORMULA) else shown
