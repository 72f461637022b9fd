"""Signals: they wait while something must not be cut off, and reach whoever waits for them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from kaimen.interrupt import handled, told_to_end, uninterrupted

ENDING = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[object]]:
    """Yield the handlers of now, and put them back afterwards."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield list(before.values())
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_waits_until_the_block_has_ended(number: int) -> None:
    signal.signal(number, signal.default_int_handler)
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(number)
        done.append("the rest")
    assert done == ["the rest"]
    assert signal.getsignal(number) is signal.default_int_handler


def test_a_signal_that_waited_is_raised_after_an_error_too(handlers: list[object]) -> None:
    came: list[int] = []
    with handled(lambda number, _: came.append(number), *ENDING):
        with pytest.raises(OSError, match="full"), uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            raise OSError("full")
        assert came == [signal.SIGTERM]
    assert [signal.getsignal(number) for number in ENDING] == handlers


@pytest.mark.parametrize("number", ENDING)
def test_whoever_serves_until_told_to_end_is_told_by_either_signal(number: int) -> None:
    told = told_to_end()
    assert not told.is_set()
    signal.raise_signal(number)
    assert told.is_set()
