"""A new encoder for a school: its recordings are heard once more, where they were kept.

A recording is known by the SHA-256 of its file, wherever that lies now. What the new models make
of it is written beside what the others made, so that both know the school and either can be the
gate's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kaimen.enrollment.entries import Entry
from kaimen.enrollment.judging import Refusal, Task, Work, contents_of, source_of
from kaimen.registry.recordings import KnownRecording
from kaimen.registry.registry import Registry

Whose = tuple[str, str]  # a student, and the word of a challenge or nothing


@dataclass(frozen=True, slots=True)
class ModelIds:
    """By which models a school is known."""

    encoder: str  # identity
    said_by: str  # identity of the phrase encoder


@dataclass(frozen=True, slots=True)
class Reheard:
    """What became of a student's passphrase, or of a word; it is on the disk."""

    student: str
    word: str
    recordings: int
    refused: tuple[Refusal, ...] = ()


class Rehearing:
    """Hears a school's recordings by other models than it was enrolled by."""

    def __init__(self, registry: Registry, models: ModelIds) -> None:
        self._registry = registry
        self._models = models
        self._missing: dict[str, list[KnownRecording]] = {}  # by the SHA-256 of their files
        for known in registry.recordings.known(models.encoder, models.said_by):
            if known.source and not (known.placed and known.said):
                self._missing.setdefault(known.source, []).append(known)
        self._files: dict[Whose, dict[Path, str]] = {}  # whose they are, and their SHA-256

    def find(self, files: Iterable[Path]) -> None:
        """Look which files are recordings that the models do not know yet."""
        for path in files:
            contents = contents_of(path)
            if not isinstance(contents, Refusal):
                source = source_of(contents)
                for known in self._missing.get(source, []):
                    found = self._files.setdefault((known.student, known.word), {})
                    if source not in found.values():
                        found[path] = source

    def __len__(self) -> int:
        """Return how many students' passphrases and words were found."""
        return len(self._files)

    def hear(self, work: Work) -> Iterator[Reheard]:
        """Judge what was found by the new models and write it, each yielded once written.

        Raises GalleryError and StorageError; whoever was yielded is known then.
        """
        whose = list(self._files)
        tasks = (
            Task(place, Entry(student, tuple(self._files[student, word]), word=word))
            for place, (student, word) in enumerate(whose)
        )
        for judged in work(tasks):
            student, word = whose[judged.place]
            points = [
                (known, each.recorded.voiceprint, each.recorded.evidence)
                for each in judged.usable
                for known in self._missing[each.source]
                if (known.student, known.word) == (student, word)
            ]
            self._registry.points.add(points, self._models.encoder)
            yield Reheard(student, word, len(points), judged.refused)


def left_behind(registry: Registry, now: ModelIds, then: ModelIds) -> dict[str, list[str]]:
    """Return students who are known now, and what of them would not be known then.

    By name: "voice" for all of it, "phrase" for what they say, or words of a challenge.
    """
    lost: dict[str, list[str]] = {}
    voices, words = _placed(registry, now), _placed(registry, then)
    for student, word in sorted(voices - words):
        if (student, "") in words or not word:
            lost.setdefault(student, []).append(word or "voice")
    unsaid = registry.recordings.without_words(then.said_by) - registry.recordings.without_words(
        now.said_by
    )
    for student in sorted(unsaid):
        if (student, "") in voices & words:
            lost.setdefault(student, []).append("phrase")
    return lost


def _placed(registry: Registry, models: ModelIds) -> set[Whose]:
    return {
        (each.student, each.word)
        for each in registry.recordings.known(models.encoder)
        if each.placed
    }
