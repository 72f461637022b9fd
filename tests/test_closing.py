"""What is opened is closed, whatever happens meanwhile."""

from __future__ import annotations

import pytest

from kaimen.closing import close_all


def test_all_are_closed_in_order_whatever_one_raises_and_the_first_error_is_seen() -> None:
    closed: list[str] = []

    def fails(name: str) -> None:
        closed.append(name)
        raise OSError(name)

    with pytest.raises(OSError, match=r"^second$"):
        close_all(
            lambda: closed.append("first"),
            lambda: fails("second"),
            lambda: fails("third"),
            lambda: closed.append("fourth"),
        )
    assert closed == ["first", "second", "third", "fourth"]


def test_an_interruption_waits_until_all_are_closed() -> None:
    closed: list[str] = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        close_all(interrupted, lambda: closed.append("the rest"))
    assert closed == ["the rest"]
