"""From scores to one answer, with the reasons behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from kaimen.gallery.match import Match
from kaimen.language import later, sentence, text

ANOTHER = 0.1  # of score that another student may be nearer than the claimed one
ALIKE = 0.4  # cosine from which on two tries are of one voice


class Verdict(Enum):
    """What the gate answers."""

    OPEN = "open"
    RETRY = "retry"  # more is asked for: once more, a claim, a word
    UNKNOWN = "unknown"
    REFUSED = "refused"  # a recording, or nobody was looked for: see ``wait`` and ``shut``


# Checks of what a phrase must not be like: their scores are negative likenesses.
TOO_MUCH = ("loudspeaker", "replay")


@dataclass(frozen=True, slots=True)
class Check:
    """What must be so besides the voice: the higher its score, the more it is."""

    name: str  # phrase, loudspeaker, replay, or stored: what they compare with
    score: float
    threshold: float  # that the score must reach
    grey: float = math.inf  # from which on it may be tried once more

    @property
    def passed(self) -> bool:
        """Return whether it is so; a score that is no number passes nothing."""
        return self.score >= self.threshold

    @property
    def doubtful(self) -> bool:
        """Return whether it is not, but another try may show it."""
        return not self.passed and self.score >= self.grey

    @property
    def figures(self) -> str:
        """Return the score and what it had to reach, in words: of what is bad, how much at most."""
        if self.name in TOO_MUCH:
            return text(
                "{score}, at most {most} may be",
                score=f"{-self.score:.3f}",
                most=f"{-self.threshold:.3f}",
            )
        needed = text(
            "{what} is {threshold}", what=text("the threshold"), threshold=f"{self.threshold:.3f}"
        )
        return f"{self.score:.3f}, {needed}"

    def with_try(self, before: Check) -> Check:
        """Return the same of two tries: their mean decides, and there is no third."""
        return replace(self, score=(self.score + before.score) / 2, grey=math.inf)


# What is said of somebody whose voice is known and who does not pass.
FAILED = {
    "phrase": later("but these are not the words that were enrolled"),
    "loudspeaker": later("but it sounds like a loudspeaker"),
    "replay": later("but it was heard before: a recording"),
    "stored": later("but what is stored of them was changed; enroll them again"),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one probe: the nearest students first, and the threshold they met."""

    verdict: Verdict
    threshold: float
    nearest: tuple[Match, ...]
    claim: str | None = None  # who somebody said they are: then nobody else was looked for
    wait: float = 0.0  # seconds until the door hears again
    shut: str = ""  # why the door opens for nobody, in words
    checks: tuple[Check, ...] = ()  # in order, up to the first that did not pass
    pooled: float | None = None  # the score, if it is of this try and the one before together
    ask: tuple[str, ...] = ()  # what is to be said next, of a challenge
    wanted: str = ""  # what is asked for instead, in words
    first_of_two: bool = False  # whether another try is heard where this one is nearly enough
    another: float | None = None  # the score of another student, whose voice it rather is

    @property
    def opens(self) -> bool:
        """Return whether the door may open."""
        return self.verdict is Verdict.OPEN

    @property
    def student(self) -> str | None:
        """Return who was let in."""
        return self.nearest[0].student if self.opens else None

    @property
    def score(self) -> float | None:
        """Return the nearest student's score; None in an empty gallery."""
        return self.nearest[0].score if self.nearest else None

    @property
    def failed(self) -> Check | None:
        """Return the check that was not passed."""
        return next((check for check in self.checks if not check.passed), None)

    @property
    def cause(self) -> str:
        """Return why it was decided so, in a word for programs; of a failed check, its name."""
        if self.shut or self.wait or self.ask or self.wanted:
            given = {"shut": self.shut, "wait": self.wait, "asked": self.ask, "more": self.wanted}
            return next(name for name, there in given.items() if there)
        if not self.nearest:
            return "nobody" if self.claim is None else "may not"
        if self.opens:
            return "open"
        if self.another is not None:
            return "not now" if self.claim is None else "another"
        if self.failed is not None:
            return self.failed.name
        return "far" if math.isfinite(self.threshold) else "not armed"

    @property
    def reason(self) -> str:
        """Return a sentence for a person, with no name that who is turned away did not give."""
        return self.told()

    def told(self, *, nearest: bool = False) -> str:
        """Return the same; with ``nearest``, it says whom a voice is like that is turned away."""
        if self.shut:
            return text("the door stays shut: {why}", why=sentence(self.shut))
        if self.wait:
            return text(
                "too many unknown voices; the door hears again in {seconds} s",
                seconds=math.ceil(self.wait),
            )
        if self.ask:
            who, words = self.nearest[0].student, ", ".join(self.ask)
            return text("{student} is asked to say: {words}", student=who, words=words)
        if self.wanted:
            return sentence(self.wanted)
        if not self.nearest:
            if self.claim is not None:
                return text("{student} is not enrolled, or may not enter now", student=self.claim)
            return text("nobody is enrolled who may enter now")
        best = self.nearest[0]
        tries = "" if self.pooled is None else text(" in two tries")
        score = f"{best.score:.3f}"
        known = text("{student} at {score}{tries}", student=best.student, score=score, tries=tries)
        if self.opens:
            return known + text(", ") + self._needed
        if self.another is not None and self.claim is None:
            return text(
                "the voice is nearer to a student's who may not enter now, by {score}",
                score=f"{self.another - best.score:.3f}",
            )
        if self.another is not None:
            return text(
                "claimed to be {known}, but the voice is nearer to another student's by {score}",
                known=known,
                score=f"{self.another - best.score:.3f}",
            )
        again = text("; say it once more") if self.verdict is Verdict.RETRY else ""
        if self.failed is not None:
            whose = text("the voice is known")
            if nearest or self.claim:
                whose = text("like {student}", student=best.student)
            why = text(FAILED[self.failed.name])
            return f"{whose}{text(', ')}{why} ({self.failed.figures}){again}"
        if not math.isfinite(self.threshold):
            return text("no voice opens this door: it is not armed; run 'kaimen calibrate'")
        if self.claim is not None:
            known = text("claimed to be {known}", known=known)
        elif nearest:
            known = text("nearest is {known}", known=known)
        elif again:
            known = text("a voice that is nearly known")
        else:
            known = text("a voice nobody has{tries}", tries=tries)
        below = self.threshold - best.score  # infinite, or no number, where the score is none
        far = text("{score} too low: ", score=f"{below:.3f}") if math.isfinite(below) else ""
        return f"{known}{text(', ')}{far}{self._needed}{again}"

    @property
    def _needed(self) -> str:
        what = text("the threshold")
        if self.first_of_two:
            what = text("the threshold of a first try")
        elif self.pooled is not None:
            what = text("the threshold of two tries")
        elif self.claim is not None:
            what = text("the threshold of a claim")
        return text("{what} is {threshold}", what=what, threshold=f"{self.threshold:.3f}")


