"""Work that several processes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

from kaimen_train.progress import track

WORKERS = 2

Made = TypeVar("Made")

_shared: ContextVar[ProcessPoolExecutor | None] = ContextVar("shared", default=None)


@contextmanager
def one_pool() -> Iterator[None]:
    """Let all work of a block, or of a function, share processes: each loads an encoder once."""
    with ProcessPoolExecutor(WORKERS) as pool:
        before = _shared.set(pool)
        try:
            yield
        finally:
            _shared.reset(before)


def in_processes(
    work: Callable[..., Made], what: str, *items: Sequence[Any], together: int = 16
) -> list[Made]:
    """Return what ``work`` makes of each item, or of each several, in their order.

    A process takes so many ``together``. ``what`` names the work on the progress bar.
    """
    shared = _shared.get()
    with ProcessPoolExecutor(WORKERS) if shared is None else nullcontext(shared) as pool:
        made = pool.map(work, *items, chunksize=together)
        return list(track(made, what, len(items[0])))
