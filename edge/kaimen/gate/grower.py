"""Takes in what a gate picked, beside it: the registry may be busy, and nobody waits for it."""

from __future__ import annotations

import datetime
import queue
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from kaimen.access.growing import Growing, GrowthCandidate
from kaimen.clock import utc_now
from kaimen.errors import StorageError
from kaimen.gate.supervisor import Pulse
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault

EVERY = 1.0  # seconds between looks
TOGETHER = 600.0  # seconds for which candidates wait: each change is work for all running gates
PATIENCE = 25.0  # seconds a look may take: twice what a locked registry is waited for
WAITING = 10_000  # candidates that wait at most, while a disk is full


class Grower:
    """Writes candidates into a registry's file, as far as there is room for them."""

    def __init__(
        self,
        growing: Growing,
        path: Path,
        vault: Vault,
        encoder: str,
        *,
        now: Callable[[], datetime.datetime] = utc_now,
        together: float = TOGETHER,
    ) -> None:
        self._growing = growing
        self._path = path
        self._vault = vault
        self._encoder = encoder
        self._now = now
        self._together = together
        self._waiting: list[tuple[datetime.datetime, GrowthCandidate]] = []
        self._taken: queue.SimpleQueue[GrowthCandidate] = queue.SimpleQueue()

    def run(self, pulse: Pulse) -> None:
        """Look until it is told to stop; work for a supervised thread."""
        with closing(Registry(self._path, self._vault)) as registry:
            while not pulse.wait(EVERY):
                self.look(registry)
                pulse.well()
            self.look(registry, at_once=True)

    def look(self, registry: Registry, *, at_once: bool = False) -> None:
        """Collect candidates, and take in those that waited long enough.

        On a disk that cannot be written they wait on.
        """
        now = self._now()
        self._waiting += [(now, each) for each in self._growing.candidates()]
        del self._waiting[WAITING:]
        if not self._waiting:
            return
        if not at_once and (now - self._waiting[0][0]).total_seconds() < self._together:
            return
        try:
            taken = []
            with registry.database.writing():
                for at, each in self._waiting:
                    if registry.grown.take_in(each.student, each.voiceprint, self._encoder, at):
                        taken.append(each)
        except StorageError:
            return
        self._waiting.clear()
        for each in taken:
            self._taken.put(each)

    def taken(self) -> list[GrowthCandidate]:
        """Return what was taken in since the last call; it is on the disk."""
        return [self._taken.get() for _ in range(self._taken.qsize())]
