"""One student's recordings, judged: what enrolls them, and what does not and why.

A function of the files' contents, so that any process of any machine may do it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kaimen.enrollment.entries import Entry
from kaimen.enrollment.two_voices import SAID, halves_unlike, unlike_the_others
from kaimen.errors import RecordingError, RecordingTooLong, UnreadableRecording, UnsupportedFormat
from kaimen.sound import Samples, quality, recording
from kaimen.sound.bit_rate import TOO_FEW, has_too_few_bits
from kaimen.sound.impairments import impairments
from kaimen.sound.recording import only_phrase, opened, read
from kaimen.voice.encoder import Encoder, Voiceprint
from kaimen.voice.evidence import Evidence
from kaimen.voice.models import Models
from kaimen.voice.score import RULE, among_themselves
from kaimen.voice.spread import exceeded_by
from kaimen.voice.utterance import Utterance

LARGEST = 32 << 20  # bytes of a file: 30 s of any format that recorders write
TOGETHER = 3  # recordings from which one that is not like the others can be told
LIKE_STRANGERS = 0.02  # share of strangers that an own recording must be more alike than


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """What is made of a recording that enrolls its student."""

    voiceprint: Voiceprint
    evidence: Evidence
    remarks: tuple[str, ...] = ()  # what costs score, though it enrolls: a sentence each

    def remarked(self, remark: str) -> Recorded:
        """Return it with one more remark."""
        return replace(self, remarks=(*self.remarks, remark))


Hear = Callable[[bytes], Recorded]  # the contents of a file; raises RecordingError


class Repeated(RecordingError):
    """A file that was enrolled before."""


class NotLikeTheOthers(RecordingError):
    """Another voice, or another phrase, than the student's other recordings."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recording, or a student with none, that enrolls nobody."""

    path: str
    source: str | None  # SHA-256 of its file; None: it could not be read
    kind: str  # of error
    reason: str  # one sentence
    alike: str | None = None  # the student whose voice it is like


@dataclass(frozen=True, slots=True)
class Remark:
    """What costs score in a recording that enrolls all the same."""

    path: str
    reason: str  # one sentence


@dataclass(frozen=True, slots=True)
class Task:
    """A student to be judged."""

    place: int  # among all
    entry: Entry
    enrolled: frozenset[str] = frozenset()  # SHA-256 of the files they are enrolled from
    refused: frozenset[str] = frozenset()  # and of those that were refused
    # Of the files, or why they cannot be read; None: to be read where they are judged.
    contents: tuple[bytes | Refusal, ...] | None = None

    def unchanged(self, sources: Sequence[str | None]) -> bool:
        """Return whether files of these SHA-256 were all judged already."""
        # A copy of a file that enrolls is refused, and of the same SHA-256.
        rest = set(sources) - (self.refused - self.enrolled)
        return bool(sources) and rest in (self.enrolled, set())


@dataclass(frozen=True, slots=True)
class Usable:
    """A recording that enrolls its student."""

    source: str  # SHA-256 of its file
    path: str
    recorded: Recorded


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a student's recordings."""

    place: int
    usable: tuple[Usable, ...] = ()
    refused: tuple[Refusal, ...] = ()
    unchanged: dict[str, str] | None = None  # by SHA-256, the files, if they are the known ones


Work = Callable[[Iterable[Task]], Iterator[Judged]]  # who judges students, in any order


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges students by an encoder; ``strangers`` are those of its card."""

    hear: Hear
    strangers: dict[str, float]
    two_voices: Callable[[bytes], bool] = lambda contents: False  # whether a file holds them

    @classmethod
    def by(cls, encoder: Encoder) -> Judge:
        """Return the judge by a loaded encoder, with the phrase encoder that comes along."""
        models = Models.shipped(encoder)

        def hear(contents: bytes) -> Recorded:
            samples = decode(contents)
            phrase = only_phrase(samples)
            quality.require_good(samples, phrase)
            found = recorded(models, phrase.samples)
            return found.remarked(TOO_FEW) if has_too_few_bits(contents) else found

        def two_voices(contents: bytes) -> bool:
            return halves_unlike(only_phrase(decode(contents)).samples, encoder)

        return cls(hear, encoder.card.strangers, two_voices)

    def __call__(self, task: Task) -> Judged:
        """Judge a student's recordings, unless all files are the known ones."""
        files = task.entry.files
        names = [shown(file) for file in files]
        if task.enrolled or task.refused:
            sources = sources_of(_contents(task, at) for at in range(len(files)))
            if task.unchanged(sources):
                return Judged(
                    task.place, unchanged=dict(zip(map(str, sources), names, strict=True))
                )
        usable: dict[str, Usable] = {}
        refused = [] if files else [_nothing(task.entry.student)]
        for at, name in enumerate(names):
            contents = _contents(task, at)
            if isinstance(contents, Refusal):
                refused.append(contents)
                continue
            source = source_of(contents)
            try:
                if source in usable:
                    first = Path(usable[source].path).name
                    raise Repeated(f"the same file as {first}; record the phrase once more")
                usable[source] = Usable(source, name, self.hear(contents))
            except UnsupportedFormat as error:  # not for ever: what reads it may be installed
                refused.append(Refusal(name, None, type(error).__name__, error.reason))
            except RecordingError as error:
                refused.append(Refusal(name, source, type(error).__name__, error.reason))
        least = exceeded_by(self.strangers, LIKE_STRANGERS)
        kept, others = _alike(list(usable.values()), least)
        reason = (
            "not like the student's other recordings; check whose voice it is, or whether two speak"
        )
        if others and 2 * len(others) >= len(usable):
            kept, others = [], list(usable.values())
            reason = "the recordings are not of one voice; check who spoke"
        kept = self._with_two_voices(kept, task)
        refused += [Refusal(x.path, x.source, NotLikeTheOthers.__name__, reason) for x in others]
        return Judged(task.place, tuple(kept), tuple(refused))

    def _with_two_voices(self, kept: Sequence[Usable], task: Task) -> list[Usable]:
        """What is kept, with a remark where two people seem to speak; few are heard again."""
        points = np.array([each.recorded.voiceprint for each in kept], np.float32)
        doubted = {kept[at].path for at in unlike_the_others(points)}
        files = {shown(file): at for at, file in enumerate(task.entry.files)} if doubted else {}
        found = []
        for each in kept:
            contents = _contents(task, files[each.path]) if each.path in doubted else None
            if isinstance(contents, bytes) and self.two_voices(contents):
                each = replace(each, recorded=each.recorded.remarked(SAID))
            found.append(each)
        return found


