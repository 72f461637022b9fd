"""The access policy: from a phrase to an answer, remembering the try before.

The voice says who it may be, the checks say whether it counts. Who is nearly known is asked to say
it once more, and both tries are judged together. By the door's policy, somebody must say who they
are first, and may have to say words of the gate's choice.
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kaimen.access.checks import Checks
from kaimen.access.decision import (
    Check,
    Decision,
    Retry,
    Thresholds,
    Verdict,
    decide,
    one_voice,
    pooled_point,
    refuse,
    refuse_for_another,
    refuse_for_nearer,
    stay_shut,
)
from kaimen.access.growing import Growing
from kaimen.access.lockout import Lockout
from kaimen.clock import local_now
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.match import Match
from kaimen.names import as_kept
from kaimen.settings.roster import Rule, groups_at
from kaimen.sound.quality import is_voice
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.fingerprint import Fingerprint
from kaimen.voice.score import score_of
from kaimen.voice.utterance import Utterance

CLAIM = 10.0  # seconds for which a claim waits for its phrase
AGAIN = 10.0  # seconds for which a try, or an asked word, waits for the next one
BEHIND = datetime.timedelta(days=1)  # that a clock may be behind the newest enrollment
ASKED = 3  # words of a challenge, at most
FEWEST = 2  # words that a student must be enrolled with to be challenged


@dataclass(frozen=True, slots=True)
class EarlierTry:
    """A try that was nearly good enough."""

    voiceprint: Voiceprint
    student: str  # whom it was nearest to
    checks: tuple[Check, ...]
    claim: str | None
    at: float
    recording: Fingerprint | None = None  # of the phrase itself


@dataclass(frozen=True, slots=True)
class Challenge:
    """Words that are left to be said."""

    student: str
    words: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """A decision, and what is to be remembered if it is given as the answer."""

    decision: Decision
    tried: EarlierTry | None = None
    challenge: Challenge | None = None
    word: str = ""  # that was said, of a challenge


class AccessPolicy:
    """Decides for one door. Claims may come from any thread."""

    def __init__(
        self,
        gallery: Gallery,
        thresholds: Thresholds,
        *,
        roster: tuple[Rule, ...] = (),
        lockout: Lockout | None = None,
        checks: Checks | None = None,
        policy: str = "voice",
        retry: bool = False,
        now: Callable[[], datetime.datetime] = local_now,
        clock: Callable[[], float] = time.monotonic,
        draw: random.Random | None = None,
        unwell: Callable[[], str] = lambda: "",
        growing: Growing | None = None,
    ) -> None:
        """Without ``checks`` the voice alone counts; a challenge needs them.

        Without a ``lockout`` nobody ever has to wait. With ``retry`` who is nearly known is asked
        once more. ``thresholds`` may be changed at any moment. While ``unwell`` says why not,
        nothing opens. ``growing`` picks what a student's voiceprints may take in.
        """
        self.gallery = gallery
        self.thresholds = thresholds
        self._roster = roster
        self._lockout = Lockout(first=0.0) if lockout is None else lockout
        self._checks = checks
        self._policy = policy
        self._retry = retry
        self._now = now
        self._clock = clock
        self._draw = random.SystemRandom() if draw is None else draw
        self._unwell = unwell
        self._growing = growing
        self._claim: tuple[str, float] | None = None
        self._tried: EarlierTry | None = None
        self._challenge: Challenge | None = None
        self._looks = 0  # at a phrase that was not at its end, and nobody's

    @property
    def shut(self) -> str:
        """Return why the door opens for nobody just now; empty while it may."""
        return self._unwell() or ("" if self.thresholds.armed else "it is not armed")

    def claim(self, student: str) -> None:
        """Take the next phrase as that of somebody who says who they are. From any thread."""
        self._claim = (as_kept(student), self._clock())

    def withdraw_claim(self, student: str) -> None:
        """Take the next phrase as anybody's: who said who they are is in by another way."""
        claim = self._claim
        if claim is not None and claim[0] == as_kept(student):
            self._claim = None

    def forget(self) -> None:
        """Begin a new stream of sound: nobody is in the middle of anything."""
        self._tried = self._challenge = None
        self._looks = 0

    def rehearse(self, utterance: Utterance) -> None:
        """Search for a phrase and check it, without deciding anything."""
        self.gallery.nearest(utterance.voiceprint)
        if self._checks is not None:
            self._checks.rehearse(utterance)

    def decide(self, utterance: Utterance) -> PendingDecision:
        """Return what to answer; nothing is remembered before ``answered``."""
        shut = self.shut
        if shut:
            return PendingDecision(stay_shut(shut))
        if self._challenge is not None and self._waits(self._challenge.at):
            return self._word(utterance, self._challenge)
        claim = self._claimed()
        thresholds = self.thresholds
        wait = self._lockout.wait() if claim is None else 0.0
        if wait:
            return PendingDecision(refuse(thresholds.anybody, wait))
        if claim is None and self._policy != "voice":
            wanted = "this door wants to know first who you are"
            return PendingDecision(Decision(Verdict.RETRY, thresholds.claimed, (), wanted=wanted))
        return self._phrase(utterance, claim)

    @property
    def may_look(self) -> bool:
        """Return whether a phrase may be looked at before its end.

        Each look is a try: words said in one breath are no more than the free ones.
        """
        return self._claimed() is not None or self._looks < self._lockout.left

    def looked(self, found: PendingDecision, utterance: Utterance) -> None:
        """Remember the decision of a look while the phrase goes on: it counts with the answer."""
        if found.decision.claim is None and _turned_away(found.decision, utterance):
            self._looks += 1

    def answered(self, found: PendingDecision, utterance: Utterance) -> None:
        """Remember the decision that was given as answer. Raises StorageError; all else is done."""
        decision = found.decision
        if decision.shut:  # nobody tried anything: a student who waits is no unknown voice
            return
        claim = self._claim
        if claim is not None and decision.claim == claim[0]:
            self._claim = None
        looks, self._looks = self._looks, 0
        turned_away = _turned_away(decision, utterance)
        if _is_shut(decision) and not turned_away:
            return
        if self._growing is not None and self._tried is None and not looks and not found.word:
            self._growing.consider(decision, utterance.voiceprint, self.thresholds, self._lockout)
        # Who was asked once more and let another first try follow was nobody that is known.
        gave_up = self._tried is not None and found.tried is not None
        self._tried, self._challenge = found.tried, found.challenge
        if decision.claim is None:
            if decision.opens:
                self._lockout.opened()
            elif turned_away or gave_up or looks:
                self._lockout.unknown(looks + (turned_away or gave_up))
        good = decision.opens or decision.ask
        if good and self._checks is not None:
            self._checks.remember(utterance, decision.nearest[0].student, found.word)

    def _claimed(self) -> str | None:
        claim = self._claim
        fresh = claim is not None and self._clock() - claim[1] <= CLAIM
        return claim[0] if claim is not None and fresh else None

    def _waits(self, since: float) -> bool:
        return self._clock() - since <= AGAIN

    def _phrase(self, utterance: Utterance, claim: str | None) -> PendingDecision:
        """Return the passphrase: whose voice it is, and whether that is enough."""
        thresholds = self.thresholds
        retry = thresholds.retry if self._retry and claim is None else None
        anybody = thresholds.anybody if retry is None else retry.first
        first = anybody if claim is None else thresholds.claimed
        decision = decide(self._nearest(utterance.voiceprint, claim, first), first, claim=claim)
        decision = replace(decision, first_of_two=retry is not None)
        if claim is None:
            decision = self._nearest_of_all(decision, utterance.voiceprint)
        elif decision.opens:
            others = self.gallery.nearest(
                utterance.voiceprint, 2, day=self._now().date(), grown=thresholds.grown
            )
            decision = refuse_for_another(decision, others)
        if not decision.nearest:
            return PendingDecision(decision)
        before = self._before(utterance.voiceprint, claim)
        if before is not None and before.recording is not None and self._checks is not None:
            anew = self._checks.said_again(utterance, before.recording)
            if not anew.passed:
                return PendingDecision(replace(decision, verdict=Verdict.REFUSED, checks=(anew,)))
        doubtful = False
        if retry is not None and not decision.opens:
            if before is None:
                doubtful = decision.another is None and decision.nearest[0].score >= retry.grey
            else:
                decision = self._pooled(
                    pooled_point(before.voiceprint, utterance.voiceprint), retry
                )
        student = decision.nearest[0].student
        if decision.opens or doubtful:
            decision = self._checked(decision, utterance, student, before)
        if decision.verdict is Verdict.OPEN and self._policy == "challenge":
            return self._challenged(decision, student)
        if doubtful and decision.failed is None:
            decision = replace(decision, verdict=Verdict.RETRY)
        tried = None
        if decision.verdict is Verdict.RETRY:
            recording = None if self._checks is None else self._checks.recording(utterance)
            tried = EarlierTry(
                utterance.voiceprint, student, decision.checks, claim, self._clock(), recording
            )
        return PendingDecision(decision, tried)

    def _nearest(self, voiceprint: Voiceprint, claim: str | None, sure: float) -> list[Match]:
        """Return who of those who may enter now is nearest, or how near the claimed one is."""
        now, grown = self._now(), self.thresholds.grown
        groups, day = groups_at(self._roster, now), now.date()
        if now.astimezone(datetime.UTC) + BEHIND < self.gallery.newest:
            # The clock is wrong, and nobody knows whose hours these are, or whose consent ended.
            groups, day = frozenset() if self._roster else None, datetime.date.max
        if claim is not None:
            return self.gallery.claimed(claim, voiceprint, groups=groups, day=day, grown=grown)
        return self.gallery.nearest(voiceprint, groups=groups, day=day, sure=sure, grown=grown)

    def _pooled(self, voiceprint: Voiceprint, retry: Retry) -> Decision:
        """Return two tries, neither of them enough alone, looked for as one."""
        decision = decide(self._nearest(voiceprint, None, retry.pooled), retry.pooled)
        return self._nearest_of_all(replace(decision, pooled=decision.score), voiceprint)

    def _nearest_of_all(self, decision: Decision, voiceprint: Voiceprint) -> Decision:
        """Return the decision after a look at all who consent today, may they enter or not."""
        if not self._roster or not decision.opens:
            return decision
        day, grown = self._now().date(), self.thresholds.grown
        return refuse_for_nearer(
            decision, self.gallery.nearest(voiceprint, 1, day=day, grown=grown)
        )

    def _before(self, voiceprint: Voiceprint, claim: str | None) -> EarlierTry | None:
        """Return the try before, if it was by the same voice a moment ago."""
        tried = self._tried
        if tried is None or tried.claim != claim or not self._waits(tried.at):
            return None
        return tried if one_voice(tried.voiceprint, voiceprint) else None

    def _checked(
        self,
        decision: Decision,
        utterance: Utterance,
        student: str,
        before: EarlierTry | None = None,
        word: str = "",
    ) -> Decision:
        """Return the decision after the checks: they open nothing, they only keep shut."""
        if self._checks is None:
            return decision
        checks = self._checks.of(utterance, student, self.thresholds, word)
        if before is not None and before.student == student:
            earlier = {check.name: check for check in before.checks if check.doubtful}
            checks = tuple(
                check.with_try(earlier[check.name]) if check.name in earlier else check
                for check in checks
            )
        decision = replace(decision, checks=checks)
        failed = decision.failed
        if failed is None:
            return decision
        if before is None and not word and all(c.passed or c.doubtful for c in checks):
            return replace(decision, verdict=Verdict.RETRY)
        verdict = Verdict.UNKNOWN if failed.name == "phrase" else Verdict.REFUSED
        return replace(decision, verdict=verdict)

    def _challenged(self, decision: Decision, student: str) -> PendingDecision:
        """Ask for words where a passphrase would open."""
        words = [] if self._checks is None else self._checks.words(student)
        if len(words) < FEWEST:
            wanted = f"enrolled with fewer than {FEWEST} words that this door could ask for"
            return PendingDecision(replace(decision, verdict=Verdict.UNKNOWN, wanted=wanted))
        asked = tuple(self._draw.sample(words, min(ASKED, len(words))))
        return self._asking(decision, Challenge(student, asked, self._clock()))

    def _asking(self, decision: Decision, challenge: Challenge, word: str = "") -> PendingDecision:
        asking = replace(decision, verdict=Verdict.RETRY, ask=challenge.words)
        return PendingDecision(asking, challenge=challenge, word=word)

    def _word(self, utterance: Utterance, challenge: Challenge) -> PendingDecision:
        """Judge the next word of a challenge: the student's voice, that word more than another."""
        assert self._checks is not None
        word, *left = challenge.words
        student = challenge.student
        known = self._checks.word_voiceprints(student, word)
        score = score_of(np.stack(known), utterance.voiceprint[np.newaxis])[0] if known else -np.inf
        decision = decide([Match(student, float(score))], self.thresholds.claimed, claim=student)
        if decision.opens:
            decision = self._checked(decision, utterance, student, word=word)
        if decision.opens and self._checks.another_word(utterance, student, word):
            wanted = f"asked to say {word}, and said another word"
            decision = replace(decision, verdict=Verdict.UNKNOWN, wanted=wanted)
        if decision.opens and left:
            return self._asking(decision, Challenge(student, tuple(left), self._clock()), word)
        return PendingDecision(decision, word=word)


def _is_shut(decision: Decision) -> bool:
    """Return whether nobody is let in or asked for more, though the door hears."""
    return decision.verdict in (Verdict.UNKNOWN, Verdict.REFUSED) and not decision.wait


def _turned_away(decision: Decision, utterance: Utterance) -> bool:
    """Return whether somebody was: what is no voice is no try, as passing traffic is."""
    return _is_shut(decision) and is_voice(utterance.samples)
