"""Which version of which student is there: the same in the end, in whatever order it is told.

The last writer wins, by version and then by desk. A digest of a set tells whether it is whole. What
is older than a set that was whole once, and was not in it, was removed: it does not come back by
being sent again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

BUCKETS = 256  # by the first two characters of a student's topic
SHORT = 16  # bytes of a bucket's digest
EMPTY = bytes(SHORT)


class FleetEntry(NamedTuple):
    """What a desk last said of a student; the greater one wins."""

    version: int  # of the fleet: no change has one that its desk had seen before
    desk: str
    removed: bool


class News(Enum):
    """What a message is to whoever has a ledger."""

    NEWER = "newer"  # to be taken
    KNOWN = "known"  # the same again
    OLDER = "older"  # than what is known of the student
    UNATTESTED = "unattested"  # of somebody who is not in the set that was whole then


class Ledger:
    """The latest entries by topic; pure, so that it can be tested by any order of messages."""

    def __init__(self, entries: Mapping[str, FleetEntry] | None = None, whole_at: int = 0) -> None:
        """``whole_at``: the version of the latest manifest that this was the same as."""
        self.entries: dict[str, FleetEntry] = {}
        self.whole_at = whole_at
        self.clock = whole_at  # the highest version seen
        self._buckets: dict[str, set[str]] = defaultdict(set)  # topics
        self._digests: dict[str, bytes] = {}
        for topic, entry in (entries or {}).items():
            self.put(topic, entry)

    def judge(self, topic: str, entry: FleetEntry) -> News:
        """Say what a message of an entry is here."""
        known = self.entries.get(topic)
        if known is None:
            return News.UNATTESTED if entry.version <= self.whole_at else News.NEWER
        if entry == known:
            return News.KNOWN
        return News.NEWER if entry > known else News.OLDER

    def put(self, topic: str, entry: FleetEntry) -> None:
        """Take an entry in place of what was known of the student."""
        self.entries[topic] = entry
        self.clock = max(self.clock, entry.version)
        self._buckets[bucket_of(topic)].add(topic)
        self._digests.pop(bucket_of(topic), None)

    def drop(self, topic: str) -> None:
        """Forget an entry."""
        if self.entries.pop(topic, None) is not None:
            self._buckets[bucket_of(topic)].discard(topic)
            self._digests.pop(bucket_of(topic), None)

    def bucket(self, bucket: str) -> dict[str, FleetEntry]:
        """Return the entries of a bucket, by topic."""
        return {topic: self.entries[topic] for topic in self._buckets[bucket]}

    def digest(self, bucket: str) -> bytes:
        """Return what is the same where a bucket is."""
        if bucket not in self._digests:
            self._digests[bucket] = digest_of(self.bucket(bucket))
        return self._digests[bucket]

    @property
    def digests(self) -> dict[str, bytes]:
        """Return the digests of all buckets."""
        return {bucket: self.digest(bucket) for bucket in BUCKET_NAMES}

    def after(self, version: int) -> int:
        """Return how many entries were written after a version."""
        return sum(entry.version > version for entry in self.entries.values())

    @property
    def students(self) -> int:
        """Return how many students there are who were not removed."""
        return sum(not entry.removed for entry in self.entries.values())


BUCKET_NAMES = tuple(f"{number:02x}" for number in range(BUCKETS))


def bucket_of(topic: str) -> str:
    """Return the bucket of a student's topic."""
    return topic[:2]


def digest_of(entries: Mapping[str, FleetEntry]) -> bytes:
    """Return what no other set of entries has; EMPTY of none."""
    if not entries:
        return EMPTY
    lines = (f"{topic} {' '.join(map(str, entry))}\n" for topic, entry in sorted(entries.items()))
    return hashlib.sha256("".join(lines).encode()).digest()[:SHORT]


def different(ledger: Ledger, digests: Mapping[str, bytes]) -> list[str]:
    """Return the buckets in which a ledger is not what a manifest says."""
    return [name for name in BUCKET_NAMES if ledger.digest(name) != digests[name]]
