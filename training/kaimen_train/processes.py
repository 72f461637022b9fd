"""Work that several processes share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from kaimen_train.progress import track

WORKERS = 2

Made = TypeVar("Made")


def in_processes(
    work: Callable[..., Made], what: str, *items: Sequence[Any], together: int = 16
) -> list[Made]:
    """Return what ``work`` makes of each item, or of each several, in their order.

    A process takes so many ``together``. ``what`` names the work on the progress bar.
    """
    with ProcessPoolExecutor(WORKERS) as pool:
        made = pool.map(work, *items, chunksize=together)
        return list(track(made, what, len(items[0])))
