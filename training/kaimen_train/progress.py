"""Progress bars that know when nobody is looking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as _track

T = TypeVar("T")

console = Console(stderr=True)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield the items under a progress bar on a terminal, silently elsewhere.

    ``total`` says how many there are where they have no length.
    """
    if not console.is_terminal:
        yield from items
    else:
        yield from _track(items, what, total, console=console, transient=True)