@dataclass(frozen=True, slots=True)
class Retry:
    """Scores of a gate that asks once more instead of turning away who is nearly known."""

    first: float  # for the first try
    pooled: float  # for two tries together
    grey: float  # from which on it asks


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How near a probe must come; by default nothing is near enough."""

    anybody: float = math.inf  # to be found among all, in one try
    claimed: float = math.inf  # to be who one says
    source: str = ""  # hash of the calibration they come from
    retry: Retry | None = None  # to be found among all in one try or two
    phrase: float | None = None  # how like the enrolled words; None: as the phrase encoder says
    common: NDArray[np.float32] | None = field(default=None, compare=False)  # how all say them
    phrase_by: str = ""  # the phrase encoder that both are of
    grown: int = 0  # grown voiceprints count up to this number: they were calibrated with
    everybody: float = -math.inf  # among all, where ``anybody`` is for those of a roster

    @property
    def armed(self) -> bool:
        """Return whether anything at all is near enough to open."""
        return min(self.anybody, self.claimed) < math.inf


def decide(nearest: Sequence[Match], threshold: float, *, claim: str | None = None) -> Decision:
    """Open for the nearest student if the score reaches the threshold.

    A score or threshold that is no number opens nothing.
    """
    ordered = tuple(sorted(nearest, key=lambda match: -match.score))
    opens = bool(ordered) and ordered[0].score >= threshold
    return Decision(Verdict.OPEN if opens else Verdict.UNKNOWN, threshold, ordered, claim)


def refuse_for_another(decision: Decision, others: Sequence[Match]) -> Decision:
    """Refuse a claim that would open where the voice is clearly nearer to another student's.

    ``others`` are the nearest of the gallery, whether they may enter or not. A claim is compared
    by a low threshold, for one student; a school's own students would pass it as each other.
    """
    score = decision.score
    best = max((each.score for each in others if each.student != decision.claim), default=-math.inf)
    if not decision.opens or score is None or best - score <= ANOTHER:
        return decision
    return replace(decision, verdict=Verdict.UNKNOWN, another=best)


def one_voice(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether two tries are of one voice, by their points, both (..., dimension)."""
    alike: NDArray[np.bool_] = np.einsum("...d,...d->...", first, second) >= ALIKE
    return alike


def refuse_for_nearer(decision: Decision, others: Sequence[Match]) -> Decision:
    """Refuse who would open as a student of the roster where another student is nearer.

    ``others`` are the nearest of the gallery, whether they may enter or not. A roster's threshold
    is lower than that of all students, and who may not enter now is a stranger to those who may.
    """
    score, found = decision.score, decision.student
    # The same student may score a rounding higher here: another search was made.
    best = max((each.score for each in others if each.student != found), default=-math.inf)
    if not decision.opens or score is None or not best > score:
        return decision
    return replace(decision, verdict=Verdict.UNKNOWN, another=best)


def pooled_point(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the point in the middle of two tries: what spoilt one of them counts half.

    Both of shape (..., dimension) and unit length, as is the result.
    """
    both = first + second
    length = np.maximum(np.linalg.norm(both, axis=-1, keepdims=True), np.float32(1e-6))
    middle: NDArray[np.float32] = both / length
    return middle


def refuse(threshold: float, wait: float) -> Decision:
    """Return that nobody is looked for, for ``wait`` more seconds."""
    return Decision(Verdict.REFUSED, threshold, (), wait=wait)


def stay_shut(why: str) -> Decision:
    """Return that nobody is looked for: the door is not to open for anybody now."""
    return Decision(Verdict.REFUSED, math.inf, (), shut=why)
