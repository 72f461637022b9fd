"""Catching up: the buckets that are not as the manifest says are asked for again, few at a time.

A broker keeps only so many messages for a machine that reads slowly, and drops the others unseen.
So no more is asked for than it keeps, and a bucket is done only when its digest is right. Then the
next one is asked for at once; only where a digest is not right yet, there is something to wait for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kaimen.fleet.ledger import BUCKET_NAMES, BUCKETS, FleetEntry, News, bucket_of, digest_of
from kaimen.fleet.link import Link
from kaimen.fleet.replica import Replica, StudentMessage

SETTLE = 0.3  # seconds in which what is on its way arrives
QUIET = 3.0  # seconds without a message, after which nothing more comes
AGAIN = 5.0  # seconds until a bucket that did not come right is asked for again
AT_ONCE = 1_000  # messages that a broker keeps for whoever reads slowly, at the least
MOST_BUCKETS = 16


@dataclass(slots=True)
class Fetch:
    """A bucket that is being asked for."""

    heard_at: float
    offered: dict[str, FleetEntry] = field(default_factory=dict)
    held: dict[str, StudentMessage] = field(default_factory=dict)  # that nobody attests yet


class CatchingUp:
    """Brings a replica in line with the latest manifest."""

    def __init__(self, replica: Replica, link: Link) -> None:
        self._replica = replica
        self._link = link
        self.lacking: set[str] = set()  # entries that the broker lacks, or has older ones of
        self.forget_link()

    def forget_link(self) -> None:
        """Begin anew, with a new link."""
        self._fetches: dict[str, Fetch] = {}
        self._since: dict[str, float] = {}  # when a bucket was first seen to differ
        self._not_before: dict[str, float] = {}
        self._tried: set[str] = set()  # buckets that were asked for and did not come right
        self._unverified: set[str] = set()  # buckets that are asked for to see what is there
        self._touched: set[str] = set()  # buckets of which something came since last looked at
        # What a bucket was to be and what was held of it when all that the broker has had come.
        self._compared: dict[str, tuple[bytes, bytes]] = {}
        self._heard_at = time.monotonic()

    def verify(self) -> None:
        """Ask for everything, to see what the broker has."""
        self._unverified = set(BUCKET_NAMES)

    @property
    def busy(self) -> bool:
        """Return whether something is being asked for, or soon will be."""
        waiting = self._since.keys() - self._tried
        return bool(self._fetches or waiting or self._unverified)

    def hear(self, heard: StudentMessage) -> None:
        """Note a student's message."""
        self._heard_at = time.monotonic()
        if heard.news is News.OLDER:
            self.lacking.add(heard.pseudonym)
        elif heard.news is News.NEWER:
            self.lacking.discard(heard.pseudonym)
        bucket = bucket_of(heard.pseudonym)
        fetch = self._fetches.get(bucket)
        if fetch is None:
            self._not_before.pop(bucket, None)  # what did not come right may do so now
        else:
            fetch.heard_at = self._heard_at
            self._touched.add(bucket)
            fetch.offered[heard.pseudonym] = heard.entry
            if heard.news is News.UNATTESTED:
                fetch.held[heard.pseudonym] = heard

    def hear_cleared(self, pseudonym: str) -> None:
        """Note that the broker keeps nothing of a student any more."""
        fetch = self._fetches.get(bucket_of(pseudonym))
        if fetch is not None:
            fetch.offered.pop(pseudonym, None)
            fetch.held.pop(pseudonym, None)

    def try_again(self) -> None:
        """Ask for what did not come right without waiting: there is a new manifest."""
        self._not_before.clear()
        self._tried.clear()

    def look(self) -> None:
        """Compare with the manifest: one has just come, or nothing has for a while."""
        now = time.monotonic()
        different = [each for each in self._replica.different() if not self._is_own(each)]
        self._since = {each: self._since.get(each, now) for each in different}
        self._tried &= self._since.keys()
        for bucket, fetch in list(self._fetches.items()):
            right = digest_of(fetch.offered) == self._wanted(bucket)
            if right or now - fetch.heard_at > QUIET:
                self._end(bucket, fetch, right, now)
        self._ask(now)

    def end_proven(self) -> None:
        """End what has come whole, by its digest, and ask for more; nothing is waited for.

        Not of what is looked at without a manifest's digest: more may be on its way there.
        """
        touched, self._touched = self._touched - self._unverified, set()
        now, ended = time.monotonic(), False
        for bucket in touched & self._fetches.keys():
            fetch = self._fetches[bucket]
            if self._replica.manifest and digest_of(fetch.offered) == self._wanted(bucket):
                self._end(bucket, fetch, True, now)
                ended = True
        if ended:
            self._ask(now)
            if not self._fetches and not self._replica.different():  # the last of them
                self._replica.flush()

    def _ask(self, now: float) -> None:
        """Ask for buckets that differ, as many as there is room for."""
        room = self._room()
        due = [each for each, since in self._since.items() if now - since >= SETTLE]
        for bucket in [*due, *sorted(self._unverified)]:
            if len(self._fetches) >= room:
                break
            if bucket not in self._fetches and now >= self._not_before.get(bucket, 0.0):
                self._fetches[bucket] = Fetch(now)
                self._link.subscribe(self._replica.membership.topics.bucket(bucket))

    @property
    def settled(self) -> bool:
        """Return whether nothing has come for a moment."""
        return time.monotonic() - self._heard_at >= SETTLE

    def _room(self) -> int:
        """Return how many buckets may be asked for at a time."""
        manifest = self._replica.manifest
        students = manifest.students if manifest is not None else len(self._replica.ledger.entries)
        return min(MOST_BUCKETS, max(1, AT_ONCE * BUCKETS // (2 * students + 1)))

    def _is_own(self, bucket: str) -> bool:
        """Return whether a bucket differs only by what this desk has yet to tell."""
        return self._compared.get(bucket) == (self._wanted(bucket), self._held(bucket))

    def _held(self, bucket: str) -> bytes:
        return self._replica.ledger.digest(bucket)

    def _wanted(self, bucket: str) -> bytes:
        manifest = self._replica.manifest
        if manifest is None or bucket in self._unverified:
            return self._held(bucket)
        return manifest.digests[bucket]

    def _end(self, bucket: str, fetch: Fetch, right: bool, now: float) -> None:
        del self._fetches[bucket]
        self._link.unsubscribe(self._replica.membership.topics.bucket(bucket))
        here = self._replica.ledger.bucket(bucket)
        manifest = self._replica.manifest
        if right and manifest is not None and bucket not in self._unverified:
            self._take_over(fetch, here, manifest.version)
            self._compared[bucket] = self._wanted(bucket), self._held(bucket)
            self._since.pop(bucket, None)
        else:
            self.lacking |= {
                each for each, entry in here.items() if fetch.offered.get(each) != entry
            }
        if not right:
            self._tried.add(bucket)
            self._not_before[bucket] = now + AGAIN
        self._unverified.discard(bucket)

    def _take_over(self, fetch: Fetch, here: dict[str, FleetEntry], version: int) -> None:
        """Take a bucket over as it was offered: a desk attests it."""
        for pseudonym, heard in fetch.held.items():
            if fetch.offered[pseudonym] == heard.entry:
                self._replica.take(heard)
        self._replica.flush(paced=True)
        gone = [
            each
            for each, entry in here.items()
            if each not in fetch.offered
            and entry.version <= version
            and self._replica.is_published(each)
        ]
        if gone:
            self._replica.drop(gone)
