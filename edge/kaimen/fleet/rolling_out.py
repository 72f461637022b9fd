"""A bundle for many gates: one after the other, only where it is not yet, and no further than well.

Whoever stops it begins it again: gates that have the bundle are left alone.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from kaimen.errors import FleetError
from kaimen.fleet.link import Link
from kaimen.fleet.membership import Membership
from kaimen.fleet.message import MessageKind
from kaimen.fleet.store import Store

EVERY = 0.2  # seconds between looks at what gates report
PATIENCE = 120.0  # seconds until a gate has to begin
REACH = 15.0  # seconds to reach the broker in


class RollingOut:
    """Sends a bundle to gates, through a link of its own; the desk's process hears the answers."""

    def __init__(
        self, membership: Membership, store: Store, content: bytes, say: Callable[[str], None]
    ) -> None:
        """``content``: the bundle's file. Raises FleetError."""
        self._membership = membership
        self._store = store
        self._content = content
        self._sha256 = hashlib.sha256(content).hexdigest()
        self._say = say
        name = f"kaimen-{membership.fleet}-{membership.name}-rolling-out"
        self._link = Link(membership.broker, name, lambda *_: None, say=say)

    def close(self) -> None:
        """End the link."""
        self._link.close()

    def outdated(self, tag: str | None, identity: str) -> list[str]:
        """Return the gates of a tag, or all, that do not decide by a bundle yet, by name."""
        return [
            name
            for name, status in sorted(self._store.gates().items())
            if (tag is None or tag in status.get("tags", []))
            and status.get("bundle") != identity[:16]
        ]

    def roll_out(self, gates: list[str], identity: str) -> None:
        """Give gates the bundle in turn. Raises FleetError at the first that is not well."""
        self._reach()
        topic = self._membership.topics.content(self._sha256)
        self._tell(topic, MessageKind.CONTENT, 0, self._content)
        for number, gate in enumerate(gates):
            self._say(f"{gate}: {number + 1} of {len(gates)}")
            try:
                self._give(gate, identity)
            except FleetError as error:
                rest = gates[number + 1 :]
                left = f"; {', '.join(rest)} were left alone" if rest else ""
                raise FleetError(f"{gate}: {error}{left}") from None

    def _give(self, gate: str, identity: str) -> None:
        if not self._status(gate).get("online"):
            raise FleetError("it has no link to the broker")
        before = self._status(gate).get("problems") or []
        if before:
            raise FleetError(f"it is not well before anything is changed: {before[0]}")
        version = max(int(self._store.fact("ordered", 0)) + 1, time.time_ns() // 1_000_000)
        self._store.note("ordered", version)
        topic = self._membership.topics.of_gate(gate, "order")
        order = json.dumps({"bundle": self._sha256}).encode()
        self._tell(topic, MessageKind.ORDER, version, order)
        began = time.monotonic()
        while True:
            status = self._status(gate)
            order_status = status.get("order") or {}
            taken = order_status.get("version") == version
            if taken and order_status.get("well") is False:
                raise FleetError(f"it did not take the bundle: {order_status.get('said')}")
            if taken and order_status.get("well"):
                problems = status.get("problems") or []
                if problems:
                    raise FleetError(f"it is not well with the bundle: {problems[0]}")
                if not status.get("trial"):
                    if status.get("bundle") == identity[:16]:
                        return
                    if status.get("last_trial"):
                        raise FleetError(f"the trial was not passed: {status['last_trial']}")
            if not taken and time.monotonic() - began > PATIENCE:
                raise FleetError("it does not answer; look at its log")
            self._link.step(EVERY)

    def _status(self, gate: str) -> dict[str, Any]:
        return self._store.gates().get(gate, {})

    def _tell(self, topic: str, kind: MessageKind, version: int, content: bytes) -> None:
        number = self._link.publish(topic, self._membership.seal(topic, kind, version, content))
        end = time.monotonic() + PATIENCE
        while number is None or number not in self._link.received():
            if number is None or not self._link.connected or time.monotonic() > end:
                raise FleetError("the broker does not take the bundle; begin again")
            self._link.step(EVERY)

    def _reach(self) -> None:
        end = time.monotonic() + REACH
        while not self._link.connected:
            if time.monotonic() > end:
                raise FleetError(f"the broker is not reached: {self._link.why_not}")
            self._link.step(EVERY)
