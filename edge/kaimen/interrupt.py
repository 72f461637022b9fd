"""Ctrl-C ends a command quietly, at whatever moment it comes.

While modules are loaded there is nothing to put in order, and an exception there would be shown as
an error of the module: the process ends at once. Later KeyboardInterrupt is raised, as ever; one
that is lost in a callback is raised again.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from sys import UnraisableHookArgs

INTERRUPTED = 130  # exit code


def end_at_once() -> None:
    """Let Ctrl-C end the process at once from now on, unless something else was to be done."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def end_in_order() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again from now on."""
    if signal.getsignal(signal.SIGINT) is _end:
        sys.unraisablehook = _raise_again
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def handled(
    handler: Callable[[int, FrameType | None], object] | signal.Handlers, *numbers: int
) -> Iterator[None]:
    """Give these signals to a handler until the block has ended."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def told_to_end() -> threading.Event:
    """Return an event that a request to end, or Ctrl-C, sets from now on."""
    import threading

    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and a request to end wait until the block has ended.

    Signals come to the main thread alone; in another thread nothing is to be done.
    """
    import threading  # a relay that must go off waits for no module it does not need

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    try:
        with handled(lambda number, frame: came.append(number), signal.SIGTERM, signal.SIGINT):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def _raise_again(lost: UnraisableHookArgs) -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    else:
        sys.__unraisablehook__(lost)
