"""Enrollment: students are judged anywhere and in any order, and written here in theirs.

Only this process writes. A student is one transaction; what was yielded is on the disk, so that
an end at any moment loses nobody and leaves nobody by halves. Whoever is enrolled from the same
files already, by the same rules, is left as they are, so that enrolling again goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from kaimen.enrollment.duplicates import AlikeAnother, EnrolledVoices
from kaimen.enrollment.entries import Entry
from kaimen.enrollment.judging import (
    LIKE_STRANGERS,
    TOGETHER,
    Judged,
    NotLikeTheOthers,
    Refusal,
    Remark,
    Repeated,
    Task,
    Usable,
    Work,
    rules,
)
from kaimen.errors import RecordingError
from kaimen.gallery.gallery import Gallery
from kaimen.registry.refused import Refused
from kaimen.registry.student_rows import Student
from kaimen.voice.encoder import Card
from kaimen.voice.score import among_themselves
from kaimen.voice.spread import exceeded_by


class NotEnrolled(RecordingError):
    """A word of somebody whose passphrase is not enrolled."""


class Status(Enum):
    """What became of a student."""

    ENROLLED = "enrolled"
    CHANGED = "changed"  # group or consent, not the voice
    UNCHANGED = "unchanged"
    REFUSED = "refused"  # nothing new enrolled them; who was enrolled stays so


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a student; it is on the disk."""

    student: str
    status: Status
    recordings: int  # they are enrolled with
    refused: tuple[Refusal, ...] = ()
    replaced: int = 0  # recordings that these came in place of
    remarks: tuple[Remark, ...] = ()  # on recordings that enrolled them


def enroll(
    entries: Sequence[Entry],
    gallery: Gallery,
    card: Card,
    work: Work,
    *,
    accept_alike: bool = False,
    said_by: str = "",
    add: bool = False,
    dry: bool = False,
) -> Iterator[Outcome]:
    """Enroll students, each yielded once written, in their order.

    With ``accept_alike``, a voice that another student has is enrolled all the same. With ``add``,
    recordings come beside those that are there; with ``dry``, nothing is written. Who was
    enrolled by another phrase encoder than ``said_by`` is judged again. Raises GalleryError and
    StorageError; whoever was yielded is enrolled then.
    """
    enrollment = _Enrollment(gallery, card, accept_alike, said_by, add, dry)
    waiting: dict[int, Judged] = {}
    following = 0
    for judged in work(enrollment.tasks(entries)):
        waiting[judged.place] = judged
        # In order, so that of two names for a voice it is always the later that is refused.
        while following in waiting:
            yield enrollment.write(entries[following], waiting.pop(following))
            following += 1


