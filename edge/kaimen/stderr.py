"""Silence for libraries that talk past the program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def silenced() -> Iterator[None]:
    """Keep what C libraries write to standard error from whoever reads it meanwhile.

    The MP3 decoder's and the runtimes' remarks name no file and no remedy; what matters
    becomes an error of ours.
    """
    with suppress(OSError, ValueError, AttributeError):  # closed, full, or nobody reads it
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed: nobody reads it
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
