"""What is opened is closed: a base for everything that ``with`` closes at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self


def close_all(*closers: Callable[[], object]) -> None:
    """Close one after another, whatever one of them raises; raise the first error at the end."""
    first: BaseException | None = None
    for close in closers:
        try:
            close()
        except BaseException as error:
            first = first or error
    if first is not None:
        raise first


class Closing:
    """A context manager that closes itself, whatever ended the block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        raise NotImplementedError
