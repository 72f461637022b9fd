"""A student goes from one registry into another whole, and what changes of them is marked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import GalleryError
from kaimen.registry import pins
from kaimen.registry.consents import OPENING, Consent
from kaimen.registry.copying import PointCopy, RecordingCopy, marks
from kaimen.registry.database import MEMORY
from kaimen.registry.permissions import give_consent, set_pin
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.voice.evidence import Evidence
from tests.registry.whole_student import (
    AT,
    CONSENT,
    LI,
    OTHER_PIN,
    PIN,
    POINTS,
    PRINT,
    SAID,
    UNTIL,
    enroll_whole,
)

VAULT = Vault()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "LOG_N", 4)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Registry]:
    with closing(Registry(tmp_path / "here.sqlite", VAULT)) as registry:
        registry.enroll("Wang", POINTS[5, :1], "encoder")
        enroll_whole(registry)
        yield registry


@pytest.fixture(params=["rotated", "not rotated"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    place = tmp_path / "there.sqlite" if request.param == "rotated" else MEMORY
    with closing(Registry(place, Vault())) as registry:
        yield registry


def numbers(registry: Registry, name: str = LI) -> list[int]:
    return [each.number for each in registry.recordings.listed(name)]


def point(content: bytes | None) -> np.ndarray:
    assert content is not None
    return np.frombuffer(content, "<f4")


def test_a_copy_holds_everything_in_clear(here: Registry) -> None:
    copy = here.copies.of(LI)
    assert (copy.name, copy.group, copy.consent, copy.encoder) == (
        LI, "七", CONSENT.until, "encoder",
    )  # fmt: skip
    assert copy.enrolled == here.student(LI).enrolled
    first, second, word, beside = copy.recordings
    assert [(each.word, each.source, each.said_by, each.highest) for each in copy.recordings] == [
        ("", "a", "words", 4000.5), ("", "b", "", None), ("北京", "c", "words", 3000.0),
        ("上海", "d", "", None),
    ]  # fmt: skip
    for each, made in ((first, POINTS[0, 0]), (second, POINTS[0, 1]), (word, POINTS[1, 0])):
        np.testing.assert_allclose(point(each.voiceprint), made, atol=1e-6)
    assert first.fingerprint is not None and first.fingerprint.endswith(PRINT.tobytes())
    assert first.said is not None and first.said.endswith(SAID.astype("<f2").tobytes())
    assert beside.voiceprint is second.said is second.fingerprint is word.fingerprint is None
    models = [[(each.model, each.of_words) for each in one.points] for one in copy.recordings]
    both = [("another", False), ("others", True)]
    assert models == [both, [("another", False)], both, [("another", False)]]
    np.testing.assert_allclose(point(first.points[0].content), POINTS[2, 0], atol=1e-6)
    np.testing.assert_allclose(point(beside.points[0].content), POINTS[3, 0], atol=1e-6)
    assert first.points[1].content.endswith((-SAID).astype("<f2").tobytes())
    given = Consent("guardian", "Wu", (OPENING,), copy.consents[0].given, UNTIL.isoformat())
    assert copy.consents == (given, CONSENT)
    assert copy.pin == here.pins.kept(here.student(LI).number)


def test_a_student_is_known_in_another_registry_as_in_their_own(
    here: Registry, there: Registry
) -> None:
    there.list_erased(here.erased())
    copy = here.copies.of(LI)
    there.copies.put(copy)
    assert there.copies.of(LI) == copy
    there.recordings.examine()
    student = there.student(LI)
    assert (student.group, student.consent, student.recordings) == (
        "七", here.student(LI).consent, 2,
    )  # fmt: skip
    assert there.pins.fits(student.number, PIN) and not there.pins.fits(student.number, OTHER_PIN)
    own, also = (there.recordings.numbers(each)[0] for each in ("encoder", "another"))
    np.testing.assert_allclose(there.recordings.voiceprints(own), POINTS[0, :2], atol=1e-5)
    np.testing.assert_allclose(
        there.recordings.voiceprints(also, "another"), POINTS[2, :2], atol=1e-5
    )
    for said_by, made in (("words", SAID), ("others", -SAID)):
        found = there.recordings.evidence(LI, said_by)[0]
        np.testing.assert_allclose(found.said, made, atol=2e-3)
        np.testing.assert_array_equal(found.fingerprint, PRINT)
    assert there.recordings.words(LI) == ["上海", "北京"]
    assert there.recordings.space("another") == ".another" and not there.recordings.space("encoder")
    roll = there.roll()
    assert (roll.changed, roll.complete) == ([], True)


def test_what_is_put_again_keeps_the_numbers_of_its_recordings(
    here: Registry, there: Registry
) -> None:
    there.copies.put(here.copies.of(LI))
    before = numbers(there)
    assert there.grown.take_in(LI, POINTS[4, 0], "encoder", AT)
    there.copies.put(here.copies.of(LI))
    here.describe(LI, group="8b")
    here.pins.remove(here.student(LI).number)
    give_consent(here, LI, replace(CONSENT, until=None))
    there.copies.put(here.copies.of(LI))
    student = there.student(LI)
    assert (student.group, student.consent) == ("8b", None)
    assert not there.pins.has(student.number)
    assert [each.until for each in there.consents.of(student.number)] == [
        UNTIL.isoformat(), CONSENT.until, None,
    ]  # fmt: skip
    assert numbers(there) == before
    assert [each.student for each in there.grown.listed()] == [LI]
    assert there.roll().complete


def test_other_recordings_take_the_place_of_all_and_of_what_grew_from_them(
    here: Registry, there: Registry
) -> None:
    there.copies.put(here.copies.of(LI))
    assert there.grown.take_in(LI, POINTS[4, 0], "encoder", AT)
    here.enroll(LI, POINTS[4, 2:], "encoder", add=True)
    there.copies.put(here.copies.of(LI))
    assert len(there.grown.listed()) == 1  # those that enrolled are still among them
    before = numbers(there)
    here.remove_recordings(LI, numbers(here)[:1])
    there.copies.put(here.copies.of(LI))
    assert there.copies.of(LI) == here.copies.of(LI)
    assert there.grown.listed() == [] and not set(before) & set(numbers(there))


def test_another_encoder_takes_the_place_of_the_one_before(here: Registry, there: Registry) -> None:
    there.copies.put(here.copies.of(LI))
    before = numbers(there)
    there.copies.put(replace(here.copies.of(LI), encoder="another"))
    assert there.student(LI).encoder == "another"
    assert not set(before) & set(numbers(there))
    there.recordings.examine()


def test_who_is_put_is_removed_no_more(here: Registry, there: Registry) -> None:
    copy = here.copies.of(LI)
    there.copies.put(copy)
    there.remove(LI)
    assert len(there.erased()) == 1
    there.copies.put(copy)
    assert there.erased() == set()


def test_who_was_changed_by_hand_is_put_in_their_place(here: Registry, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "here.sqlite")) as database, database:
        database.execute("UPDATE students SET class = '9' WHERE name = 'Wang'")
    here.copies.put(replace(here.copies.of(LI), name="Wang"))
    roll = here.roll()
    assert (here.student("Wang").group, roll.changed, roll.complete) == ("七", [], True)


def test_nobody_is_copied_who_is_not_enrolled(here: Registry) -> None:
    with pytest.raises(GalleryError, match="not enrolled"):
        here.copies.of("Zhao")


# What changes of a student

CHANGES: list[Callable[[Registry], object]] = [
    lambda registry: registry.describe(LI, group="8b"),
    lambda registry: registry.pins.remove(registry.student(LI).number),
    lambda registry: set_pin(registry, LI, OTHER_PIN),
    lambda registry: registry.consents.add(registry.student(LI).number, CONSENT),
    lambda registry: registry.consents.write_all(registry.student(LI).number, ()),
    lambda registry: registry.remove_recordings(LI, numbers(registry)[:1]),
    lambda registry: registry.enroll(LI, POINTS[4, :1], "encoder", add=True),
    lambda registry: registry.enroll(LI, POINTS[0, :2], "encoder"),
    lambda registry: registry.points.forget({"another"}),
    lambda registry: registry.points.add(
        [(registry.recordings.known("third")[1], POINTS[4, 0], Evidence())], "third"
    ),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_of_a_student_changes_their_mark_alone(
    here: Registry, change: Callable[[Registry], object]
) -> None:
    before = marks(here.database)
    assert set(before) == {LI, "Wang"}
    assert marks(here.database, LI) == {LI: before[LI]} and marks(here.database, "Zhao") == {}
    change(here)
    after = marks(here.database)
    assert after["Wang"] == before["Wang"] != after[LI] != before[LI]


# What counts as the same

NUMBERS = np.array([0.5, -0.5, 0.1], "<f4")
RECORDING = RecordingCopy("w", "s", "p", 1.0, NUMBERS.tobytes(), b"said", b"print", ())
POINT = PointCopy("model", False, NUMBERS.tobytes())


@pytest.mark.parametrize(
    ("content", "same"),
    [
        (NUMBERS, True),
        (NUMBERS + 5e-6, True),
        (NUMBERS - np.array([0, 0, 3e-5], "<f4"), False),
        (NUMBERS[:2], False),
        (NUMBERS * np.float32(np.nan), False),
    ],
)
def test_a_voiceprint_may_differ_by_a_rounding(content: np.ndarray, same: bool) -> None:
    recording = replace(RECORDING, voiceprint=content.astype("<f4").tobytes())
    point = replace(POINT, content=content.astype("<f4").tobytes())
    assert (recording == RECORDING) == (recording == RECORDING) == same
    assert (point == POINT) == (point == POINT) == same
    if same:
        assert (hash(recording), hash(point)) == (hash(RECORDING), hash(POINT))


@pytest.mark.parametrize(
    "other",
    [
        replace(RECORDING, word=""),
        replace(RECORDING, source=""),
        replace(RECORDING, said_by=""),
        replace(RECORDING, highest=None),
        replace(RECORDING, voiceprint=None),
        replace(RECORDING, said=None),
        replace(RECORDING, fingerprint=None),
        replace(RECORDING, points=(POINT,)),
        "a recording",
    ],
)
def test_recordings_that_differ_in_one_thing_are_two(other: object) -> None:
    assert other != RECORDING and other != RECORDING
    assert replace(RECORDING, voiceprint=None) == replace(RECORDING, voiceprint=None)


@pytest.mark.parametrize(
    "other",
    [
        replace(POINT, model="m"),
        replace(POINT, of_words=True),
        replace(POINT, content=b""),
        "point",
    ],
)
def test_points_that_differ_in_one_thing_are_two(other: object) -> None:
    assert other != POINT and other != POINT
    # What was said is kept bit by bit.
    said, turned = (
        PointCopy("model", True, (NUMBERS + each).astype("<f4").tobytes()) for each in (0, 5e-6)
    )
    assert said == replace(said) and said != turned
