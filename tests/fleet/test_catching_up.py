"""Buckets that differ are asked for in turn, each as soon as there is room."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from kaimen.fleet import catching_up
from kaimen.fleet.catching_up import MOST_BUCKETS, SETTLE, CatchingUp
from kaimen.fleet.ledger import BUCKET_NAMES, FleetEntry, Ledger, News, different
from kaimen.fleet.link import Link
from kaimen.fleet.replica import Replica, StudentMessage

DESK = "d" * 16


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Asked:
    """A link that notes what is subscribed to."""

    def __init__(self) -> None:
        self.buckets: list[str] = []

    def subscribe(self, bucket: str) -> None:
        self.buckets.append(bucket)

    def unsubscribe(self, bucket: str) -> None:
        self.buckets.remove(bucket)


class Behind:
    """A replica that has nothing of what the manifest has: two students in each bucket."""

    def __init__(self) -> None:
        whole = Ledger()
        self.students = {
            bucket: [f"{bucket}{number:030x}" for number in range(2)] for bucket in BUCKET_NAMES
        }
        for each in self.students.values():
            for student in each:
                whole.put(student, FleetEntry(7, DESK, False))
        self.manifest = SimpleNamespace(
            digests={bucket: whole.digest(bucket) for bucket in BUCKET_NAMES},
            students=2 * len(BUCKET_NAMES),
            version=7,
        )
        self.ledger = Ledger()
        self.membership = SimpleNamespace(topics=SimpleNamespace(bucket=lambda bucket: bucket))
        self.flushed = 0

    def different(self) -> list[str]:
        return different(self.ledger, self.manifest.digests)

    def flush(self, *, paced: bool = False) -> None:
        self.flushed += not paced


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(catching_up, "time", clock)
    return clock


def test_the_next_buckets_are_asked_for_when_some_are_whole_and_nothing_is_waited_for(
    clock: Clock,
) -> None:
    replica, link = Behind(), Asked()
    catching = CatchingUp(cast(Replica, replica), cast(Link, link))
    catching.look()
    clock.now += 2 * SETTLE
    catching.look()
    assert len(link.buckets) == MOST_BUCKETS
    rounds = 0
    while link.buckets:
        for bucket in list(link.buckets):
            for number, student in enumerate(replica.students[bucket]):
                entry = FleetEntry(7, DESK, False)
                replica.ledger.put(student, entry)
                catching.hear(StudentMessage(student, entry, News.NEWER))
                if number == 0 and bucket == link.buckets[0]:
                    catching.end_proven()
                    assert bucket in link.buckets  # half of it has come
        catching.end_proven()  # and the clock stands still
        rounds += 1
    assert rounds == len(BUCKET_NAMES) // MOST_BUCKETS
    assert replica.different() == []
    assert replica.flushed == 1  # what was taken last is written at once


def test_what_the_broker_has_is_looked_at_in_peace_where_no_manifest_says_what_it_is(
    clock: Clock,
) -> None:
    replica, link = Behind(), Asked()
    catching = CatchingUp(cast(Replica, replica), cast(Link, link))
    catching.verify()
    catching.look()
    bucket = link.buckets[0]
    entry = FleetEntry(7, DESK, False)
    replica.ledger.put(replica.students[bucket][0], entry)
    catching.hear(StudentMessage(replica.students[bucket][0], entry, News.NEWER))
    catching.end_proven()
    assert bucket in link.buckets  # one of two has come, and is all that is known here
