"""Output that ends nothing: what cannot be shown is left out, and the gate goes on."""

from __future__ import annotations

import contextlib
import math
import os
import select
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

PIECE = 1024  # characters, at most PIPE_BUF bytes: a pipe that takes any takes all of them


class BestEffort:
    """A stream that takes what it can: closed, full, stuck or broken, it raises nothing.

    Whoever reads too slowly misses lines, so that nobody waits at the door for them.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or as much of it as is taken at once; return how long it is."""
        with contextlib.suppress(OSError, ValueError):
            for start in range(0, len(text), PIECE):
                if not self._takes():
                    break
                self._stream.write(text[start : start + PIECE])
                self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Do nothing: every piece is flushed when it is written."""

    def _takes(self) -> bool:
        try:
            number = self._stream.fileno()
        except (OSError, ValueError):
            return True  # no file: it never waits
        ready = select.poll()
        ready.register(number, select.POLLOUT)
        return [event for _, event in ready.poll(0)] == [select.POLLOUT]


@contextmanager
def best_effort() -> Iterator[None]:
    """Let standard output and standard error be no reason to end, meanwhile and afterwards."""
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:  # it was closed when the program began
                stream = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            setattr(sys, name, cast(TextIO, BestEffort(stream)))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
            let_go()


def let_go() -> None:
    """Drop what the standard streams no longer take, so that the program ends as it should."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except ValueError:  # closed
            continue
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


@contextmanager
def unheard() -> Iterator[None]:
    """Let what cannot be shown be no reason to end otherwise: the exit code tells it, too."""
    try:
        yield
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):  # full, or without a reader; or closed
        let_go()


def fill_standard_descriptors() -> None:
    """Open nothing in place of standard streams that are closed.

    Otherwise the next file that is opened would get their numbers, and the remarks of libraries.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # Python found it closed
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def finite(value: Any) -> Any:
    """Return the same without what JSON has no word for."""
    if isinstance(value, Mapping):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
