"""Seals on what the registry holds in clear: who has which name, group and consent.

A row's seal (HMAC-SHA256 under the school's key) covers the row's number and the registry, so that
nothing of a row is changed, moved to another or taken over from another registry unseen. The
registry's own seal covers how often it was written and the sum of all rows' seals (a multiset
hash: D. Clarke et al., 2003, MSet-Add-Hash), so that no whole row comes or goes unseen.
"""

from __future__ import annotations

import datetime
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kaimen.registry.vault import Vault

BYTES = 32
SEALED_FIELDS = "number, name, class, consent, enrolled, encoder"

Row = Sequence[object]  # of SEALED_FIELDS


@dataclass(frozen=True, slots=True)
class RegistryState:
    """Which registry it is, and how far it has come."""

    registry: str  # drawn when it was made
    changes: int  # transactions so far
    total: int  # of all students' seals, modulo 2^256
    whole: bool = True  # whether this is as it was written

    @property
    def packed(self) -> bytes:
        """Return the total as it is stored."""
        return self.total.to_bytes(BYTES, "big")

    def is_sum_of(self, seals: Iterable[int]) -> bool:
        """Return whether these are the seals of all students, none more and none fewer."""
        return self.whole and sum(seals) % (1 << 8 * BYTES) == self.total

    def after(self, delta: int) -> RegistryState:
        """Return the state after one more transaction."""
        total = (self.total + delta) % (1 << 8 * BYTES)
        return replace(self, changes=self.changes + 1, total=total)

    def __str__(self) -> str:
        return f"{self.registry}:{self.changes}"

    def went_back(self, noted: Sequence[str]) -> str:
        """Say what speaks against this being the latest state; ``noted`` are earlier ones' names.

        Empty where nothing does. ``noted`` in the order in which they were seen.
        """
        seen = [each.rpartition(":") for each in noted]
        if seen and seen[-1][0] != self.registry:
            return "the log was written with another registry"
        latest = 0
        for registry, _, changes in seen:
            if registry == self.registry:
                if int(changes) < latest:
                    return (
                        "an older copy of the registry was put in its place while the log went on"
                    )
                latest = int(changes)
        if latest > self.changes:
            return (
                f"the registry is older than the log: it was written {self.changes} times, and "
                f"{latest} times when the gate last wrote"
            )
        return ""


class Seals:
    """Makes and checks seals under one key."""

    def __init__(self, vault: Vault) -> None:
        self._key = vault.derive("registry")

    def row(self, registry: str, row: Row) -> bytes:
        """Return the seal of a student's row."""
        return self._of("student", registry, *row)

    def state(self, state: RegistryState) -> bytes:
        """Return the seal of a registry's state."""
        return self._of("state", state.registry, state.changes, state.packed.hex())

    def read_state(
        self, registry: object, changes: object, total: object, seal: object
    ) -> RegistryState:
        """Return a state from its row; one that was changed is not whole."""
        if (
            isinstance(registry, str)
            and isinstance(changes, int)
            and isinstance(total, bytes)
            and isinstance(seal, bytes)
            and len(total) == BYTES
        ):
            found = RegistryState(registry, changes, int.from_bytes(total, "big"))
            return replace(found, whole=hmac.compare_digest(seal, self.state(found)))
        return RegistryState(str(registry), 0, 0, whole=False)

    def _of(self, *told: object) -> bytes:
        return hmac.digest(self._key, json.dumps(told, default=repr).encode(), "sha256")


def number_of(seal: bytes) -> int:
    """Return what a seal adds to the total; nothing for a row without one."""
    return int.from_bytes(seal, "big")


def is_whole(row: Row) -> bool:
    """Return whether a row of an earlier Kaimen can be what Kaimen wrote."""
    consent = row[3]
    try:
        return consent is None or bool(datetime.date.fromisoformat(str(consent)))
    except ValueError:
        return False
