"""A kept phrase becomes a recording of a student: judged as every recording is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from kaimen.enrollment.enrollment import Outcome, enroll
from kaimen.enrollment.entries import Entry
from kaimen.enrollment.judging import Judge, Judged, Task
from kaimen.gallery.gallery import Gallery
from kaimen.names import as_kept
from kaimen.registry.kept_phrases import KeptPhrases
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import phrase_of


def enroll_phrase(
    phrases: KeptPhrases, number: str, student: str, gallery: Gallery, encoder: Encoder
) -> Outcome:
    """Add a phrase to an enrolled student's recordings, if it would enroll from a file, too.

    Raises GalleryError and StorageError; nothing was changed then.
    """
    gallery.registry.require(student)
    judge = Judge.by(encoder)
    sound = phrases.sound(number)

    def work(tasks: Iterable[Task]) -> Iterator[Judged]:
        for task in tasks:
            yield judge(replace(task, contents=(sound,)))

    entry = Entry(as_kept(student), (Path(f"{number}.flac"),))
    (outcome,) = enroll(
        [entry], gallery, encoder.card, work, said_by=phrase_of(encoder).identity, add=True
    )
    return outcome
