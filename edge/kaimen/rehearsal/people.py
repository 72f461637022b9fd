"""People whose voices attacks are rehearsed with: recordings of a phrase, and of other words.

A folder is laid out as student/TEXT-TAKE.flac (or MP3, or WAV). A passphrase is one text, or two
joined with a plus sign: then each take of it is the takes of both, with a short pause between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from kaimen.enrollment.litter import is_litter
from kaimen.errors import NoSpeech, SettingsError
from kaimen.names import as_kept
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import SUFFIXES, main_phrase, read

PAUSE = 0.05  # seconds between joined words


@dataclass
class Person:
    """Somebody's recordings, each cut to where somebody speaks."""

    name: str
    phrase: tuple[str, ...]  # the texts that the passphrase is joined from
    files: dict[tuple[str, str], Path] = field(repr=False)  # by text and take

    @cached_property
    def takes(self) -> list[Samples]:
        """Return all takes of the passphrase, in their order."""
        return list(self._said(self.phrase))

    @cached_property
    def half_right(self) -> list[Samples]:
        """One take each of phrases that share one half with a joined passphrase."""
        if len(self.phrase) != 2:
            return []
        first, second = self.phrase
        others = sorted({text for text, _ in self.files} - set(self.phrase))
        pairs = [pair for other in others for pair in ((other, second), (first, other))]
        return [said for pair in pairs for said in list(self._said(pair))[-1:]]

    @cached_property
    def other_words(self) -> list[Samples]:
        """One take each of other texts, as long as the passphrase where it is joined."""
        others = sorted({text for text, _ in self.files} - set(self.phrase))
        pairs: list[tuple[str, ...]] = [(other,) for other in others]
        if len(self.phrase) == 2:
            pairs = list(zip(others, others[1:] + others[:1], strict=True))
        return [said for pair in pairs for said in list(self._said(pair))[-1:]]

    def _said(self, texts: tuple[str, ...]) -> Iterator[Samples]:
        takes = sorted({take for text, take in self.files if text == texts[0]})
        pause = np.zeros(round(PAUSE * SAMPLE_RATE), np.float32)
        for take in takes:
            if all((text, take) in self.files for text in texts):
                try:
                    words = [self._word(text, take) for text in texts]
                except NoSpeech:
                    continue
                pieces = [piece for word in words for piece in (pause, word)][1:]
                yield np.concatenate(pieces)

    def _word(self, text: str, take: str) -> Samples:
        return main_phrase(read(self.files[text, take])).samples


def people_in(folder: Path, phrase: str) -> list[Person]:
    """Return everybody who says the passphrase at least twice. Raises SettingsError."""
    texts = tuple(as_kept(text) for text in phrase.split("+"))
    try:
        students = sorted(
            each for each in folder.iterdir() if each.is_dir() and not is_litter(each)
        )
    except OSError as error:
        raise SettingsError(f"{folder}: the folder cannot be read ({error.strerror})") from None
    found = []
    for student in students:
        files: dict[tuple[str, str], Path] = {}
        for file in sorted(student.iterdir()):
            text, _, take = file.stem.rpartition("-")
            if file.suffix.lower() in SUFFIXES and text and not is_litter(file):
                files[as_kept(text), take] = file
        person = Person(as_kept(student.name), texts, files)
        if sum(text == texts[0] for text, _ in files) > 1 and len(person.takes) > 1:
            found.append(person)
    if len(found) < 3:
        raise SettingsError(
            f"{folder}: fewer than three people there say {phrase!r}; files are named "
            "student/TEXT-TAKE.flac, and --phrase names the text"
        )
    return found
