"""What the gate hears and decides, told to whoever watches at a Unix socket: JSON, a line each.

The gate never waits for a watcher: one that does not read in time is dropped, and may come again.
Without a watcher nothing is measured. Only the gate's own user may connect.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaimen.closing import Closing, close_all
from kaimen.door.listener import PathListener
from kaimen.output import finite
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.storage import make_folder

EVERY = SAMPLE_RATE // 10  # samples between two levels
KEPT = 20  # decisions that a new watcher is told of
MOST = 16  # watchers at a time

Fields = Mapping[str, Any]


class Feed(Closing):
    """Tells watchers; without a socket it tells nobody."""

    def __init__(self, listener: PathListener | None = None) -> None:
        """Use ``listening`` for one at a path."""
        self._listener = listener
        self._watchers: list[socket.socket] = []
        self._states: dict[str, Fields] = {}  # the last of each kind
        self._decisions: deque[str] = deque(maxlen=KEPT)
        self._heard = 0  # samples since the last level
        self._power = self._peak = 0.0

    @classmethod
    def listening(cls, path: Path, say: Callable[[str], None]) -> Feed:
        """Return a feed at a path; where none can be made, that is said and nobody is told."""
        with contextlib.suppress(OSError):  # said below
            make_folder(path.parent, 0o700)
        try:
            if path.parent.stat().st_uid not in (0, os.getuid()):
                raise PermissionError(0, "that folder is somebody else's")
            return cls(PathListener(path, MOST, mode=0o600, kind=socket.SOCK_STREAM))
        except OSError as error:
            say(f"{path}: no console can watch ({error.strerror or error}); the gate goes on")
            return cls()

    def hear(self, block: Samples, *, speaking: bool) -> None:
        """Take in a block of sound, shape (n,); tell its level ten times a second."""
        self._heard += len(block)
        if self._watchers and len(block):
            self._power += float(np.square(block, dtype=np.float64).sum())
            self._peak = max(self._peak, float(np.abs(block).max()))
        if self._heard >= EVERY:
            if self._watchers:
                level = 10 * math.log10(max(self._power / self._heard, 1e-12))
                peak = 20 * math.log10(max(self._peak, 1e-6))
                self._send(
                    _line("level", level=round(level, 1), peak=round(peak, 1), speaking=speaking)
                )
            self._heard, self._power, self._peak = 0, 0.0, 0.0
            self.look()

    def decision(self, fields: Fields) -> None:
        """Tell an answer of the gate, as it shows it."""
        if self._listener is None:
            return
        line = _line("decision", **fields)
        self._decisions.append(line)
        self._send(line)

    def state(self, kind: str, fields: Fields) -> None:
        """Tell how something is, such as the door, if that has changed."""
        if self._listener is not None and self._states.get(kind) != fields:
            self._states[kind] = dict(fields)
            self._send(_line(kind, **fields))

    def look(self) -> None:
        """Let new watchers in, and tell them how it is and what was decided last."""
        if self._listener is None:
            return
        while (newcomer := self._listener.newcomer()) is not None:
            if len(self._watchers) >= MOST:
                newcomer.close()
                continue
            self._watchers.append(newcomer)
            states = [_line(kind, **fields) for kind, fields in self._states.items()]
            for line in (*states, *self._decisions):
                self._send(line, newcomer)

    def close(self) -> None:
        """Tell nobody any more."""
        held = [*self._watchers, self._listener]
        self._watchers, self._listener = [], None
        with contextlib.suppress(OSError):
            close_all(*(each.close for each in held if each is not None))

    def _send(self, line: str, to: socket.socket | None = None) -> None:
        if not self._watchers:
            return
        content = line.encode()
        for each in [*self._watchers] if to is None else [to]:
            try:
                whole = each.send(content) == len(content)
            except OSError:
                whole = False
            if not whole and each in self._watchers:  # it reads too slowly, or has left
                self._watchers.remove(each)
                each.close()


def _line(kind: str, **fields: Any) -> str:
    known = {name: finite(value) for name, value in fields.items()}
    return json.dumps({"kind": kind, **known}, ensure_ascii=False, separators=(",", ":")) + "\n"
