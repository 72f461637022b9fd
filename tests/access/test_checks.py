"""The checks of a gate with the models that ship, on synthetic voices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from kaimen.access.checks import PHRASE_GREY, Checks
from kaimen.access.decision import Check, Thresholds
from kaimen.gallery.gallery import Gallery
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder, Voiceprint
from kaimen.voice.evidence import Evidence
from kaimen.voice.features import Features
from kaimen.voice.fingerprint import HEARD_BEFORE
from kaimen.voice.loudspeaker import Limits, Suspicion
from kaimen.voice.models import Models
from kaimen.voice.phrase import PhraseEncoder
from kaimen.voice.utterance import Utterance

WHO = "anning"


class Suspicious:
    """A detector that hears loudspeakers everywhere, more or less."""

    def __init__(self, score: float, *, at_home: bool = True) -> None:
        self._suspicion = Suspicion(score, Limits(1.0, 3.0))
        self._at_home = at_home
        self.heard: list[tuple[Voiceprint, Sequence[Voiceprint]]] = []

    def knows(self, encoder: Encoder) -> bool:
        assert isinstance(encoder, Encoder)
        return self._at_home

    def suspect(self, heard: Features, point: Voiceprint, known: Sequence[Voiceprint]) -> Suspicion:
        assert np.isfinite(heard).all()
        self.heard.append((point, known))
        return self._suspicion


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(Encoder(), PhraseEncoder())


def heard(models: Models, name: str) -> Utterance:
    return Utterance(main_phrase(read(RECORDINGS / WHO / f"{name}.mp3")).samples, models.encoder)


@pytest.fixture
def gallery(models: Models) -> Gallery:
    gallery = Gallery(models.encoder.identity, models.encoder.card.dimension)
    takes = [heard(models, f"phrase-{take}") for take in range(1, 6)]
    points = [each.voiceprint for each in takes]
    gallery.enroll(WHO, points, evidence=[models.evidence(each) for each in takes])
    return gallery


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[ReplayMemory]:
    memory = ReplayMemory(tmp_path / "heard.sqlite", Vault())
    yield memory
    memory.close()


def of_another(models: Models) -> Models:
    """Models with an encoder that nobody was enrolled with."""

    class Another:
        identity = "another"

    return Models(cast(Encoder, Another()), models.phrase)


def failed(checks: Checks, phrase: Utterance, thresholds: Thresholds | None = None) -> list[str]:
    made = checks.of(phrase, WHO, Thresholds() if thresholds is None else thresholds)
    return [check.name for check in made if not check.passed]


def test_the_enrolled_words_pass_and_others_do_not(models: Models, gallery: Gallery) -> None:
    checks = Checks(models, gallery.registry, None, replay=False)
    assert failed(checks, heard(models, "phrase-6")) == []
    assert failed(checks, heard(models, "other-1")) == ["phrase"]


def test_the_schools_own_threshold_comes_before_the_cards(models: Models, gallery: Gallery) -> None:
    checks = Checks(models, gallery.registry, None, replay=False)
    strict, lax = (Thresholds(phrase=least, phrase_by=models.said_by) for least in (0.999, -1.0))
    assert failed(checks, heard(models, "phrase-6"), strict) == ["phrase"]
    assert failed(checks, heard(models, "other-1"), lax) == []


def test_what_was_learned_with_another_phrase_encoder_does_not_count(
    models: Models, gallery: Gallery
) -> None:
    checks = Checks(models, gallery.registry, None, replay=False)
    other = Thresholds(phrase=0.999, phrase_by="another")
    assert failed(checks, heard(models, "phrase-6"), other) == []


def test_how_all_say_the_phrase_is_part_of_what_it_is_compared_with(
    models: Models, gallery: Gallery
) -> None:
    assert models.phrase is not None
    checks = Checks(models, gallery.registry, None, replay=False)
    probe = heard(models, "phrase-6")
    known = Thresholds(
        phrase=-1.0, phrase_by=models.said_by, common=models.phrase.embed_features(probe.features)
    )
    without = Thresholds(phrase=-1.0, phrase_by=models.said_by)
    (higher,), (lower,) = (checks.of(probe, WHO, each) for each in (known, without))
    assert higher.score > lower.score
    gallery.enroll(WHO, [probe.voiceprint], evidence=[models.evidence(probe)], word="open")
    # All say one phrase, and each their own words.
    (one,), (other,) = (checks.of(probe, WHO, each, "open") for each in (known, without))
    assert one == other


def test_an_enrolled_recording_itself_was_heard_before(models: Models, gallery: Gallery) -> None:
    assert failed(Checks(models, gallery.registry, None), heard(models, "phrase-2")) == ["replay"]


def test_what_opened_once_opens_no_second_time(
    models: Models, gallery: Gallery, memory: ReplayMemory
) -> None:
    phrase = heard(models, "phrase-7")
    alone = Gallery(models.encoder.identity, models.encoder.card.dimension)
    alone.enroll(WHO, [phrase.voiceprint])  # without evidence: nothing is known but the voice
    checks = Checks(models, alone.registry, memory)
    assert failed(checks, phrase) == []
    checks.remember(phrase, WHO)
    assert failed(checks, phrase) == ["replay"]
    assert failed(checks, heard(models, "other-1")) == []
    word = heard(models, "other-1")
    checks.remember(word, WHO, "other")  # a word of a challenge is no passphrase
    assert failed(checks, word) == []
    (replayed,) = checks.of(word, WHO, Thresholds(), "other")
    assert not replayed.passed
    assert failed(Checks(models, alone.registry, memory, replay=False), phrase) == []
    assert checks.recording(phrase) is not None
    assert Checks(models, alone.registry, memory, replay=False).recording(phrase) is None


def test_every_check_tells_what_it_found_and_what_it_had_to_reach(
    models: Models, gallery: Gallery
) -> None:
    assert models.phrase is not None
    suspicious = Models(models.encoder, models.phrase, Suspicious(0.5))  # type: ignore[arg-type]
    checks = Checks(suspicious, gallery.registry, None)
    probe, least = heard(models, "phrase-6"), models.phrase.card.threshold
    phrase, loudspeaker, replay = checks.of(probe, WHO, Thresholds())
    assert phrase == Check("phrase", phrase.score, least, least - PHRASE_GREY)
    assert loudspeaker == Check("loudspeaker", -0.5, -1.0, -3.0)
    assert replay == Check("replay", replay.score, -HEARD_BEFORE)
    # What is nearly the words is looked at further: another try may show it.
    nearly = Thresholds(phrase=phrase.score + PHRASE_GREY / 2, phrase_by=models.said_by)
    found = checks.of(probe, WHO, nearly)
    assert [(each.name, each.passed) for each in found] == [
        ("phrase", False), ("loudspeaker", True), ("replay", True),
    ]  # fmt: skip
    far = Thresholds(phrase=phrase.score + PHRASE_GREY * 2, phrase_by=models.said_by)
    assert [each.name for each in checks.of(probe, WHO, far)] == ["phrase"]


def test_checks_are_closed_with_what_they_read() -> None:
    class Closed:
        times = 0

        def close(self) -> None:
            self.times += 1

    registry, memory = Closed(), Closed()
    for each in (memory, None):
        Checks(Models(cast(Encoder, None)), cast(Registry, registry), each).close()  # type: ignore[arg-type]
    assert (registry.times, memory.times) == (2, 1)


def test_a_loudspeaker_is_refused_or_asked_again(models: Models, gallery: Gallery) -> None:
    for score, passed, doubtful in ((0.5, True, False), (2.0, False, True), (4.0, False, False)):
        suspicious = Models(models.encoder, None, Suspicious(score))  # type: ignore[arg-type]
        checks = Checks(suspicious, gallery.registry, None, replay=False)
        (check,) = checks.of(heard(models, "phrase-6"), WHO, Thresholds())
        assert (check.passed, check.doubtful) == (passed, doubtful)
    broken = Models(models.encoder, None, Suspicious(math.nan))  # type: ignore[arg-type]
    checks = Checks(broken, gallery.registry, None, replay=False)
    assert failed(checks, heard(models, "phrase-6")) == ["loudspeaker"]


def test_a_loudspeaker_is_listened_for_beside_what_enrolled_the_student(
    models: Models, gallery: Gallery
) -> None:
    detector = Suspicious(0.5)
    suspicious = Models(models.encoder, None, detector)  # type: ignore[arg-type]
    word = [heard(models, "other-1")]
    points = [each.voiceprint for each in word]
    gallery.enroll(WHO, points, evidence=[models.evidence(each) for each in word], word="other")
    checks = Checks(suspicious, gallery.registry, None, replay=False)
    for said in ("", "other"):
        checks.of(heard(models, "phrase-6"), WHO, Thresholds(), said)
    said = heard(models, "phrase-6").voiceprint
    takes = [heard(models, f"phrase-{take}").voiceprint for take in range(1, 6)]
    for (point, known), enrolled in zip(detector.heard, (takes, points), strict=True):
        np.testing.assert_array_equal(point, said)
        np.testing.assert_array_equal(known, enrolled)


def test_a_loudspeaker_is_listened_for_alone_beside_points_that_its_detector_does_not_know(
    models: Models, gallery: Gallery
) -> None:
    detector = Suspicious(0.5, at_home=False)
    suspicious = Models(models.encoder, None, detector)  # type: ignore[arg-type]
    checks = Checks(suspicious, gallery.registry, None, replay=False)
    assert failed(checks, heard(models, "phrase-6")) == []
    ((_, known),) = detector.heard
    assert len(known) == 0


def test_a_word_is_told_from_other_words(models: Models, gallery: Gallery) -> None:
    for word, takes in (("open", ("phrase-1", "phrase-2")), ("other", ("other-1",))):
        made = [heard(models, take) for take in takes]
        points = [each.voiceprint for each in made]
        evidence = [models.evidence(each) for each in made]
        gallery.enroll(WHO, points, evidence=evidence, word=word)
    checks = Checks(models, gallery.registry, None)
    assert checks.words(WHO) == ["open", "other"]
    (point,) = checks.word_voiceprints(WHO, "other")
    np.testing.assert_array_equal(point, heard(models, "other-1").voiceprint)
    assert Checks(of_another(models), gallery.registry, None).words(WHO) == []
    assert Checks(of_another(models), gallery.registry, None).word_voiceprints(WHO, "other") == []
    assert not checks.another_word(heard(models, "phrase-6"), WHO, "open")
    assert checks.another_word(heard(models, "phrase-6"), WHO, "other")
    assert not checks.another_word(heard(models, "other-1"), WHO, "other")
    assert checks.another_word(heard(models, "other-1"), WHO, "open")


def test_a_word_is_compared_with_how_it_was_enrolled(models: Models, gallery: Gallery) -> None:
    made = heard(models, "other-1")
    gallery.enroll(WHO, [made.voiceprint], evidence=[models.evidence(made)], word="other")
    checks = Checks(models, gallery.registry, None, replay=False)
    for take, passed in (("other-1", True), ("phrase-6", False)):
        (check,) = checks.of(heard(models, take), WHO, Thresholds(), "other")
        assert check.passed is passed


def test_a_word_without_evidence_is_no_better_than_any_other(
    models: Models, gallery: Gallery
) -> None:
    made = heard(models, "other-1")
    gallery.enroll(WHO, [made.voiceprint], word="another")
    gallery.enroll(WHO, [made.voiceprint], evidence=[models.evidence(made)], word="other")
    checks = Checks(models, gallery.registry, None)
    assert not checks.another_word(heard(models, "other-1"), WHO, "other")
    without = Checks(Models(models.encoder), gallery.registry, None)
    assert not without.another_word(heard(models, "other-1"), WHO, "another")


def test_a_rehearsal_runs_every_model_and_minds_no_silence(
    models: Models, gallery: Gallery
) -> None:
    class Detector:
        heard: Features | None = None

        def suspect(self, heard: Features) -> None:
            self.heard = heard

    detector = Detector()
    checks = Checks(
        Models(models.encoder, models.phrase, detector),  # type: ignore[arg-type]
        gallery.registry,
        None,
    )
    said = heard(models, "phrase-6")
    checks.rehearse(Utterance(np.zeros(0, np.float32), models.encoder))
    assert detector.heard is None
    checks.rehearse(said)
    np.testing.assert_array_equal(detector.heard, said.features)
    assert "features" in vars(said)
    Checks(models, gallery.registry, None).rehearse(said)


def test_evidence_of_another_phrase_encoder_is_not_compared(models: Models) -> None:
    gallery = Gallery(models.encoder.identity, models.encoder.card.dimension)
    made = heard(models, "other-1")
    said = models.evidence(made).said
    gallery.enroll(WHO, [made.voiceprint], evidence=[Evidence(said, "another", None)])
    checks = Checks(models, gallery.registry, None)
    assert failed(checks, heard(models, "phrase-6")) == []


def test_evidence_that_was_changed_opens_nothing(models: Models, gallery: Gallery) -> None:
    gallery.registry.database._database.execute("UPDATE recordings SET said = fingerprint")
    checks = Checks(models, gallery.registry, None)
    found = checks.of(heard(models, "phrase-6"), WHO, Thresholds())
    assert found == (Check("stored", 0.0, 1.0),)
