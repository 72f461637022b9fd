"""The coach: judges each take at the microphone, and knows when enough good ones are there.

What enrolls from a file enrolls here, by the same rules; beside them a take must be of the voice
and the words of the takes before. Once five are there, the coach predicts how often the gate will
turn this student away. Where that is often, it asks for more takes, EXTRA at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaimen.enrollment.advice import Advice
from kaimen.enrollment.chance import chance_of_rejection
from kaimen.enrollment.judging import (
    LIKE_STRANGERS,
    Judged,
    Recorded,
    Usable,
    recorded,
    source_of,
)
from kaimen.enrollment.take_quality import TakeQuality
from kaimen.errors import NoSpeech, RecordingError
from kaimen.sound import Samples
from kaimen.sound.impairments import CLIPPED, QUIET
from kaimen.sound.quality import Clipped, TooNoisy, require_good
from kaimen.sound.recording import only_phrase
from kaimen.voice.models import Models
from kaimen.voice.phrase import phrase_score
from kaimen.voice.score import Points, score_of
from kaimen.voice.spread import exceeded_by

WANTED = 5  # good takes
EXTRA = 2  # takes that are asked for beyond these, at most
OFTEN = 0.05  # chance of being turned away from which on another take is asked for
FAINT = -45.0  # dB of a phrase, below which a voice in a noise is rather too far than drowned


@dataclass(frozen=True, slots=True, eq=False)
class GoodTake:
    """A good take."""

    samples: Samples  # the recording
    recorded: Recorded
    quality: TakeQuality


@dataclass(frozen=True, slots=True)
class TakeJudgement:
    """What became of a take, and how far the enrollment is."""

    number: int  # of the take, from 1, good or not
    kept: bool
    advice: Advice  # what is to be done next
    reason: str  # why it was not kept; empty if it was
    quality: TakeQuality | None  # None where no phrase was found
    good: int  # takes there are now
    progress: int  # percent
    chance: float | None  # of being turned away at one try; None before the last good take
    complete: bool


class Coach:
    """Judges one student's takes."""

    def __init__(
        self,
        models: Models,
        threshold: float,
        *,
        before: Points | None = None,
        wanted: int = WANTED,
    ) -> None:
        """``threshold`` is the score that the gate asks for.

        ``before``, (recordings, dimension), are the voiceprints that the takes will be added to.
        """
        self._models = models
        self._threshold = threshold
        self._before = before if before is not None and len(before) else None
        self._wanted = wanted
        self._least = exceeded_by(models.encoder.card.strangers, LIKE_STRANGERS)
        self._outvoted: list[GoodTake] = []  # unlike the good ones
        self._number = 0
        self.takes: list[GoodTake] = []
        self.complete = False

    @property
    def progress(self) -> int:
        """Return how far it is, in percent."""
        return 100 if self.complete else min(99, 100 * len(self.takes) // self._wanted)

    @property
    def chance(self) -> float | None:
        """The predicted chance of being turned away at one try; None while that is not known."""
        return None if len(self.takes) < self._wanted else self._chance()

    def judge(self, samples: Samples) -> TakeJudgement:
        """Judge the recording of a take, shape (samples,)."""
        self._number += 1
        quality = None
        try:
            phrase = only_phrase(samples)
            quality = TakeQuality.of(samples, phrase)
            _require_well_heard(quality)
            require_good(samples, phrase)
            found = recorded(self._models, phrase.samples)
        except RecordingError as error:
            return self._said(advice_on(error, quality), quality, error.reason)
        take = GoodTake(samples, found, quality)
        unlike = self._unlike(take, self.takes)
        return self._keep(take) if unlike is None else self._set_apart(take, unlike)

    def judged(self) -> Judged:
        """Return the good takes, as what enrolls their student."""
        return Judged(
            0,
            tuple(
                Usable(source_of(take.samples.tobytes()), f"take {number}", take.recorded)
                for number, take in enumerate(self.takes, 1)
            ),
        )

    def _unlike(self, take: GoodTake, others: Sequence[GoodTake]) -> Advice | None:
        """Return what is to be said of a take that is not like others; None of one that is."""
        if not np.isfinite(take.recorded.voiceprint).all():
            return Advice.SAME_VOICE
        points = [each.recorded.voiceprint for each in others]
        if self._before is not None:
            points += list(self._before)
        if points:
            own = take.recorded.voiceprint[np.newaxis]
            if not score_of(np.stack(points), own)[0] >= self._least:
                return Advice.SAME_VOICE
        said = take.recorded.evidence.said
        words = [each.recorded.evidence.said for each in others]
        known = [each for each in words if each is not None]
        phrase = self._models.phrase
        if phrase is None or said is None or not known:
            return None
        return None if phrase_score(said, known) >= phrase.card.threshold else Advice.SAME_WORDS

    def _set_apart(self, take: GoodTake, advice: Advice) -> TakeJudgement:
        """Leave a take out; where as many are like it as are good, those are the wrong ones."""
        reason = "not the words of the takes before"
        if advice is Advice.SAME_VOICE:
            reason = "not like the takes before"
        if self._outvoted and self._unlike(take, self._outvoted) is not None:
            self._outvoted = []
        self._outvoted.append(take)
        if len(self._outvoted) > len(self.takes) and self._before is None:
            self.takes, self._outvoted = self._outvoted, []
            return self._said(Advice.NEXT, take.quality)
        return self._said(advice, take.quality, reason)

    def _keep(self, take: GoodTake) -> TakeJudgement:
        self.takes.append(take)
        if len(self.takes) < self._wanted:
            return self._said(Advice.NEXT, take.quality)
        may_ask = self._wanted > 1 and len(self.takes) < self._wanted + EXTRA
        if may_ask and self._chance() > OFTEN:
            return self._said(Advice.MORE, take.quality)
        self.complete = True
        return self._said(Advice.DONE, take.quality)

    def _chance(self) -> float:
        points = np.stack([each.recorded.voiceprint for each in self.takes])
        if self._before is not None:
            points = np.concatenate((self._before, points))
        return chance_of_rejection(points, [each.quality for each in self.takes], self._threshold)

    def _said(self, advice: Advice, quality: TakeQuality | None, reason: str = "") -> TakeJudgement:
        return TakeJudgement(
            self._number, not reason, advice, reason, quality,
            len(self.takes), self.progress, self.chance, self.complete,
        )  # fmt: skip


class TooQuiet(RecordingError):
    """A voice, but hardly above what a microphone hears of itself."""


def _require_well_heard(quality: TakeQuality) -> None:
    """Require more than of a file, which nobody could record again at once."""
    if quality.clipped >= CLIPPED:
        raise Clipped("the loudest of it is cut off")
    if quality.level < QUIET:
        raise TooQuiet("it is very quiet")


def advice_on(error: RecordingError, quality: TakeQuality | None) -> Advice:
    """Return what is to be done about a take that cannot be used."""
    if isinstance(error, Clipped):
        return Advice.FURTHER
    if isinstance(error, TooQuiet):
        return Advice.LOUDER
    if isinstance(error, TooNoisy):
        return Advice.CLOSER if quality and quality.level < FAINT else Advice.QUIETER
    if isinstance(error, NoSpeech):
        return Advice.SPEAK
    return Advice.WHOLE  # of several phrases, of one too short, and of whatever else there is