class _Enrollment:
    def __init__(
        self, gallery: Gallery, card: Card, accept_alike: bool, said_by: str, add: bool, dry: bool
    ) -> None:
        self._gallery = gallery
        self._add = add
        self._dry = dry
        self._least = exceeded_by(card.strangers, LIKE_STRANGERS)
        self._would: set[str] = set()  # be enrolled, of a dry run
        self._accept_alike = accept_alike
        self._rules = rules(gallery.encoder)
        self._students: dict[str, Student] = {each.name: each for each in gallery.members}
        self._sources = gallery.registry.recordings.sources()
        # Known to an earlier release only: judged again.
        self._again = gallery.registry.recordings.unmeasured()
        if said_by:
            self._again |= gallery.registry.recordings.without_words(said_by)
        self._refused = gallery.registry.refused_files.by_rules(self._rules)
        self._voices = EnrolledVoices(gallery.dimension, card.strangers)
        points, counts = gallery.everything()
        pieces = np.split(points, np.cumsum(counts)[:-1]) if len(counts) else []
        for student, own in zip(gallery.members, pieces, strict=True):
            self._voices.add(student.name, own)

    def tasks(self, entries: Sequence[Entry]) -> Iterator[Task]:
        """Yield what is to be judged."""
        for place, entry in enumerate(entries):
            if entry.word or entry.student in self._again:
                yield Task(place, entry)
                continue
            refused = self._refused.get(entry.student, [])
            enrolled = self._sources[entry.student] if entry.student in self._students else ()
            sources = frozenset(each.source for each in refused)
            yield Task(place, entry, frozenset(enrolled), sources)

    def write(self, entry: Entry, judged: Judged) -> Outcome:
        """Write what became of a student."""
        if judged.unchanged is not None:
            return self._keep(entry, judged.unchanged)
        if entry.word:
            return self._write_word(entry, judged)
        refused = judged.refused
        usable = judged.usable
        before = self._recordings(entry) if self._add else 0
        if before:
            usable, wrong = self._fitting(entry.student, usable)
            refused += wrong
        points = [each.recorded.voiceprint for each in usable]
        if usable and not self._accept_alike:
            other = self._voices.alike(entry.student, points)
            if other is not None:
                reason = f"this voice is enrolled as {other} already; check who spoke"
                kind = AlikeAnother.__name__
                refused += tuple(Refusal(x.path, x.source, kind, reason, other) for x in usable)
                usable = ()
        # What depends on others is judged each time: they may have changed.
        remembered = [
            Refused(each.source, self._rules, each.kind, each.reason)
            for each in refused
            if each.source is not None and each.alike is None
        ]
        if not usable:
            if not self._dry and not before:
                self._gallery.registry.refused_files.remember(entry.student, remembered)
            return Outcome(entry.student, Status.REFUSED, self._recordings(entry), refused)
        if not self._dry:
            self._gallery.enroll(
                entry.student,
                points,
                sources=[each.source for each in usable],
                group=entry.group,
                consent=entry.consent,
                guardian=entry.guardian,
                refused=remembered,
                evidence=[each.recorded.evidence for each in usable],
                add=bool(before),
            )
        self._would.add(entry.student)
        self._voices.add(entry.student, np.stack(points))
        replaced = 0 if self._add else self._recordings(entry)
        return Outcome(
            entry.student,
            Status.ENROLLED,
            before + len(usable),
            refused,
            replaced=replaced,
            remarks=_remarks(usable),
        )

    def _fitting(
        self, student: str, usable: Sequence[Usable]
    ) -> tuple[tuple[Usable, ...], tuple[Refusal, ...]]:
        """Return recordings that may be added to a student's, and those that may not."""
        own = self._gallery.voiceprints(student)
        kept, refused = [], []
        for each in usable:
            together = np.concatenate([own, [each.recorded.voiceprint]])
            reason, kind = "", Repeated.__name__
            if each.source in self._sources.get(student, ()):
                reason = "enrolled already; record the phrase once more"
            elif len(together) >= TOGETHER and among_themselves(together)[-1] < self._least:
                reason = "not like the student's other recordings; check whose voice it is"
                kind = NotLikeTheOthers.__name__
            if reason:
                refused.append(Refusal(each.path, each.source, kind, reason))
            else:
                kept.append(each)
        return tuple(kept), tuple(refused)

    def _write_word(self, entry: Entry, judged: Judged) -> Outcome:
        """Write a word of challenges, beside the passphrase of a student who is enrolled."""
        name = f"{entry.student} {entry.word}"
        usable, refused = judged.usable, judged.refused
        if entry.student not in self._gallery and entry.student not in self._would:
            reason = "the student's passphrase is not enrolled; enroll it first"
            kind = NotEnrolled.__name__
            refused += tuple(Refusal(x.path, x.source, kind, reason) for x in usable)
            usable = ()
        if not usable:
            return Outcome(name, Status.REFUSED, 0, refused)
        if not self._dry:
            self._gallery.enroll(
                entry.student,
                [each.recorded.voiceprint for each in usable],
                sources=[each.source for each in usable],
                evidence=[each.recorded.evidence for each in usable],
                word=entry.word,
                add=self._add,
            )
        return Outcome(name, Status.ENROLLED, len(usable), refused, remarks=_remarks(usable))

    def _keep(self, entry: Entry, paths: dict[str, str]) -> Outcome:
        refused = tuple(
            Refusal(paths[each.source], each.source, each.kind, each.reason)
            for each in self._refused.get(entry.student, [])
            if each.source in paths
        )
        status = Status.UNCHANGED
        student = self._students.get(entry.student)
        if student is None or len(refused) == len(paths):
            status = Status.REFUSED
        if student is not None:
            given = replace(
                student,
                group=student.group if entry.group is None else entry.group,
                consent=entry.consent or student.consent,
            )
            named = entry.guardian and not self._gallery.registry.consents.is_by(
                student.number, entry.guardian, entry.consent
            )
            if given != student or named:
                if not self._dry:
                    self._gallery.describe(
                        entry.student,
                        group=entry.group,
                        consent=entry.consent,
                        guardian=entry.guardian,
                    )
                status = Status.CHANGED
        return Outcome(entry.student, status, self._recordings(entry), refused)

    def _recordings(self, entry: Entry) -> int:
        student = self._students.get(entry.student)
        return 0 if student is None else student.recordings


def _remarks(usable: Sequence[Usable]) -> tuple[Remark, ...]:
    return tuple(Remark(each.path, reason) for each in usable for reason in each.recorded.remarks)
