"""What gates report to a desk: how they are, and what happened, each event kept once."""

from __future__ import annotations

import datetime
from typing import Any

from kaimen.errors import ForgedMessage
from kaimen.fleet.link import Link
from kaimen.fleet.membership import Membership
from kaimen.fleet.message import MessageKind, open_report
from kaimen.fleet.store import Store
from kaimen.local_time import now_as_kept
from kaimen.parsing import read_json


class Reports:
    """Takes reports, and says which events are written down."""

    def __init__(self, membership: Membership, store: Store, link: Link) -> None:
        self._membership = membership
        self._store = store
        self._link = link

    def subscribe(self) -> None:
        """Subscribe to all reports."""
        topics = self._membership.topics
        for filter in (topics.statuses, topics.onlines, topics.all_events):
            self._link.subscribe(filter)

    def hear(self, topic: str, payload: bytes) -> None:
        """Keep what a gate reports. Raises MessageError of every kind, and StorageError."""
        gate, what = self._membership.topics.gate_of(topic)
        if not gate or not payload:
            return
        known = self._store.gates().get(gate, {})
        now = now_as_kept()
        if what == "online":  # in clear: it is the gate's last will
            online = payload == b"1"
            since = known.get("since", now) if known.get("online") is online else now
            self._store.put_gate(gate, {**known, "online": online, "since": since, "seen": now})
            return
        content = open_report(topic, payload, self._membership.gate_key(gate))
        try:
            found = read_json(content)
            if what == "status":
                self._report(gate, known, found, now)
            elif what == "events":
                last = str(found["last"])
                self._store.put_events(gate, found["records"])
                self._receipt(gate, last)
        except (ValueError, TypeError, KeyError):
            raise ForgedMessage(f"{gate}: no report that this Kaimen reads; update it") from None

    def _report(self, gate: str, known: dict[str, Any], found: dict[str, Any], now: str) -> None:
        """Keep how a gate is. The broker may give an old report again, which is no news."""
        at, before = str(found["at"]), str(known.get("at", ""))
        # A time that lies ahead came from a wrong clock: it cannot say which report is older.
        if at < before <= datetime.datetime.now(datetime.UTC).isoformat():
            return
        reported = now if at != before else known.get("reported", now)
        self._store.put_gate(gate, {**known, **found, "seen": now, "reported": reported})

    def _receipt(self, gate: str, last: str) -> None:
        topic = self._membership.topics.of_gate(gate, "receipt")
        payload = self._membership.seal(topic, MessageKind.RECEIPT, 0, last.encode())
        self._link.publish(topic, payload, retain=False)
