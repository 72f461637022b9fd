"""A gate of a fleet: it takes its students over from the desks, and reports what happened.

It is a process of its own beside the one that opens the door. It writes into the registry as an
enrollment does; the door's process takes that up by itself.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from kaimen import __version__
from kaimen.audit.chain import Record
from kaimen.audit.following import Follower, id_of
from kaimen.errors import ForgedMessage, StorageError
from kaimen.fleet.member import Member
from kaimen.fleet.membership import Membership
from kaimen.fleet.message import MessageKind, open_message, seal_report
from kaimen.fleet.orders import Orders
from kaimen.fleet.store import Store
from kaimen.registry.pseudonyms import pseudonyms
from kaimen.registry.registry import Registry

REPORT = 30.0  # seconds between two reports where nothing changed
AT_MOST = 1.0  # seconds between two where something did
AGAIN = 10.0  # seconds until events that no desk received are sent again
BATCH = 100  # events at a time
KEEP = 300.0  # seconds between two writes of how far the log was told: each costs the card


class FleetGate(Member):
    """A gate's process in the fleet."""

    def __init__(
        self,
        membership: Membership,
        registry: Registry,
        store: Store,
        say: Callable[[str], None],
        *,
        follower: Follower | None = None,
        log_key: bytes = b"",
        about: Callable[[], dict[str, Any]] = dict,
        orders: Orders | None = None,
    ) -> None:
        """``about`` says what else is to be reported of the gate, and its ``problems``.

        Raises FleetError and StorageError.
        """
        super().__init__(membership, registry, store, say)
        self._follower = follower
        self._log_key = log_key
        self._about = about
        self._orders = orders
        self._content = ""  # the topic of a content that was subscribed to
        self._reported: dict[str, Any] = {}
        self._reported_at = -REPORT
        self._sent: str | None = None  # the last event of those on their way
        self._sent_at = 0.0
        self._batch: list[Record] = []
        self._kept_at = -KEEP
        self._changed = True

    def subscribe(self) -> None:
        """Subscribe to what desks tell this gate."""
        for what in ("receipt", "order"):
            self.link.subscribe(self.topics.of_gate(self.membership.name, what))
        self._reported_at = -REPORT
        self._sent_at = -AGAIN
        self._content = ""

    def look(self) -> None:
        """Take back what something else than the fleet changed in the registry."""
        self._changed |= self.registry_changed()
        if not self._changed or not self.replica.whole:
            return
        self._changed = False
        changes = self.replica.local_changes()
        known = {each: mark for each, mark in changes.items() if self.replica.kept.get(each)}
        if known:
            self.say(
                f"{len(known)} students were changed here; they are taken from the fleet again"
            )
            self.replica.distrust(known)
        strangers = self.replica.remove_strangers()
        if strangers:
            self.say(
                f"{len(strangers)} students were enrolled here and by no desk; they are removed"
            )
        self.registry_changed()

    def work(self) -> None:
        """Report what is due."""
        if not self.link.connected:
            return
        self.link.received()
        self._report()
        self._tell_events()
        if self._orders is not None:
            self._orders.look()
            wanted = self._orders.wanted and self.topics.content(self._orders.wanted)
            if wanted != self._content:
                self._content = wanted
                if wanted:
                    self.link.subscribe(wanted)

    # How it is.

    def status(self) -> dict[str, Any]:
        """Return how this gate is, for the desks."""
        manifest = self.replica.manifest
        about = self._about()
        problems = list(about.pop("problems", []))
        if self.replica.went_back:
            problems.append("the broker has an older set of students than was seen before")
        refused = sum(self.replica.refused.values())
        return {
            "version": __version__,
            "tags": list(self.membership.tags),
            "students": self.replica.ledger.students,
            "whole": self.replica.whole,
            "whole_at": self.replica.ledger.whole_at,
            "desk_said": manifest.at if manifest is not None else None,
            "refused": refused,
            "order": self._orders.result if self._orders is not None else {},
            "events_missed": self._follower.missed if self._follower is not None else 0,
            **about,
            "problems": problems,
        }

    def _report(self) -> None:
        now = time.monotonic()
        since = now - self._reported_at
        if since < AT_MOST:
            return
        status = self.status()
        if status == self._reported and since < REPORT:
            return
        at = datetime.datetime.now(datetime.UTC).isoformat()
        if self._tell("status", {**status, "at": at}) is not None:
            self._reported, self._reported_at = status, now

    def _tell(self, what: str, content: dict[str, Any], *, retain: bool = True) -> int | None:
        """Publish a report under this gate's own key; return its number, or None."""
        topic = self.topics.of_gate(self.membership.name, what)
        key = self.membership.gate_key(self.membership.name)
        sealed = seal_report(topic, json.dumps(content).encode(), key)
        return self.link.publish(topic, sealed, retain=retain)

    # What happened.

    def close(self) -> None:
        """Note how far the log was told, and go."""
        with suppress(StorageError):  # it is told again, and the desk knows it
            self._keep()
        super().close()

    def _keep(self) -> None:
        """Note how far the log was told; a gate that is killed before tells it again."""
        if self._follower is not None and not self._batch:
            self._follower.keep()
            self._kept_at = time.monotonic()

    def _tell_events(self) -> None:
        now = time.monotonic()
        if now - self._kept_at >= KEEP:
            self._keep()
        if self._follower is None or now - self._sent_at < (AGAIN if self._batch else 0.2):
            return
        self._sent_at = now
        if not self._batch:
            try:
                self._batch = self._follower.waiting(BATCH)
            except StorageError as error:
                self.say(str(error))
                return
        if not self._batch:
            return
        self._sent = id_of(self._batch[-1])
        content = {"records": list(self._told(self._batch)), "last": self._sent}
        self._tell("events", content, retain=False)

    def _told(self, records: Iterable[Record]) -> Iterable[Record]:
        """Yield records in which students are called as in the fleet, not as in this gate's log."""
        called = {
            own: pseudonym
            for pseudonym, name in self.replica.names.items()
            for own in pseudonyms(self._log_key, name)
        }

        def told(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: told(each) for name, each in value.items()}
            if isinstance(value, list):
                return [told(each) for each in value]
            return called.get(value, value) if isinstance(value, str) else value

        for record in records:
            yield {**told(record), "id": id_of(record)}

    def hear(self, topic: str, payload: bytes) -> None:
        """Take what a desk tells this gate. Raises MessageError."""
        gate, what = self.topics.gate_of(topic)
        if not payload or (gate != self.membership.name and topic != self._content):
            return
        key, desks = self.membership.message_key, self.replica.desk_keys
        message = open_message(topic, payload, key, desks)
        if what == "receipt" and message.kind is MessageKind.RECEIPT:
            self._receive(message.content.decode("ascii", "replace"))
        elif what == "order" and self._orders is not None:
            self._orders.take(message)
        elif topic == self._content and self._orders is not None:
            self._orders.take_content(message, self.say)
        else:
            raise ForgedMessage(f"nothing that a desk tells a gate: {what}")

    def _receive(self, last: str) -> None:
        if last == self._sent and self._batch:
            self._batch, self._sent = [], None
            self._sent_at = 0.0
