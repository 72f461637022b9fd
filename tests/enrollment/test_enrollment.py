"""A school is enrolled, and enrolled again: who is written, who is left alone, who is refused."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from kaimen.enrollment import judging
from kaimen.enrollment.enrollment import Outcome, Status, enroll
from kaimen.enrollment.entries import Entry, entries_in
from kaimen.enrollment.judging import Judged, Task
from kaimen.gallery.gallery import Gallery
from tests.enrollment.pretended import JUDGE, card, enrolled, gallery_at, recording, school

DAY = datetime.date(2027, 7, 31)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return gallery_at(tmp_path)


@pytest.fixture
def pupils(tmp_path: Path) -> Path:
    return school(tmp_path / "school", 4)


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {each.student: each.status.value for each in outcomes}


def kinds(outcomes: list[Outcome], student: str) -> list[str]:
    (found,) = (each for each in outcomes if each.student == student)
    return [refusal.kind for refusal in found.refused]


def numbers(gallery: Gallery) -> list[int]:
    """Of the recordings: new ones are never numbered as old ones were."""
    return gallery.registry.recordings.numbers(gallery.encoder)[0].tolist()


def test_a_school_is_enrolled(gallery: Gallery, pupils: Path) -> None:
    outcomes = enrolled(gallery, pupils)
    assert statuses(outcomes) == dict.fromkeys(("s000", "s001", "s002", "s003"), "enrolled")
    assert [each.recordings for each in outcomes] == [5] * 4
    assert gallery.students == [each.student for each in outcomes]


def test_what_is_yielded_is_on_the_disk(gallery: Gallery, pupils: Path, tmp_path: Path) -> None:
    outcomes = enroll(entries_in(pupils), gallery, card(), lambda tasks: map(JUDGE, tasks))
    for outcome in outcomes:
        another = gallery_at(tmp_path)
        assert outcome.student in another and len(another) == int(outcome.student[1:]) + 1
        another.registry.close()


def test_students_come_in_their_order_in_whichever_they_were_judged(
    gallery: Gallery, pupils: Path
) -> None:
    def shuffled(tasks: Iterable[Task]) -> Iterator[Judged]:
        judged = list(map(JUDGE, tasks))
        random.Random(1).shuffle(judged)
        return iter(judged)

    outcomes = list(enroll(entries_in(pupils), gallery, card(), shuffled))
    assert [each.student for each in outcomes] == ["s000", "s001", "s002", "s003"]


def test_enrolling_again_writes_nothing(gallery: Gallery, pupils: Path) -> None:
    enrolled(gallery, pupils)
    before = numbers(gallery)
    assert set(statuses(enrolled(gallery, pupils)).values()) == {"unchanged"}
    assert numbers(gallery) == before


def test_only_whose_files_changed_is_enrolled_again(gallery: Gallery, pupils: Path) -> None:
    enrolled(gallery, pupils)
    recording(pupils / "s001" / "new.mp3", 1, 99)
    recording(pupils / "s002" / "0.mp3", 2, 99)
    (pupils / "s003" / "4.mp3").unlink()
    assert statuses(enrolled(gallery, pupils)) == {
        "s000": "unchanged", "s001": "enrolled", "s002": "enrolled", "s003": "enrolled",
    }  # fmt: skip
    assert [len(gallery.voiceprints(name)) for name in gallery.students] == [5, 6, 5, 4]


def test_a_copy_among_the_recordings_is_no_reason_to_judge_again(
    gallery: Gallery, pupils: Path
) -> None:
    (pupils / "s001" / "copy.mp3").write_bytes((pupils / "s001" / "0.mp3").read_bytes())
    assert kinds(enrolled(gallery, pupils), "s001") == ["Repeated"]
    again = enrolled(gallery, pupils)
    assert statuses(again)["s001"] == "unchanged" and kinds(again, "s001") == ["Repeated"]


def test_files_under_other_names_are_the_same_files(gallery: Gallery, pupils: Path) -> None:
    enrolled(gallery, pupils)
    (pupils / "s001" / "0.mp3").rename(pupils / "s001" / "renamed.mp3")
    assert set(statuses(enrolled(gallery, pupils)).values()) == {"unchanged"}


def test_another_encoders_students_are_enrolled_again(
    gallery: Gallery, pupils: Path, tmp_path: Path
) -> None:
    enrolled(gallery, pupils)
    newer = Gallery("newer", gallery.dimension, registry=gallery.registry)
    assert set(statuses(enrolled(newer, pupils)).values()) == {"enrolled"}


def test_a_refused_recording_is_named_each_time_and_judged_once(
    gallery: Gallery, pupils: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = recording(pupils / "s001" / "bad.mp3", None)
    outcomes = enrolled(gallery, pupils)
    assert statuses(outcomes)["s001"] == "enrolled" and kinds(outcomes, "s001") == ["NoSpeech"]
    again = enrolled(gallery, pupils)
    assert statuses(again)["s001"] == "unchanged"
    assert again[1].refused == outcomes[1].refused and again[1].refused[0].path == str(bad)
    # Other rules may find it good.
    monkeypatch.setattr(judging, "LIKE_STRANGERS", 0.03)
    assert statuses(enrolled(gallery, pupils)) == {
        "s000": "unchanged", "s001": "enrolled", "s002": "unchanged", "s003": "unchanged",
    }  # fmt: skip


def test_a_student_without_a_usable_recording_is_refused_and_not_judged_again(
    gallery: Gallery, pupils: Path
) -> None:
    recording(pupils / "t" / "bad.mp3", None)
    for _ in range(2):
        outcomes = enrolled(gallery, pupils)
        assert statuses(outcomes)["t"] == "refused" and kinds(outcomes, "t") == ["NoSpeech"]
        assert "t" not in gallery
    recording(pupils / "t" / "bad.mp3", 77)
    assert statuses(enrolled(gallery, pupils))["t"] == "enrolled"
    assert kinds(enrolled(gallery, pupils), "t") == []


def test_bad_recordings_of_somebody_enrolled_change_nothing(gallery: Gallery, pupils: Path) -> None:
    enrolled(gallery, pupils)
    before = numbers(gallery)
    for file in (pupils / "s002").iterdir():
        recording(file, None, int(file.stem))
    for _ in range(2):
        (outcome,) = [each for each in enrolled(gallery, pupils) if each.student == "s002"]
        assert outcome.status is Status.REFUSED and outcome.recordings == 5
    assert numbers(gallery) == before


def test_of_two_names_for_a_voice_the_later_is_refused(gallery: Gallery, pupils: Path) -> None:
    for take in range(10, 15):
        recording(pupils / "t" / f"{take}.mp3", 2, take)
    for _ in range(2):
        outcomes = enrolled(gallery, pupils)
        assert statuses(outcomes)["t"] == "refused"
        assert set(kinds(outcomes, "t")) == {"AlikeAnother"}
        assert {each.alike for each in outcomes[-1].refused} == {"s002"}
        assert "s002" in outcomes[-1].refused[0].reason
        assert "t" not in gallery
    assert statuses(enrolled(gallery, pupils, accept_alike=True))["t"] == "enrolled"
    assert statuses(enrolled(gallery, pupils))["t"] == "unchanged"


def test_a_twin_of_somebody_enrolled_long_ago_is_refused(gallery: Gallery, pupils: Path) -> None:
    enrolled(gallery, pupils)
    files = [recording(pupils.parent / f"{take}.mp3", 2, take) for take in range(10, 15)]
    (outcome,) = enrolled(gallery, [Entry("a", tuple(files))])
    assert {each.alike for each in outcome.refused} == {"s002"}


@pytest.mark.parametrize("how", ["removed", "enrolled anew"])
def test_who_was_refused_for_another_is_judged_again_when_the_other_went(
    how: str, gallery: Gallery, pupils: Path
) -> None:
    for take in range(10, 15):
        recording(pupils / "t" / f"{take}.mp3", 2, take)
    enrolled(gallery, pupils)
    if how == "removed":
        gallery.remove("s002")
        for file in (pupils / "s002").iterdir():
            file.unlink()
    else:
        for file in (pupils / "s002").iterdir():
            recording(file, 55, int(file.stem))
    assert statuses(enrolled(gallery, pupils))["t"] == "enrolled"


def test_group_and_consent_are_written_and_change_without_the_voice(
    gallery: Gallery, pupils: Path
) -> None:
    first = entries_in(pupils)[0]
    grouped = Entry(first.student, first.files, "7b", None)
    assert statuses(enrolled(gallery, [grouped])) == {"s000": "enrolled"}
    before = numbers(gallery)
    agreed = Entry(first.student, first.files, None, DAY)
    assert statuses(enrolled(gallery, [agreed])) == {"s000": "changed"}
    assert statuses(enrolled(gallery, [agreed])) == {"s000": "unchanged"}
    student = gallery.registry.student("s000")
    assert (student.group, student.consent) == ("7b", DAY)
    assert numbers(gallery) == before


def test_a_forgotten_name_is_forgotten_in_what_was_refused(
    gallery: Gallery, pupils: Path, tmp_path: Path
) -> None:
    recording(pupils / "tabitha" / "bad.mp3", None)
    enrolled(gallery, pupils)
    assert b"tabitha" in everything(tmp_path)
    gallery.remove("tabitha")
    assert b"tabitha" not in everything(tmp_path)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("gallery*"))


def test_words_are_enrolled_beside_the_passphrase_and_after_it(tmp_path: Path) -> None:
    gallery = gallery_at(tmp_path)
    folder = school(tmp_path / "school", 2)
    for take in range(3):
        recording(folder / "s000" / "北京" / f"{take}.mp3", 0, 10 + take)
    outcomes = enrolled(gallery, folder)
    assert [each.student for each in outcomes] == ["s000", "s000 北京", "s001"]
    assert {each.status for each in outcomes} == {Status.ENROLLED}
    assert gallery.registry.recordings.words("s000") == ["北京"]
    assert gallery.recordings == 10  # those of words are not searched
    assert len(gallery.registry.recordings.of_word("s000", "北京", gallery.encoder)) == 3


def test_a_word_of_nobody_is_refused(tmp_path: Path) -> None:
    file = recording(tmp_path / "1.mp3", 0)
    (outcome,) = enrolled(gallery_at(tmp_path), [Entry("s000", (file,), word="北京")])
    assert outcome.status is Status.REFUSED
    (refusal,) = outcome.refused
    assert refusal.kind == "NotEnrolled"
