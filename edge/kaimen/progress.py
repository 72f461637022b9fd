"""How a long work shows how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

Step = TypeVar("Step")


class Track(Protocol):
    """Passes on the steps of a long work while showing how far it is."""

    def __call__(self, steps: Iterable[Step], what: str, count: int, /) -> Iterable[Step]: ...
