"""A machine's registry as one of many that are to be the same: it takes what desks say.

Messages are judged at once and written together. The registry is written first, then what is
remembered of it: whoever is cut off between the two takes the same message again.
"""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from kaimen.errors import ForgedMessage, GalleryError, MessageError, OlderMessage
from kaimen.fleet.ledger import FleetEntry, Ledger, News, different
from kaimen.fleet.manifest import FleetManifest, read_manifest
from kaimen.fleet.membership import Membership, public_keys
from kaimen.fleet.message import MessageKind, head_of, open_message
from kaimen.fleet.packing import packed, unpacked
from kaimen.fleet.store import KeptEntry, Store
from kaimen.gallery.forgetting import forget_beside
from kaimen.local_time import now_as_kept
from kaimen.registry.copying import StudentCopy, marks
from kaimen.registry.registry import Registry

PACE = 5.0  # seconds between two times of writing in a stream of changes
BURST = 20  # changes after which it is a stream
MOST = 500  # changes that wait to be written


@dataclass(frozen=True, slots=True)
class StudentMessage:
    """A student's message, as far as it was looked at."""

    pseudonym: str
    entry: FleetEntry
    news: News
    student: StudentCopy | None = None  # None: removed, or nothing new


class Replica:
    """The students of a fleet in a registry."""

    def __init__(
        self,
        membership: Membership,
        registry: Registry,
        store: Store,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """``say`` gets what an operator should know. Raises FleetError and StorageError."""
        self.membership = membership
        self.registry = registry
        self.store = store
        self.say = say
        self.refused: Counter[str] = Counter()  # messages, by the kind of error
        self.manifests: dict[str, FleetManifest] = {}  # by desk, of this link
        self._began, self._burst = 0.0, 0  # of a stretch of time, and what was written in it
        self.written = 0  # how often students of this registry were written or removed
        self.load()

    def load(self) -> None:
        """Read what is remembered, and who is here."""
        self._waiting: dict[str, StudentMessage] = {}
        self.kept = self.store.kept()  # what is remembered of entries, by pseudonym
        self._unpublished = {each for each, kept in self.kept.items() if not kept.published}
        entries = {topic: kept.entry for topic, kept in self.kept.items()}
        self.ledger = Ledger(entries, int(self.store.fact("whole_at", 0)))
        # The version of the latest manifest that was ever seen.
        self.seen = max(int(self.store.fact("seen", 0)), self.membership.since)
        self.ledger.clock = max(self.ledger.clock, self.seen)
        self.desk_keys = self.membership.desk_keys | public_keys(self.store.fact("desks", {}))
        self._read_names()

    def _read_names(self) -> None:
        """Read who is here, by pseudonym."""
        self.names = {self.membership.pseudonym(name): name for name in self.registry.names()}

    # What desks say.

    def hear(self, topic: str, payload: bytes) -> StudentMessage | None:
        """Take a student's message; None for what is none. Raises MessageError of every kind."""
        pseudonym = self.membership.topics.pseudonym_of(topic)
        if not pseudonym or not payload:
            return None
        kind, version, desk = head_of(payload)
        if kind not in (MessageKind.STUDENT, MessageKind.REMOVED):
            raise ForgedMessage("no student's message on a student's topic")
        entry = FleetEntry(version, desk, kind is MessageKind.REMOVED)
        news = self.ledger.judge(pseudonym, entry)
        if news in (News.KNOWN, News.OLDER):
            return StudentMessage(pseudonym, entry, news)
        message = open_message(topic, payload, self.membership.message_key, self.desk_keys)
        student = None
        if not entry.removed:
            student = unpacked(message.content)
            if self.membership.pseudonym(student.name) != pseudonym:
                raise ForgedMessage("a student on the topic of another")
        heard = StudentMessage(pseudonym, entry, news, student)
        if news is News.NEWER:
            self.take(heard)
        return heard

    def take(self, heard: StudentMessage) -> None:
        """Take an entry over; ``flush`` writes it."""
        self.ledger.put(heard.pseudonym, heard.entry)
        self._waiting[heard.pseudonym] = heard

    def hear_manifest(self, topic: str, payload: bytes) -> None:
        """Take a desk's manifest. Raises MessageError of every kind."""
        message = open_message(topic, payload, self.membership.message_key, self.desk_keys)
        if topic != self.membership.topics.manifest(message.desk):
            raise ForgedMessage("a manifest on the topic of another desk")
        manifest = read_manifest(message)
        known = self.manifests.get(manifest.desk)
        if known is not None and manifest.version < known.version:
            raise OlderMessage("an older manifest than the desk's latest")
        self.manifests[manifest.desk] = manifest
        new = {name: key for name, key in manifest.desks.items() if name not in self.desk_keys}
        if new:
            self.store.note("desks", {**self.store.fact("desks", {}), **new})
            self.desk_keys |= public_keys(new)
        self.ledger.clock = max(self.ledger.clock, manifest.version)
        if manifest.version > self.seen:
            self.seen = manifest.version
            self.store.note("seen", self.seen)
            self.store.note("desk_said", manifest.at)

    def refuse(self, error: MessageError) -> None:
        """Count a message that was not taken, and say so the first time."""
        kind = type(error).__name__
        self.refused[kind] += 1
        if self.refused[kind] == 1:
            self.say(f"a message of the fleet was refused: {error}")

    @property
    def manifest(self) -> FleetManifest | None:
        """Return the latest manifest; None where there is none, or one older than was seen."""
        latest = max(self.manifests.values(), key=attrgetter("version", "desk"), default=None)
        return latest if latest is not None and latest.version >= self.seen else None

    @property
    def went_back(self) -> bool:
        """Return whether the broker offers only older sets than one that was seen."""
        return bool(self.manifests) and self.manifest is None

    def different(self) -> list[str]:
        """Return the buckets that are not as the latest manifest says; notes a whole set."""
        manifest = self.manifest
        if manifest is None:
            return []
        found = different(self.ledger, manifest.digests)
        if not found and not self._waiting and manifest.version > self.ledger.whole_at:
            self.ledger.whole_at = manifest.version
            self.store.note("whole_at", manifest.version)
        return found

    @property
    def whole(self) -> bool:
        """Return whether this is the set of the latest manifest."""
        manifest = self.manifest
        return manifest is not None and manifest.version == self.ledger.whole_at

    # What is written.

    def flush(self, *, paced: bool = False) -> None:
        """Write what was taken. Raises GalleryError and StorageError.

        ``paced``: in a stream of changes only now and then, since each time costs the disk a
        transaction. What could not be written is forgotten, to be asked for again.
        """
        now = time.monotonic()
        if now - self._began >= PACE:
            self._began, self._burst = now, 0
        wait = paced and self._burst >= BURST and len(self._waiting) < MOST
        if wait or not self._waiting:
            return
        waiting = list(self._waiting.values())
        try:
            gone = [
                self.names[each.pseudonym]
                for each in waiting
                if each.entry.removed and each.pseudonym in self.names
            ]
            self._remove(gone)
            self._forget_voices(each.student for each in waiting)
            with self.registry.database.writing():
                for each in waiting:
                    if each.student is not None:
                        self.registry.copies.put(each.student)
                        self.names[each.pseudonym] = each.student.name
            kept = [(each.pseudonym, self._kept_of(each)) for each in waiting]
            self.store.put(kept)
        except BaseException:
            self.load()
            raise
        self.kept.update(kept)
        self._unpublished.difference_update(each for each, _ in kept)
        self._burst += len(waiting)
        self._waiting.clear()
        self.written += 1

    def _kept_of(self, heard: StudentMessage) -> KeptEntry:
        if heard.student is None:
            return KeptEntry(heard.entry, at=now_as_kept())
        mark = marks(self.registry.database, heard.student.name).get(heard.student.name, "")
        return KeptEntry(
            heard.entry, self.content_of(packed(heard.student)), mark, at=now_as_kept()
        )

    def _remove(self, names: list[str]) -> None:
        if not names:
            return
        forget_beside(self.registry, names, self.say)
        self.written += 1
        for name in names:
            self.registry.remove(name)
            self.names.pop(self.membership.pseudonym(name), None)

    def _forget_voices(self, students: Iterable[StudentCopy | None]) -> None:
        """Forget, beside the registry, the voices of students who have none any more."""
        silent = [each.name for each in students if each is not None and not each.recordings]
        heard = [each for each in silent if self.registry.recordings.listed(each)]
        if heard:
            forget_beside(self.registry, heard, self.say)

    def drop(self, pseudonyms: list[str]) -> None:
        """Forget entries that are no part of the whole set any more, and who they were of."""
        self._remove([self.names[each] for each in pseudonyms if each in self.names])
        self._forget(pseudonyms)
        for each in pseudonyms:
            self._waiting.pop(each, None)

    def _forget(self, pseudonyms: list[str]) -> None:
        self.store.drop(pseudonyms)
        for each in pseudonyms:
            self.ledger.drop(each)
            self.kept.pop(each, None)
            self._unpublished.discard(each)

    def content_of(self, content: bytes) -> str:
        """Return a keyed hash of a student's record."""
        return hmac.digest(self.membership.content_key, content, "sha256").hex()[:32]

    # What is in the registry, and was not said by a desk.

    def local_changes(self) -> dict[str, str]:
        """Return the marks of students who are not here as they were written, by pseudonym.

        Empty marks of those who are gone.
        """
        self._read_names()
        here = {
            self.membership.pseudonym(name): mark
            for name, mark in marks(self.registry.database).items()
        }
        changed = {
            each: mark
            for each, mark in here.items()
            if (kept := self.kept.get(each)) is None or kept.entry.removed or kept.mark != mark
        }
        gone = {
            each: ""
            for each, kept in self.kept.items()
            if not kept.entry.removed and each not in here
        }
        return changed | gone

    def distrust(self, pseudonyms: Iterable[str]) -> None:
        """Ask again for students who are not here as they were written; who else is, goes."""
        self._forget([each for each in pseudonyms if each in self.kept])

    def remove_strangers(self) -> list[str]:
        """Forget whoever is enrolled here and by no desk, where the set is whole."""
        strangers = [
            name
            for each, name in self.names.items()
            if (entry := self.ledger.entries.get(each)) is None or entry.removed
        ]
        self._remove(strangers)
        return strangers

    def is_published(self, pseudonym: str) -> bool:
        """Return whether the broker is known to have had an entry."""
        kept = self.kept.get(pseudonym)
        return kept is None or kept.published

    def unpublished(self) -> list[tuple[str, FleetEntry]]:
        """Return the entries that the broker is not known to have, in their order."""
        found = [(each, self.kept[each].entry) for each in self._unpublished]
        return sorted(found, key=lambda each: each[1])

    def keep(self, entries: Mapping[str, KeptEntry]) -> None:
        """Remember entries of this desk, before anybody is told. Raises StorageError."""
        self.store.put(entries.items())
        for each, kept in entries.items():
            self.kept[each] = kept
            self.ledger.put(each, kept.entry)
            (self._unpublished.discard if kept.published else self._unpublished.add)(each)

    def copy(self, pseudonym: str) -> StudentCopy | None:
        """Return a student of this registry, or None where they are not in it as written."""
        name = self.names.get(pseudonym)
        if name is None:
            return None
        try:
            return self.registry.copies.of(name)
        except GalleryError:
            return None
