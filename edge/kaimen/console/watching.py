"""The gate's feed, read once for however many browsers watch it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from kaimen.parsing import read_json

Told = dict[str, Any]

AGAIN = 1.0  # seconds between looks for a gate that is not there
KEPT = 20  # decisions that a new watcher is shown
BEHIND = 200  # things that a watcher may be behind before the oldest are lost
LONGEST = 1 << 20  # bytes of a line
AWAY: Told = {"kind": "gate", "away": True}
CREDENTIALS = struct.Struct("3i")  # process, user, group


class Watching:
    """What the gate tells, for all watchers; it is asked only while there are some."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._watchers: set[asyncio.Queue[Told]] = set()
        self._states: dict[str, Told] = {}
        self._decisions: deque[Told] = deque(maxlen=KEPT)
        self._reading: asyncio.Task[None] | None = None

    async def events(self) -> AsyncIterator[Told]:
        """Yield what the gate tells: first how it is, then whatever happens."""
        mine: asyncio.Queue[Told] = asyncio.Queue(BEHIND)
        for each in (*self._states.values(), *self._decisions):
            mine.put_nowait(each)
        self._watchers.add(mine)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        try:
            while True:
                yield await mine.get()
        finally:
            self._watchers.discard(mine)
            if not self._watchers and self._reading is not None:
                self._reading.cancel()
                self._reading = None
                self._states.clear()  # old by the time that somebody looks again

    async def _read(self) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
                await self._read_once()
            self._tell(AWAY)
            await asyncio.sleep(AGAIN)

    async def _read_once(self) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._path), limit=LONGEST)
        try:
            talk: socket.socket = writer.get_extra_info("socket")
            size = CREDENTIALS.size
            _, user, _ = CREDENTIALS.unpack(
                talk.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            )
            if user not in (0, os.getuid()):
                raise PermissionError("that is another user's gate")
            while line := await reader.readline():
                told = read_json(line)
                if isinstance(told, dict):
                    self._tell(told)
        finally:
            writer.close()

    def _tell(self, told: Told) -> None:
        kind = told.get("kind")
        if kind == "decision":
            # A gate that is met again tells of the last ones once more.
            if any(each.get("at") == told.get("at") for each in self._decisions):
                return
            self._decisions.append(told)
        elif kind != "level":
            self._states[str(kind)] = told
        for each in self._watchers:
            if each.full():
                each.get_nowait()
            each.put_nowait(told)
