"""Keeps phrases of a running gate: the doubtful ones, and on request some of all others."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable

import soundfile

from kaimen.audit import Record
from kaimen.errors import StorageError
from kaimen.gate.gate import Answer
from kaimen.language import for_program
from kaimen.registry.kept_phrases import KeptPhrases
from kaimen.review.strata import Stratum, stratum_of
from kaimen.settings.review import ReviewSettings
from kaimen.sound import SAMPLE_RATE, Samples

EXPIRES = 3600.0  # seconds between looks for what is to be erased
TOLD = ("verdict", "score", "threshold", "checks", "pooled", "seconds", "microphone")


class PhraseKeeping:
    """Keeps phrases by the settings. The relay has moved before; a full disk keeps nobody out."""

    def __init__(
        self,
        phrases: KeptPhrases,
        settings: ReviewSettings,
        say: Callable[[str], None],
        *,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._phrases = phrases
        self._settings = settings
        self._say = say
        self._draw = draw
        self._clock = clock
        self._expired = -EXPIRES
        self._failed = False

    def hear(self, answer: Answer, record: Record) -> None:
        """Keep the phrase of an answer, of which ``record`` is written, if it is to be kept."""
        stratum = stratum_of(record) if self._settings.days else None
        if stratum is None:
            return
        if stratum is not Stratum.DOUBTFUL and self._draw() >= self._settings.share:
            return
        decision = answer.decision
        students = {match.student for match in decision.nearest} | {decision.claim or ""}
        with for_program():  # who reads it later may have another language
            reason = decision.told(nearest=True)
        told = {name: record.get(name) for name in TOLD}
        told |= {
            "stratum": stratum.value,
            "claim": decision.claim,
            "reason": reason,
            "cause": decision.cause,
            "wanted": decision.wanted,
            "nearest": [[match.student, match.score] for match in decision.nearest],
        }
        self._try(lambda: self._phrases.keep(as_flac(answer.phrase.samples), told, students - {""}))

    def beat(self) -> None:
        """Erase what was kept long enough, every hour; called from the gate's loop."""
        if self._clock() - self._expired >= EXPIRES:
            self._expired = self._clock()
            self._try(lambda: self._phrases.expire(self._settings.days))

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
            self._failed = False
        except StorageError as error:
            if not self._failed:
                self._say(f"{error}; the gate goes on, and phrases for review are not kept")
            self._failed = True


def as_flac(samples: Samples) -> bytes:
    """Return a phrase as a FLAC file's content, 16 bits."""
    written = io.BytesIO()
    soundfile.write(written, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return written.getvalue()
