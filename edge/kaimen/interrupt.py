"""Ctrl-C ends a command quietly, at whatever moment it comes.

While modules are loaded there is nothing to put in order, and an exception there would be shown as
an error of the module: the process ends at once. Later KeyboardInterrupt is raised, as ever; one
that is lost in a callback is raised again.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED = 130  # exit code


def end_at_once() -> None:
    """From now on Ctrl-C ends the process at once, unless something else was to be done."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def end_in_order() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _end:
        sys.unraisablehook = _raise_again
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def _raise_again(lost: UnraisableHookArgs) -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    else:
        sys.__unraisablehook__(lost)
