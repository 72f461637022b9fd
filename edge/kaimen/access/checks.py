"""Beyond the voice: are these the words, is it a living mouth, and was it never heard before?

Asked only of a phrase whose voice is known, about the one student whose it is, the cheapest
question first. Each check answers with a score and what it had to reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kaimen.access.decision import Check, Thresholds
from kaimen.closing import close_all
from kaimen.errors import GalleryError, NoSpeech, StorageError
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.fingerprint import HEARD_BEFORE, Fingerprint, coherences, fingerprint
from kaimen.voice.models import Models
from kaimen.voice.phrase import phrase_score
from kaimen.voice.utterance import Utterance

PHRASE_GREY = 0.1  # of similarity below the threshold, within which another try is asked for


class Checks:
    """The checks of one gate, by its models, its registry and what opened its door before."""

    def __init__(
        self,
        models: Models,
        registry: Registry,
        memory: ReplayMemory | None,
        *,
        replay: bool = True,
    ) -> None:
        """A registry of the gate's own: it reads while others bring the gallery up to date.

        Without a memory only the recordings that enrolled are known again.
        """
        self.models = models
        self._registry = registry
        self._memory = memory
        self._replay = replay

    def close(self) -> None:
        """Close the registry and the memory."""
        held = (self._registry, self._memory)
        close_all(*(each.close for each in held if each is not None))

    def words(self, student: str) -> list[str]:
        """Return the words of a challenge that a student is enrolled with."""
        return self._registry.recordings.words(student, self.models.encoder.identity)

    def word_voiceprints(self, student: str, word: str) -> Sequence[Voiceprint]:
        """Return the voiceprints of one of them."""
        return list(self._registry.recordings.of_word(student, word, self.models.encoder.identity))

    def of(
        self, utterance: Utterance, student: str, thresholds: Thresholds, word: str = ""
    ) -> tuple[Check, ...]:
        """Return the checks of a phrase in a student's voice, up to the first that fails for good.

        A student who was enrolled without what a check compares with passes it unasked; one of
        whom something stored was changed passes nothing.
        """
        found: list[Check] = []
        for check in self._each(utterance, student, thresholds, word):
            found.append(check)
            if not check.passed and not check.doubtful:
                break
        return tuple(found)

    def _each(
        self, utterance: Utterance, student: str, thresholds: Thresholds, word: str
    ) -> Iterator[Check]:
        encoder, phrase = self.models.encoder, self.models.phrase
        loudspeaker = self.models.loudspeaker
        points: Sequence[Voiceprint] = ()
        heard: Sequence[Fingerprint] = ()
        try:
            known = self._registry.recordings.evidence(student, self.models.said_by, word)
            if loudspeaker is not None and loudspeaker.knows(encoder):
                points = self.word_voiceprints(student, word)
            if self._replay and self._memory is not None:
                heard = self._memory.of(student, word)
        except (GalleryError, StorageError):  # changed, or not to be read now: nobody knows
            yield Check("stored", 0.0, 1.0)
            return
        said = [each.said for each in known if each.said is not None]
        if phrase is not None and said:
            least, school = phrase.card.threshold, None
            if thresholds.phrase is not None and thresholds.phrase_by == phrase.identity:
                least, school = thresholds.phrase, None if word else thresholds.common
            score = phrase_score(phrase.embed_features(utterance.features), said, school)
            yield Check("phrase", score, least, least - PHRASE_GREY)
        if loudspeaker is not None:
            score, limits = loudspeaker.suspect(utterance.features, utterance.voiceprint, points)
            yield Check("loudspeaker", -score, -limits.threshold, -limits.grey)
        if self._replay:
            stored = [each.fingerprint for each in known if each.fingerprint is not None]
            stored += heard
            yield Check(
                "replay", -max(coherences(utterance.samples, stored), default=0), -HEARD_BEFORE
            )

    def another_word(self, utterance: Utterance, student: str, word: str) -> bool:
        """Return whether another of a student's words is more like what was said than this one."""
        phrase = self.models.phrase
        if phrase is None:
            return False
        point = phrase.embed_features(utterance.features)
        scores = {}
        for each in self.words(student):
            known = self._registry.recordings.evidence(student, self.models.said_by, each)
            said = [one.said for one in known if one.said is not None]
            scores[each] = phrase_score(point, said) if said else -1.0
        return max(scores, key=lambda each: scores[each]) != word

    def recording(self, utterance: Utterance) -> Fingerprint | None:
        """Return what a phrase would be known again by; None where nobody looks for replays."""
        return fingerprint(utterance.samples) if self._replay else None

    def said_again(self, utterance: Utterance, before: Fingerprint) -> Check:
        """Return the check whether a second try is said anew, and not the first one's recording."""
        (alike,) = coherences(utterance.samples, [before])
        return Check("replay", -alike, -HEARD_BEFORE)

    def remember(self, utterance: Utterance, student: str, word: str = "") -> None:
        """Remember what opened the door: it opens no second time. Raises StorageError."""
        if self._memory is not None:
            self._memory.keep(student, fingerprint(utterance.samples), word)

    def rehearse(self, utterance: Utterance) -> None:
        """Run every model: what does this can check."""
        try:
            self.models.evidence(utterance)
            if self.models.loudspeaker is not None:
                self.models.loudspeaker.suspect(utterance.features)
        except NoSpeech:
            return
