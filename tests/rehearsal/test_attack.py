"""Attacks rehearsed at a gate of synthetic voices: every kind is played, and counted rightly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kaimen.access.checks import Checks
from kaimen.cli.main import main
from kaimen.errors import SettingsError
from kaimen.rehearsal import RECORDINGS
from kaimen.rehearsal.attack import LIVING, NOTHING, AttackedGate, Attempt, Count
from kaimen.rehearsal.people import people_in
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models
from kaimen.voice.phrase import PhraseEncoder
from tests.sounds import silence


@pytest.fixture(scope="module")
def place() -> AttackedGate:
    folder = RECORDINGS
    people = [each for each in people_in(folder, "phrase") if each.name[0] in "abcd"]
    return AttackedGate(people, Models(Encoder(), PhraseEncoder()), count=4)


def test_every_third_person_stays_a_stranger(place: AttackedGate) -> None:
    assert [each.name for each in place.strangers] == ["chenxi"]
    assert set(place.gallery.students) == {"anning", "bowen", "dezhi"}


@pytest.mark.slow
def test_checks_keep_out_what_the_voice_alone_lets_in(place: AttackedGate) -> None:
    kinds = ("copy, no loudspeaker", "spliced", "stranger", "noise, silence, endless")
    attempts = [each for each in place.attempts() if each.kind in kinds]
    alone = place.played(None, attempts)
    checked = place.played(Checks(place.models, place.gallery.registry, None), attempts)
    copies = "copy, no loudspeaker"
    assert alone[copies].opened == alone[copies].attempts > 0
    assert checked[copies].opened == 0
    assert checked[copies].stopped["replay"] == checked[copies].attempts
    for kind in kinds:
        assert checked[kind].opened <= alone[kind].opened
        assert checked[kind].opened + sum(checked[kind].stopped.values()) == checked[kind].attempts
    assert alone["stranger"].opened == 0


def test_a_living_student_is_let_in_and_silence_is_no_phrase(place: AttackedGate) -> None:
    student = place.students[0]
    attempts = [Attempt(LIVING, take) for take in student.takes[5:]]
    attempts.append(Attempt("silence", silence(1)))
    counts = place.played(None, attempts)
    assert counts[LIVING].share == 1
    assert counts["silence"].stopped == {NOTHING: 1}


def test_an_interval_holds_its_share() -> None:
    for opened, attempts in ((0, 10), (10, 10), (3, 10), (0, 0)):
        low, high = Count("kind", attempts, opened).interval
        assert 0 <= low <= opened / max(attempts, 1) <= high <= 1
    assert Count("kind", 100, 0).interval[1] == pytest.approx(0.037, abs=1e-3)  # Wilson's


def test_phrases_are_joined_from_takes_of_two_words(tmp_path: Path) -> None:
    for who in "abc":
        (tmp_path / who).mkdir()
        for take in (1, 2):
            for text, file in (("left", "phrase"), ("right", "other"), ("up", "phrase")):
                shutil.copy(
                    RECORDINGS / "anning" / f"{file}-{take}.mp3",
                    tmp_path / who / f"{text}-{take}.mp3",
                )
    person = people_in(tmp_path, "left+right")[0]
    assert len(person.takes) == 2
    assert len(person.half_right) == 2  # up+right and left+up
    assert len(person.other_words) == 1  # up+up


def test_too_few_people_are_told(tmp_path: Path) -> None:
    (tmp_path / "li").mkdir()
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SettingsError):
            people_in(place, "phrase")


@pytest.mark.slow
def test_the_command_shows_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for who in ("anning", "bowen", "chenxi"):
        shutil.copytree(RECORDINGS / who, tmp_path / who)
    given = ["attack", "--speech", str(tmp_path), "--phrase", "phrase", "--devices", "2"]
    assert main([*given, "--json"]) == 0
    *kinds, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert summary == {"students": 2, "strangers": 1}
    named = {each["kind"] for each in kinds}
    assert {LIVING, "stranger", "other words", "spliced", "copy, no loudspeaker"} <= named
    assert all(each["interval"][0] <= each["share"] <= each["interval"][1] for each in kinds)
