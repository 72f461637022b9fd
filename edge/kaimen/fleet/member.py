"""What a desk and a gate have in common: a link, a replica, and catching up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from kaimen.errors import KaimenError, MessageError
from kaimen.fleet.catching_up import CatchingUp
from kaimen.fleet.ledger import News
from kaimen.fleet.link import Link
from kaimen.fleet.membership import Membership
from kaimen.fleet.replica import Replica
from kaimen.fleet.store import Store
from kaimen.local_time import now_as_kept
from kaimen.registry.registry import Registry

WAIT = 0.2  # seconds that a step waits for a message
EVERY = 0.2  # seconds between looks at the registry
PATIENCE = 2.0  # seconds to wait for a manifest on a new link
ONLINE, OFFLINE = b"1", b"0"


class Member:
    """A machine of a fleet; ``step`` does what is due."""

    def __init__(
        self,
        membership: Membership,
        registry: Registry,
        store: Store,
        say: Callable[[str], None],
    ) -> None:
        """Nothing is connected yet. Raises FleetError and StorageError."""
        self.membership = membership
        self.topics = membership.topics
        self.registry = registry
        self.store = store
        self.say = say
        self.replica = Replica(membership, registry, store, say)
        online = self.topics.of_gate(membership.name, "online")
        self.link = Link(
            membership.broker,
            f"kaimen-{membership.fleet}-{membership.name}",
            self._hear,
            will=(online, OFFLINE),
            say=say,
        )
        self.catching_up = CatchingUp(self.replica, self.link)
        self._connections = 0
        self._connected_at = 0.0
        self._looked_at = 0.0
        self._noted: tuple[bool, str] | None = None  # of the link
        self._version: int | None = None  # of the registry, when it was last looked at

    def close(self) -> None:
        """Say that this machine goes, and end the link."""
        self.link.publish(self.topics.of_gate(self.membership.name, "online"), OFFLINE)
        self.link.close()
        with suppress(KaimenError):  # a full disk keeps nobody from going
            self._note_link(False, "this machine's process for the fleet was stopped")

    def step(self, wait: float = WAIT) -> None:
        """Read, write and compare what is due. Raises GalleryError and StorageError."""
        self.link.step(wait)
        self._note_link(self.link.connected, self.link.why_not)
        if self.link.connected and self.link.connections != self._connections:
            self._connections = self.link.connections
            self._connected_at = time.monotonic()
            self._begin()
        self.replica.flush(paced=True)
        if self.link.connected and self.compares:
            self.catching_up.end_proven()
            if self.catching_up.settled:
                self.catching_up.look()
        now = time.monotonic()
        if now - self._looked_at >= EVERY:
            self._looked_at = now
            self.look()
        self.work()

    def _note_link(self, connected: bool, why_not: str) -> None:
        """Remember, for who looks at this machine, since when there is a link, or none and why."""
        if self._noted == (connected, why_not):
            return
        before = self.store.fact("link", {})
        since = before.get("since") if before.get("connected") is connected else None
        since = since or now_as_kept()
        self.store.note("link", {"connected": connected, "since": since, "why_not": why_not})
        self._noted = connected, why_not

    def look(self) -> None:
        """Look whether something else changed the registry."""

    def work(self) -> None:
        """Do what only a desk, or only a gate, does."""

    def subscribe(self) -> None:
        """Subscribe to what only a desk, or only a gate, reads."""

    def hear(self, topic: str, payload: bytes) -> None:
        """Take a message that is neither a student's nor a manifest. Raises MessageError."""

    def _begin(self) -> None:
        """Begin with a new link: nothing is known of what the broker has."""
        self.replica.manifests.clear()
        self.catching_up.forget_link()
        self.link.subscribe(self.topics.all_students, retained=False)
        self.link.subscribe(self.topics.manifests)
        self.subscribe()
        self.link.publish(self.topics.of_gate(self.membership.name, "online"), ONLINE)

    @property
    def compares(self) -> bool:
        """Return whether what differs from the latest manifest is to be asked for."""
        return True

    @property
    def waited(self) -> bool:
        """Return whether a manifest would have come by now."""
        return self.link.connected and time.monotonic() - self._connected_at > PATIENCE

    def registry_changed(self) -> bool:
        """Return whether something else than this process wrote the registry since last asked."""
        version = self.registry.database.version()
        changed, self._version = version != self._version, version
        return changed

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            if topic.startswith(self.topics.manifest("")):
                if payload:
                    known = len(self.replica.desk_keys)
                    self.replica.hear_manifest(topic, payload)
                    if len(self.replica.desk_keys) > known:
                        self.link.subscribe(self.topics.manifests)  # what was refused until now
                    self.replica.flush(paced=True)
                    self.catching_up.try_again()
                    self.catching_up.look()
            elif topic.startswith(f"{self.topics.root}/students/"):
                if not payload:
                    self.catching_up.hear_cleared(self.topics.pseudonym_of(topic))
                heard = self.replica.hear(topic, payload)
                if heard is not None:
                    self.catching_up.hear(heard)
                    if heard.news is News.OLDER and not retained:
                        self.replica.refused["OlderMessage"] += 1
            else:
                self.hear(topic, payload)
        except MessageError as error:
            self.replica.refuse(error)
