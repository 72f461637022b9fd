"""A registrar's desk: whatever is changed in its registry, every gate of the fleet takes over.

It follows the registry, not the commands that change it. An entry is on the disk before anybody is
told of it, so that no version is ever given twice; it is told again until the broker has it.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import replace

from kaimen.errors import FleetError
from kaimen.fleet.ledger import FleetEntry
from kaimen.fleet.manifest import FleetManifest, manifest_of, read_manifest
from kaimen.fleet.member import Member
from kaimen.fleet.membership import Membership
from kaimen.fleet.message import FleetMessage, MessageKind
from kaimen.fleet.packing import packed
from kaimen.fleet.reports import Reports
from kaimen.fleet.store import KeptEntry, Store
from kaimen.local_time import now_as_kept
from kaimen.registry.registry import Registry

MANY = 20  # students who may be removed at once without a word
SHARE = 0.1  # of all, the same
PAUSE = 0.3  # seconds between two manifests
EXPIRE = 60.0  # seconds between looks for what is remembered long enough
REMEMBERED = datetime.timedelta(days=400)  # that somebody was removed


class Desk(Member):
    """A desk's process. Its registry is this fleet's, as every other desk's is."""

    def __init__(
        self,
        membership: Membership,
        registry: Registry,
        store: Store,
        say: Callable[[str], None],
        *,
        accept_removals: bool = False,
        remembered: datetime.timedelta = REMEMBERED,
    ) -> None:
        """``accept_removals``: of as many students at once as may be.

        Raises FleetError and StorageError.
        """
        require_desk(membership)
        super().__init__(membership, registry, store, say)
        self._reports = Reports(membership, store, self.link)
        self._accept = accept_removals
        self._remembered = remembered
        self._flying: dict[int, tuple[str, FleetEntry]] = {}  # messages on their way
        self._manifest_flying: tuple[int, FleetManifest] | None = None
        self._manifest_at = 0.0
        self._expired_at = -EXPIRE
        self._all_lacking = False  # the broker has nothing
        self._verified = False
        self._caught_up = False
        self._held: frozenset[str] = frozenset()  # removals that wait for a word
        self._changed = True  # the registry, since entries were last made of it
        self._seen_registry()

    def subscribe(self) -> None:
        """Subscribe to what gates report."""
        self._reports.subscribe()
        self._flying.clear()
        self._manifest_flying = None
        self._all_lacking = self._verified = self._caught_up = False

    @property
    def compares(self) -> bool:
        """Return the same; what differs from this desk's own manifest is its own change."""
        manifest = self.replica.manifest
        own = manifest is not None and manifest.desk == self.membership.desk
        return not (self._caught_up and own)

    @property
    def ready(self) -> bool:
        """Return whether this desk has once known, on this link, what the broker has."""
        if not self.link.connected or self._caught_up:
            return self.link.connected
        known = self.replica.manifest is not None or self._all_lacking or self._verified
        self._caught_up = known and not self.catching_up.busy
        return self._caught_up

    def look(self) -> None:
        """Make entries of what was changed in the registry."""
        self._changed |= self.registry_changed()
        if self._changed and (self.ready or self.link.connections == 0):
            self._changed = False
            self._take_up(self.replica.local_changes())

    def _take_up(self, changes: dict[str, str]) -> None:
        gone = {each for each, mark in changes.items() if not mark}
        if len(gone) > max(MANY, SHARE * self.replica.ledger.students) and not self._accept:
            if gone != self._held:
                self.say(
                    f"{len(gone)} students are gone from this registry at once; nobody is told: "
                    "if that is meant, start 'kaimen fleet desk --accept-removals' once; "
                    "otherwise restore a backup"
                )
            self._held = frozenset(gone)
            changes = {each: mark for each, mark in changes.items() if each not in gone}
        entries = {}
        clock = self.replica.ledger.clock
        for pseudonym, mark in changes.items():
            kept = self.replica.kept.get(pseudonym)
            student = self.replica.copy(pseudonym) if mark else None
            if mark and student is None:
                continue  # changed by something else than Kaimen: the doctor says so
            content = "" if student is None else self.replica.content_of(packed(student))
            if kept is not None and content and kept.content == content:
                entries[pseudonym] = replace(kept, mark=mark)
                continue
            clock += 1
            entry = FleetEntry(clock, self.membership.desk, student is None)
            entries[pseudonym] = KeptEntry(entry, content, mark, published=False, at=now_as_kept())
        if entries:
            self.replica.keep(entries)
        self._note_registry()

    # A registry that was put back is not the latest word.

    def _seen_registry(self) -> None:
        noted = self.store.fact("registry")
        went_back = self.registry.database.state().went_back([noted] if noted else [])
        if went_back:
            changes = self.replica.local_changes()
            self.say(f"{went_back}; {len(changes)} students are taken from the fleet again")
            self.replica.distrust(changes)
            self._note_registry()

    def _note_registry(self) -> None:
        self.store.note("registry", str(self.registry.database.state()))

    # What is told.

    def work(self) -> None:
        """Tell what the broker is not known to have; then what the whole set is."""
        if not self.link.connected:
            return
        self._received()
        if not self.replica.manifests and self.waited and not self._all_lacking:
            self._all_lacking = True
            self.catching_up.lacking |= self.replica.ledger.entries.keys()
        if self.replica.went_back and not self._verified:
            self._verified = True
            self.say("the broker has an older set than was seen; what it lacks is told again")
            self.catching_up.verify()
        if not self.ready:
            return
        self._tell_again()
        self._expire()
        for pseudonym, _ in self._untold()[: max(0, self.link.room)]:
            self._publish(pseudonym)
        # The broker keeps the order: it has all that was told before a manifest.
        if self.link.room > 0 and not self._untold():
            self._tell_manifest()

    def _untold(self) -> list[tuple[str, FleetEntry]]:
        """Return the entries that are neither with the broker nor on their way."""
        flying = set(self._flying.values())
        return [each for each in self.replica.unpublished() if each not in flying]

    def _received(self) -> None:
        kept = {}
        for number in self.link.received():
            pseudonym, entry = self._flying.pop(number, ("", None))
            found = self.replica.kept.get(pseudonym)
            if found is not None and found.entry == entry:  # not changed again meanwhile
                kept[pseudonym] = replace(found, published=True)
            if self._manifest_flying is not None and number == self._manifest_flying[0]:
                manifest = self._manifest_flying[1]
                self._manifest_flying = None
                self.replica.seen = max(self.replica.seen, manifest.version)
                self.store.note("seen", self.replica.seen)
                self.replica.manifests[manifest.desk] = manifest
                self.replica.different()
        if kept:
            self.replica.keep(kept)

    def _tell_again(self) -> None:
        """Take what the broker lacks as not published; another desk's entries become this one's."""
        entries = {}
        for pseudonym in self.catching_up.lacking:
            kept = self.replica.kept.get(pseudonym)
            if kept is None:
                continue
            if kept.entry.desk != self.membership.desk:
                kept = self._anew(kept)
            entries[pseudonym] = replace(kept, published=False)
        self.catching_up.lacking.clear()
        if entries:
            self.replica.keep(entries)

    def _anew(self, kept: KeptEntry) -> KeptEntry:
        self.replica.ledger.clock += 1
        entry = FleetEntry(self.replica.ledger.clock, self.membership.desk, kept.entry.removed)
        return replace(kept, entry=entry, published=False, at=now_as_kept())

    def _publish(self, pseudonym: str) -> None:
        kept = self.replica.kept.get(pseudonym)
        assert kept is not None
        content = b""
        if not kept.entry.removed:
            student = self.replica.copy(pseudonym)
            if student is None:
                self._changed = True  # removed meanwhile
                return
            content = packed(student)
            now = self.replica.content_of(content)
            if now != kept.content:  # changed meanwhile: no version is told twice
                kept = replace(self._anew(kept), content=now)
                self.replica.keep({pseudonym: kept})
        kind = MessageKind.REMOVED if kept.entry.removed else MessageKind.STUDENT
        topic = self.topics.student(pseudonym)
        sealed = self.membership.seal(topic, kind, kept.entry.version, content)
        number = self.link.publish(topic, sealed)
        if number is not None:
            self._flying[number] = pseudonym, kept.entry

    def _expire(self) -> None:
        """Forget that somebody was removed long ago: manifests keep them out."""
        now = time.monotonic()
        if self.replica.manifest is None or now - self._expired_at < EXPIRE:
            return
        self._expired_at = now
        before = (datetime.datetime.now(datetime.UTC) - self._remembered).isoformat("T", "seconds")
        old = [
            each
            for each, entry in self.replica.ledger.entries.items()
            if entry.removed
            and entry.desk == self.membership.desk
            and (kept := self.replica.kept.get(each)) is not None
            and kept.published
            and kept.at < before
        ]
        for each in old[: max(0, self.link.room)]:
            self.link.publish(self.topics.student(each), b"")
            self.replica.drop([each])

    def _tell_manifest(self) -> None:
        if self._manifest_flying is not None or time.monotonic() - self._manifest_at < PAUSE:
            return
        latest = self.replica.manifest
        own = self.replica.manifests.get(self.membership.desk)
        # Gates believe a new desk when one that they know already says so.
        told = own is not None and self.membership.desks.keys() <= own.desks.keys()
        if latest is not None and told and not self.replica.different():
            return
        before = [each.version for each in self.replica.manifests.values()]
        before += [self.replica.seen, int(self.store.fact("mine", 0))]
        version = max(self.replica.ledger.clock, 1 + max(before))
        self.replica.ledger.clock = version
        self.store.note("mine", version)
        content = manifest_of(self.replica.ledger, self.membership.desks)
        topic = self.topics.manifest(self.membership.desk)
        sealed = self.membership.seal(topic, MessageKind.MANIFEST, version, content)
        number = self.link.publish(topic, sealed)
        if number is not None:
            self._manifest_at = time.monotonic()
            manifest = read_manifest(
                FleetMessage(MessageKind.MANIFEST, version, self.membership.desk, content)
            )
            self._manifest_flying = number, manifest

    def hear(self, topic: str, payload: bytes) -> None:
        """Keep what a gate reports. Raises MessageError."""
        self._reports.hear(topic, payload)


def require_desk(membership: Membership) -> None:
    """Require that this machine is a desk. Raises FleetError."""
    if not membership.is_desk:
        raise FleetError(f"{membership.name} is a gate of the fleet; do this at a desk")
