"""The new models behind an access policy of their own: the same rules, and nobody lost by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kaimen.access.checks import Checks
from kaimen.access.decision import Verdict
from kaimen.bundle.trial import Trial
from kaimen.calibration.calibration import Calibration
from kaimen.calibration.learning import calibrate
from kaimen.enrollment.rehear import ModelIds
from kaimen.errors import GalleryError
from kaimen.gallery.gallery import Gallery
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from kaimen.rollout.candidate import Candidate
from kaimen.sound import Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models

VOICES = ("anning", "bowen")
TRIAL = Trial("a", 1, 0)


def said(voice: str, number: int) -> Samples:
    return main_phrase(read(RECORDINGS / voice / f"phrase-{number}.mp3")).samples


class School:
    """Two students, enrolled by what ships."""

    def __init__(self, folder: Path) -> None:
        self.encoder = Encoder()
        self.path, self.vault = folder / "gallery.sqlite", Vault()
        self.calibration = folder / "calibration.json"
        gallery = self.gallery()
        for voice in VOICES:
            gallery.enroll(voice, [self.encoder.embed(said(voice, each)) for each in range(1, 6)])
        calibrate(gallery, self.encoder.card).save(self.calibration, self.vault)
        gallery.registry.close()

    def gallery(self) -> Gallery:
        encoder = self.encoder
        return Gallery.open(self.path, self.vault, encoder.identity, encoder.card.dimension)

    def make(self, active: str = "") -> Candidate:
        checks = Checks(Models(self.encoder), Registry(self.path, self.vault), None, replay=False)
        now = ModelIds(active or self.encoder.identity, "")
        return Candidate(self.gallery(), self.calibration, checks, now)


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> School:
    return School(tmp_path_factory.mktemp("school"))


@pytest.fixture
def candidate(school: School) -> Iterator[Candidate]:
    made = school.make()
    yield made
    made.close()


def test_it_decides_as_a_gate_would(candidate: Candidate) -> None:
    assert candidate.decide(said("bowen", 6), None).student == "bowen"
    assert candidate.decide(said("ruifeng", 6), None).student is None
    # What was said twice is no recording to it: it remembers nothing.
    assert candidate.decide(said("bowen", 6), None).student == "bowen"


def test_who_is_claimed_is_who_is_looked_for(candidate: Candidate) -> None:
    assert candidate.decide(said("bowen", 6), "anning").verdict is Verdict.UNKNOWN
    decision = candidate.decide(said("bowen", 6), "bowen")
    assert (decision.student, decision.claim) == ("bowen", "bowen")
    assert candidate.decide(said("bowen", 6), None).claim is None


def test_a_school_that_it_knows_may_be_taken_over(candidate: Candidate) -> None:
    assert candidate.refusal(TRIAL) == ""


def test_who_was_enrolled_since_keeps_it_out_unless_they_were_to_be_lost(tmp_path: Path) -> None:
    school = School(tmp_path)
    registry = Registry(school.path, school.vault)
    registry.enroll("later", [school.encoder.embed(said("chenxi", 1))], "another encoder")
    candidate = school.make(active="another encoder")
    unknown = "1 students are not known by it; install it again, with --from"
    assert candidate.refusal(TRIAL) == unknown
    assert candidate.refusal(replace(TRIAL, without=1)) == ""
    candidate.close()
    registry.close()


def test_without_a_calibration_that_fits_it_is_not_taken_over(tmp_path: Path) -> None:
    school = School(tmp_path)
    candidate = school.make()
    kept = Calibration.load(school.calibration, school.vault)
    for change in (replace(kept, students=100), replace(kept, encoder="another"), None):
        if change is None:
            school.calibration.unlink()
        else:
            change.save(school.calibration, school.vault)
        assert "its calibration fits the school no longer" in candidate.refusal(TRIAL)
    candidate.close()
    with pytest.raises(GalleryError, match="never calibrated"):
        school.make()
    replace(kept, score="").save(school.calibration, school.vault)
    with pytest.raises(GalleryError, match="another score"):
        school.make()