def recorded(models: Models, phrase: Samples) -> Recorded:
    """Return what is made of a phrase that enrolls its student. Raises NoSpeech."""
    utterance = Utterance(phrase, models.encoder)
    voiceprint, evidence = utterance.voiceprint, models.evidence(utterance)
    return Recorded(voiceprint, evidence, impairments(phrase, evidence.highest))


def reader_crashed(task: Task) -> Judged:
    """Return what is said of a student whose recordings end whatever program reads them."""
    reason = "a recording of this student ends the program that reads it; export them again"
    kind = UnreadableRecording.__name__
    refused = [Refusal(shown(file), None, kind, reason) for file in task.entry.files]
    return Judged(task.place, refused=tuple(refused))


def rules(encoder: str) -> str:
    """Tell by which encoder and constants was judged: by others, it is to be done again."""
    phrase = [recording.DECODED, recording.PAUSE, recording.FAR_WEAKER, recording.ANOTHER]
    told = [encoder, quality.constants(), phrase, LARGEST, TOGETHER, LIKE_STRANGERS, RULE]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def source_of(contents: bytes) -> str:
    """Return the SHA-256 that a file is remembered by."""
    return hashlib.sha256(contents).hexdigest()


def sources_of(contents: Iterable[bytes | Refusal]) -> list[str | None]:
    """Return the same of many; None of one that could not be read."""
    return [None if isinstance(each, Refusal) else source_of(each) for each in contents]


def contents_of(path: Path) -> bytes | Refusal:
    """Return a file as it is, or why it cannot be read."""
    try:
        with opened(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            contents = file.read(LARGEST + 1)
        if len(contents) <= LARGEST:
            return contents
        reason = f"larger than {LARGEST >> 20} MiB; cut out the phrase"
        error: RecordingError = RecordingTooLong(reason)
    except RecordingError as said:
        error = said
    except OSError:
        error = UnreadableRecording("could not be read; try again")
    return Refusal(shown(path), None, type(error).__name__, error.reason)


def shown(path: Path) -> str:
    """Return a path that can be written anywhere, whatever its file system holds."""
    return os.fsencode(path).decode(errors="replace")


def _nothing(student: str) -> Refusal:
    reason = "no MP3, M4A, Ogg, FLAC or WAV file is there; add recordings"
    return Refusal(student, None, UnreadableRecording.__name__, reason)


def _contents(task: Task, at: int) -> bytes | Refusal:
    return contents_of(task.entry.files[at]) if task.contents is None else task.contents[at]


def decode(contents: bytes) -> Samples:
    """Return the samples of a file's contents, like ``read``. Raises RecordingError."""
    with os.fdopen(os.memfd_create("kaimen-recording", os.MFD_CLOEXEC), "wb") as file:
        file.write(contents)
        file.flush()
        return read(f"/proc/self/fd/{file.fileno()}")


def _alike(usable: Sequence[Usable], least: float) -> tuple[list[Usable], list[Usable]]:
    """Return recordings that are like each other, and those that are not: the worst goes first."""
    kept: list[Usable] = []
    others: list[Usable] = []
    for each in usable:  # a point that is no number is like nothing
        (kept if np.isfinite(each.recorded.voiceprint).all() else others).append(each)
    while len(kept) >= TOGETHER:
        scores = among_themselves(np.stack([each.recorded.voiceprint for each in kept]))
        worst = int(scores.argmin())
        if scores[worst] >= least:
            break
        others.append(kept.pop(worst))
    return kept, others
