"""What is opened is closed: a base for everything that ``with`` closes at its end."""

from __future__ import annotations

from typing import Self


class Closing:
    """A context manager that closes itself, whatever ended the block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        raise NotImplementedError
