"""The registry is the truth: all of a student or nothing, sealed, and gone when removed."""

from __future__ import annotations

import datetime
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import GalleryError, StorageError
from kaimen.names import UnfitName, as_kept
from kaimen.registry.database import LOG, MEMORY, statements
from kaimen.registry.migrations import MIGRATIONS
from kaimen.registry.permissions import set_pin
from kaimen.registry.refused import Refused
from kaimen.registry.registry import Registry
from kaimen.registry.space_map import SpaceMap
from kaimen.registry.vault import Vault
from kaimen.voice.evidence import Evidence
from tests.gallery.points import school

NAMES = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="\ufffd"), max_size=12
).filter(as_kept)
POINTS = school(4, 3, 8)
VAULT = Vault()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    opened = Registry(path, VAULT)
    yield opened
    opened.close()


def contents(registry: Registry) -> dict[str, list[list[float]]]:
    return {
        student.name: registry.recordings.voiceprints(
            [n for n, owner in zip(*registry.recordings.numbers(student.encoder), strict=True)
             if owner == student.number]
        ).tolist()
        for student in registry.students()
    }  # fmt: skip


@given(
    who=st.lists(st.tuples(NAMES, st.integers(0, 3), st.integers(1, 3)), max_size=8),
)
def test_what_was_enrolled_last_is_what_is_known(who: list[tuple[str, int, int]]) -> None:
    registry = Registry(MEMORY, VAULT)
    expected = {}
    for name, row, count in who:
        registry.enroll(name, POINTS[row, :count], "encoder")
        expected[as_kept(name)] = POINTS[row, :count].tolist()
    assert contents(registry) == expected
    assert [student.name for student in registry.students()] == sorted(expected)
    assert len(registry) == len(expected)
    registry.close()


def test_it_is_there_again_when_opened_again(path: Path, registry: Registry) -> None:
    registry.enroll("王", POINTS[0], "encoder", group="7a", consent=datetime.date(2027, 7, 31))
    again = Registry(path, VAULT)
    student = again.student("王")
    assert (student.group, student.consent) == ("7a", datetime.date(2027, 7, 31))
    assert (student.encoder, student.recordings) == ("encoder", 3)
    assert contents(again) == contents(registry)
    again.close()


def test_group_and_consent_stay_until_others_are_given(registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder", group="7a", consent=datetime.date(2027, 7, 31))
    registry.enroll("Li", POINTS[1], "encoder")
    assert registry.student("Li").group == "7a"
    assert registry.student("Li").consent == datetime.date(2027, 7, 31)
    registry.enroll("Li", POINTS[1], "encoder", group="", consent=datetime.date(2028, 7, 31))
    assert registry.student("Li").group == ""
    assert registry.student("Li").consent == datetime.date(2028, 7, 31)


def test_consent_ends_after_its_last_day(registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder", consent=datetime.date(2027, 7, 31))
    assert registry.student("Li").consents(datetime.date(2027, 7, 31))
    assert not registry.student("Li").consents(datetime.date(2027, 8, 1))


def test_recordings_are_an_encoders_own(registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "one")
    registry.enroll("Wang", POINTS[1, :2], "other")
    assert len(registry.recordings.numbers("one")[0]) == 3
    assert len(registry.recordings.numbers("other")[0]) == 2
    assert len(registry.recordings.numbers("third")[0]) == 0


def test_numbers_of_recordings_are_never_used_twice(registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder")
    before = set(registry.recordings.numbers("encoder")[0].tolist())
    registry.enroll("Li", POINTS[0], "encoder")
    registry.remove("Li")
    registry.enroll("Li", POINTS[0], "encoder")
    assert not before & set(registry.recordings.numbers("encoder")[0].tolist())


@pytest.mark.parametrize("name", ["", "Li\0", "\udcff\udcfe", "\0"])
def test_a_name_that_cannot_be_stored_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(UnfitName, match="name") as caught:
        registry.enroll(name, POINTS[0], "encoder")
    str(caught.value).encode()  # can be printed
    assert len(registry) == 0


def test_another_process_sees_it_at_once_and_is_noticed(path: Path, registry: Registry) -> None:
    other = Registry(path, VAULT)
    before = other.database.version()
    assert other.database.version() == before
    registry.enroll("Li", POINTS[0], "encoder")
    assert other.database.version() != before
    assert other.student("Li").recordings == 3
    other.close()


@pytest.mark.slow
def test_two_processes_write_at_the_same_time(path: Path, registry: Registry) -> None:
    program = f"""
import sys
from pathlib import Path
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.gallery.points import school
registry = Registry(Path({str(path)!r}), Vault.load(Path({str(path)!r} + ".key")))
for number in range(40):
    registry.enroll(f"{{sys.argv[1]}}{{number}}", school(1, 3, 8)[0], "encoder")
"""
    VAULT.save(Path(f"{path}.key"))
    project = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", program, name], cwd=project) for name in "ab"
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(registry) == 80
    assert {len(points) for points in contents(registry).values()} == {3}


def test_who_is_removed_leaves_nothing_in_the_files(path: Path, registry: Registry) -> None:
    registry.enroll("Wang", POINTS[1], "encoder")
    registry.enroll("Li Xiaoming", POINTS[0], "encoder")
    database = sqlite3.connect(path)
    sealed = [row[0] for row in database.execute("SELECT voiceprint FROM recordings")]
    database.close()
    registry.remove("Li Xiaoming")
    written = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"Li Xiaoming" not in written
    assert [voiceprint in written for voiceprint in sealed] == [True] * 3 + [False] * 3
    with pytest.raises(GalleryError, match="Li Xiaoming is not enrolled"):
        registry.student("Li Xiaoming")


def test_voiceprints_are_sealed_on_the_disk(path: Path, registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder")
    written = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert POINTS[0, 0].tobytes() not in written
    assert POINTS[0, 0].tobytes()[:8] not in written


def test_it_is_for_its_owner_alone(path: Path, registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder")
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE recordings SET voiceprint = (SELECT voiceprint FROM recordings WHERE number = 4) "
        "WHERE number = 1",
        "UPDATE recordings SET student = 2 WHERE number = 1",
        "UPDATE students SET encoder = 'other' WHERE number = 1",
    ],
    ids=["swapped", "given away", "of another encoder"],
)
def test_a_voiceprint_stands_in_for_no_other(path: Path, registry: Registry, change: str) -> None:
    registry.enroll("Li", POINTS[0], "encoder")
    registry.enroll("Wang", POINTS[1], "encoder")
    database = sqlite3.connect(path)
    with database:
        database.execute(change)
    database.close()
    with pytest.raises(GalleryError, match=r"recording 1 of student .* changed"):
        registry.recordings.voiceprints([1])


def test_another_key_opens_nothing(path: Path, registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder")
    with pytest.raises(GalleryError, match=r"another key; set \[gallery\] key"):
        Registry(path, Vault())


def test_the_registry_of_a_newer_program_is_left_alone(path: Path, registry: Registry) -> None:
    registry.close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()
    with pytest.raises(GalleryError, match="newer Kaimen; update"):
        Registry(path, VAULT)


def test_a_file_of_another_kind_is_no_registry(path: Path) -> None:
    path.write_text("open sesame" * 100)
    with pytest.raises(GalleryError, match="not a registry"):
        Registry(path, VAULT)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be made"):
        Registry(tmp_path / "file" / "gallery.sqlite", VAULT)


def test_a_full_disk_changes_nothing(path: Path, registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder")
    program = f"""
import resource, signal
from pathlib import Path
from kaimen.errors import StorageError
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.gallery.points import school
registry = Registry(Path({str(path)!r}), Vault.load(Path({str(path)!r} + ".key")))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))  # every file ends there
try:
    for number in range(1000):
        registry.enroll("Li", school(1, 40, 192)[0], "encoder")
except StorageError as error:
    raise SystemExit(error.exit_code)
"""
    VAULT.save(Path(f"{path}.key"))
    project = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=project, check=False, capture_output=True
    )
    assert (ended.returncode, ended.stderr) == (6, b"")
    np.testing.assert_allclose(contents(registry)["Li"], POINTS[0], atol=1e-6)


def test_who_was_enrolled_from_what_is_remembered(registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder", sources=["a", "b", "c"])
    registry.enroll("Wang", POINTS[1], "encoder")
    assert registry.recordings.sources() == {"Li": {"a", "b", "c"}, "Wang": {""}}


# What is kept beside the voice

SAID = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
PRINT = np.arange(24, dtype=np.uint8).reshape(2, 12)


def test_evidence_comes_back_as_it_was(registry: Registry) -> None:
    kept = [Evidence(SAID, "words", PRINT), Evidence(), Evidence(None, "", PRINT)]
    registry.enroll("Li", POINTS[0], "encoder", evidence=kept)
    first, second, third = registry.recordings.evidence("Li", "words")
    assert first.said is not None and first.fingerprint is not None
    np.testing.assert_allclose(first.said, SAID, atol=2e-3)  # half precision
    np.testing.assert_array_equal(first.fingerprint, PRINT)
    assert second.said is second.fingerprint is third.said is None
    assert registry.recordings.evidence("Li", "another")[0].said is None
    assert registry.recordings.without_words("words") == set()
    assert registry.recordings.without_words("another") == {"Li"}


def test_evidence_is_sealed_and_opens_only_as_what_it_is(path: Path, registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder", evidence=[Evidence(SAID, "words", PRINT)] * 3)
    assert PRINT.tobytes() not in path.read_bytes()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE recordings SET fingerprint = said")
    database.close()
    with pytest.raises(GalleryError, match="changed"):
        registry.recordings.evidence("Li", "words")


def test_words_are_no_part_of_the_passphrase(registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "encoder", sources=["a", "b", "c"])
    registry.enroll("Li", POINTS[1], "encoder", sources=["d", "e", "f"], word="北京")
    assert registry.recordings.words("Li") == ["北京"]
    assert registry.student("Li").recordings == 3
    assert registry.recordings.sources() == {"Li": {"a", "b", "c"}}
    assert len(registry.recordings.numbers("encoder")[0]) == 3
    np.testing.assert_allclose(
        registry.recordings.of_word("Li", "北京", "encoder"), POINTS[1], atol=1e-6
    )
    registry.enroll("Li", POINTS[2], "encoder", word="北京")
    np.testing.assert_allclose(
        registry.recordings.of_word("Li", "北京", "encoder"), POINTS[2], atol=1e-6
    )
    registry.remove("Li")
    assert registry.recordings.words("Li") == []


def test_words_need_the_passphrase_and_its_encoder(registry: Registry) -> None:
    with pytest.raises(GalleryError, match="enroll the passphrase"):
        registry.enroll("Li", POINTS[0], "encoder", word="北京")
    registry.enroll("Li", POINTS[0], "encoder")
    registry.enroll("Li", POINTS[1], "encoder", word="北京")
    registry.enroll("Li", POINTS[0], "another")
    assert registry.recordings.words("Li") == []  # they were of another latent space


def test_a_registry_of_the_first_release_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as database:
        for statement in statements(MIGRATIONS[0]):
            database.execute(statement)
        database.execute("PRAGMA user_version = 1")
        database.execute("INSERT INTO vault VALUES (?)", (VAULT.identity,))
    database.close()
    registry = Registry(path, VAULT)
    registry.enroll("Li", POINTS[0], "encoder", evidence=[Evidence(SAID, "words", PRINT)] * 3)
    assert len(registry.recordings.evidence("Li", "words")) == 3
    registry.close()


# Points of several encoders at once


@pytest.fixture
def both(registry: Registry) -> Registry:
    """A registry whose students have points of two encoders, and one who has not."""
    sources = [["a", "b", "c"], ["d", "e", "f"]]
    for name, points, own in zip(("Li", "Wang"), POINTS, sources, strict=False):
        evidence = [Evidence(SAID, "words", PRINT)] * 3
        registry.enroll(name, points, "one", sources=own, evidence=evidence)
    known = registry.recordings.known("two", "others")
    assert not any(each.placed or each.said for each in known)
    more = Evidence(-SAID, "others", None)
    registry.points.add(
        [(each, POINTS[2, 0], more) for each in known if each.student == "Li"], "two"
    )
    return registry


def test_points_of_either_encoder_are_found_without_anything_being_swapped(
    both: Registry,
) -> None:
    numbers = both.recordings.numbers("one")[0]
    assert len(numbers) == 6
    assert both.recordings.numbers("two")[0].tolist() == numbers[:3].tolist()
    np.testing.assert_allclose(
        both.recordings.voiceprints(numbers[:3], "one"), POINTS[0], atol=1e-6
    )
    np.testing.assert_allclose(both.recordings.voiceprints(numbers[:3]), POINTS[0], atol=1e-6)
    np.testing.assert_allclose(
        both.recordings.voiceprints(numbers[:1], "two"), POINTS[2, :1], atol=1e-6
    )
    with pytest.raises(GalleryError, match="of another encoder"):
        both.recordings.voiceprints(numbers[3:], "two")
    np.testing.assert_allclose(both.recordings.evidence("Li", "others")[0].said, -SAID, atol=2e-3)
    np.testing.assert_allclose(both.recordings.evidence("Li", "words")[0].said, SAID, atol=2e-3)
    assert both.recordings.without_words("others") == {"Wang"}
    known = both.recordings.known("two", "others")
    assert [each.student for each in known if each.placed and each.said] == ["Li"] * 3


def test_who_is_removed_or_enrolled_anew_leaves_no_point_of_any_encoder(
    path: Path, both: Registry
) -> None:
    with sqlite3.connect(path) as database:
        sealed = [row[0] for row in database.execute("SELECT sealed FROM points")]
    database.close()
    assert len(sealed) == 6
    both.remove("Li")
    written = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert not any(each in written for each in sealed)
    both.points.add(
        [(each, POINTS[2, 0], Evidence()) for each in both.recordings.known("two")], "two"
    )
    both.enroll("Wang", POINTS[1], "one")
    assert len(both.recordings.numbers("two")[0]) == 0


def test_points_that_another_process_removed_meanwhile_are_not_missed(both: Registry) -> None:
    known = both.recordings.known("three")
    both.remove("Li")
    both.points.add([(each, POINTS[3, 0], Evidence()) for each in known], "three")
    assert len(both.recordings.numbers("three")[0]) == 3


def test_a_point_stands_in_for_none_of_another_encoder(path: Path, both: Registry) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE points SET model = 'three' WHERE model = 'two'")
    database.close()
    number = both.recordings.numbers("three")[0][:1]
    with pytest.raises(GalleryError, match="changed"):
        both.recordings.voiceprints(number, "three")


def test_words_come_beside_a_passphrase_of_two_encoders(both: Registry) -> None:
    both.enroll("Li", POINTS[3], "two", word="北京")
    assert both.recordings.words("Li", "two") == both.recordings.words("Li") == ["北京"]
    assert both.recordings.words("Li", "one") == []
    np.testing.assert_allclose(both.recordings.of_word("Li", "北京", "two"), POINTS[3], atol=1e-6)
    assert len(both.recordings.of_word("Li", "北京", "one")) == 0
    assert both.student("Li").encoder == "one"
    with pytest.raises(GalleryError, match="enroll the passphrase"):
        both.enroll("Wang", POINTS[3], "two", word="北京")


def test_what_no_model_needs_any_more_is_forgotten(both: Registry) -> None:
    both.points.forget({"others"})
    assert (
        len(both.recordings.numbers("two")[0]) == 0 and len(both.recordings.numbers("one")[0]) == 6
    )
    assert both.recordings.evidence("Li", "others")[0].said is not None
    both.points.forget(())
    assert both.recordings.evidence("Li", "others")[0].said is None


def test_files_of_the_first_encoder_keep_their_plain_names(registry: Registry) -> None:
    assert registry.recordings.space("one") == registry.recordings.space("two") == ""
    registry.enroll("Li", POINTS[0], "one")
    assert (registry.recordings.space("one"), registry.recordings.space("two")) == ("", ".two")
    registry.enroll("Li", POINTS[0], "two")
    assert (registry.recordings.space("one"), registry.recordings.space("two")) == ("", ".two")


def test_carried_voiceprints_are_those_of_the_other_encoder(registry: Registry) -> None:
    mark = np.arange(6, dtype=np.float32).reshape(2, 3)
    evidence = [Evidence(mark, "phrases", None)] * 3
    registry.enroll("a", POINTS[0], "old", evidence=evidence)
    registry.enroll("a", POINTS[2], "old", word="blue")
    registry.enroll("b", POINTS[1], "elsewhere")
    way = np.diag(np.arange(1, 9)).astype(np.float32)
    carrying = SpaceMap("old", "new", way)
    assert registry.points.carry(carrying) == 1
    assert registry.points.carry(carrying) == 0
    numbers, _ = registry.recordings.numbers("new")
    np.testing.assert_allclose(
        registry.recordings.voiceprints(numbers, "new"), carrying(POINTS[0]), atol=1e-6
    )
    np.testing.assert_allclose(
        registry.recordings.of_word("a", "blue", "new"), carrying(POINTS[2]), atol=1e-6
    )
    kept = registry.recordings.evidence("a", "phrases")[0].said
    assert kept is not None
    np.testing.assert_allclose(kept, mark)
    assert registry.student("b").encoder == "elsewhere"


def test_a_map_of_another_dimension_carries_nobody(registry: Registry) -> None:
    registry.enroll("a", POINTS[0], "old")
    before = contents(registry)
    with pytest.raises(GalleryError, match="3 dimensions"):
        registry.points.carry(SpaceMap("old", "new", np.eye(3, dtype=np.float32)))
    assert contents(registry) == before


def test_a_large_change_leaves_no_large_log_beside_it_while_a_gate_reads(path: Path) -> None:
    fingerprint = np.zeros((1000, 1000), np.uint8)
    with closing(Registry(path, VAULT)) as desk, closing(Registry(path, VAULT)) as gate:
        log = path.with_name(f"{path.name}-wal")
        with desk.database.writing():
            for number in range(8):
                evidence = [Evidence(None, "", fingerprint)]
                desk.enroll(f"student {number}", POINTS[0, :1], "encoder", evidence=evidence)
        assert log.stat().st_size > LOG
        desk.describe("student 0", group="7a")
        assert gate.student("student 0").group == "7a"
        assert log.stat().st_size <= LOG


# What is known of everybody's recordings


def measured(hertz: float | None, fingerprint: bool = True) -> Evidence:
    return Evidence(None, "", PRINT if fingerprint else None, hertz)


def test_how_high_speech_reaches_is_told_student_by_student(registry: Registry) -> None:
    highest = [measured(4000.5), measured(None), measured(3000.0)]
    registry.enroll("Li", POINTS[0], "one", evidence=highest)
    registry.enroll("Li", POINTS[1, :1], "one", evidence=[measured(1.0)], word="北京")
    registry.enroll("Wang", POINTS[1], "two", evidence=[measured(2000.0)] * 3)
    registry.enroll("Chen", POINTS[2, :1], "one", evidence=[measured(5000.0)])
    registry.enroll("Sun", POINTS[3, :1], "one", evidence=[measured(None, fingerprint=False)])
    registry.enroll("Sun", POINTS[3, :1], "one", evidence=[measured(None)], word="北京")
    assert list(registry.recordings.highest_speech("one")) == [[4000.5, 3000.0], [5000.0]]
    assert list(registry.recordings.highest_speech("two")) == [[2000.0] * 3]
    assert list(registry.recordings.highest_speech("third")) == []
    assert registry.recordings.unmeasured() == {"Li"}


def test_an_encoders_recordings_are_told_with_whose_they_are(both: Registry) -> None:
    both.enroll("Li", POINTS[3, :1], "one", word="北京")
    both.enroll("Wang", POINTS[1, :1], "one", evidence=[measured(3000.0)], add=True)
    with both.database.reading():
        everybody = list(both.recordings.of_students("one"))
        assert everybody == [*((1, n, None) for n in (1, 2, 3)),
                             *((2, n, None) for n in (4, 5, 6)), (2, 8, 3000.0)]  # fmt: skip
        assert list(both.recordings.of_students("two")) == everybody[:3]
        assert list(both.recordings.of_students("one", [2, 7])) == everybody[3:]
        assert list(both.recordings.of_students("one", [])) == []
    assert (both.recordings.knows(1, "two"), both.recordings.knows(2, "two")) == (True, False)
    with both.database.writing() as database:
        database.execute("DELETE FROM recordings WHERE word = ''")
    assert not both.recordings.knows(1, "one")


def test_recordings_are_known_and_listed_with_what_is_kept_of_each(both: Registry) -> None:
    both.enroll("Li", POINTS[3, :1], "one", sources=["w"], word="北京")
    both.enroll("Li", POINTS[3, :1], "one", evidence=[Evidence(SAID, "others")], word="上海")
    first, *_, last = both.recordings.known("two", "words")
    assert (first.number, first.student, first.word, first.source) == (1, "Li", "", "a")
    assert (first.placed, first.said, last.placed, last.said) == (True, True, False, False)
    assert [each.said for each in both.recordings.known("two")] == [True] * 8
    by_others = [each.said for each in both.recordings.known("two", "others")]
    assert by_others == [True] * 3 + [False] * 3 + [True] * 2
    listed = [
        (each.number, each.word, each.source, each.said_by) for each in both.recordings.listed("Li")
    ]
    assert listed == [
        (1, "", "a", "words"), (2, "", "b", "words"), (3, "", "c", "words"),
        (8, "上海", "", "others"), (7, "北京", "w", ""),
    ]  # fmt: skip
    assert both.recordings.words("Li") == ["上海", "北京"] and both.recordings.listed("Zhao") == []
    assert both.recordings.words("Li", "two") == []


def test_evidence_of_words_is_told_apart_from_the_passphrases(both: Registry) -> None:
    kept = [Evidence(3 * SAID, "words", PRINT[:1])]
    both.enroll("Li", POINTS[3, :1], "one", evidence=kept, word="北京")
    (found,) = both.recordings.evidence("Li", "words", "北京")
    np.testing.assert_allclose(found.said, 3 * SAID, atol=5e-3)
    np.testing.assert_array_equal(found.fingerprint, PRINT[:1])
    assert found.said_by == "words"
    (other,) = both.recordings.evidence("Li", "others", "北京")
    assert (other.said, other.said_by) == (None, "")
    assert [each.said_by for each in both.recordings.evidence("Li", "others")] == ["others"] * 3


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE recordings SET voiceprint = x'00' WHERE number = 1",
        "UPDATE recordings SET voiceprint = 'a text' WHERE number = 1",
        "UPDATE recordings SET said = x'00' WHERE number = 1",
        "UPDATE recordings SET fingerprint = x'00' WHERE number = 1",
        "UPDATE recordings SET said = fingerprint WHERE number = 1",
        "UPDATE points SET sealed = x'00' WHERE recording = 1 AND model = 'two'",
        "UPDATE points SET sealed = x'00' WHERE recording = 1 AND model = 'others'",
        "UPDATE points SET recording = 4 WHERE recording = 1 AND model = 'two'",
        "UPDATE recordings SET student = 99 WHERE number = 1",
    ],
)
def test_whatever_does_not_open_in_its_place_is_found(
    path: Path, both: Registry, change: str
) -> None:
    tracked: list[tuple[str, int]] = []

    def track(rows: Iterable[object], what: str, total: int) -> Iterator[object]:
        tracked.append((what, total))
        yield from rows

    both.recordings.examine(track)  # type: ignore[arg-type]
    both.recordings.examine()
    assert tracked == [("checking", 6)]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(change)
    with pytest.raises(GalleryError, match=r"recording \d.*changed|gallery.sqlite: damaged"):
        both.recordings.examine()


def test_who_is_recognised_is_known_by_whole_rows_alone(path: Path, both: Registry) -> None:
    roll, recordings, owners = both.recognised("one")
    assert [each.name for each in roll.students] == ["Li", "Wang"]
    assert (recordings.tolist(), owners.tolist()) == ([1, 2, 3, 4, 5, 6], [1] * 3 + [2] * 3)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE students SET class = '9' WHERE name = 'Li'")
    roll, recordings, owners = both.recognised("one")
    assert (roll.changed, recordings.tolist(), owners.tolist()) == (["Li"], [4, 5, 6], [2] * 3)


def test_a_student_is_told_by_number_as_they_are_written(registry: Registry) -> None:
    registry.enroll("Li", POINTS[0], "one", group="7a", consent=datetime.date(2027, 7, 31))
    registry.enroll("Wang", POINTS[1, :2], "two")
    with registry.database.reading():
        (wang,) = registry.rows.each([2, 9])
        assert len(list(registry.rows.each())) == 2
    assert (wang.number, wang.name) == (2, "Wang") and wang.student == registry.student("Wang")
    assert registry.rows.numbers() == {1, 2}
    now = datetime.datetime.now(datetime.UTC)
    enrolled = datetime.datetime.fromisoformat(registry.student("Li").enrolled)
    assert datetime.timedelta(0) <= now - enrolled < datetime.timedelta(hours=1)


def test_files_that_were_refused_are_remembered_by_their_rules(registry: Registry) -> None:
    one, other = Refused("a", "rules", "kind", "why"), Refused("b", "rules", "short", "too")
    registry.enroll("Li", POINTS[0], "one", refused=[one, other, Refused("c", "old", "k", "w")])
    registry.refused_files.remember("Rene\u0301", [one])
    assert registry.refused_files.by_rules("rules") == {"Li": [one, other], "Ren\u00e9": [one]}
    assert registry.refused_files.by_rules("none") == {}
    assert registry.names() == {"Li", "Ren\u00e9"} and len(registry) == 1
    registry.enroll("Li", POINTS[0], "one", word="北京")
    assert "Li" in registry.refused_files.by_rules("rules")
    registry.enroll("Li", POINTS[0], "one")
    registry.remove("Rene\u0301")
    assert registry.refused_files.by_rules("rules") == {} and registry.names() == {"Li"}
    with pytest.raises(GalleryError, match="Zhao is not enrolled"):
        registry.require("Zhao")


def test_the_journal_tells_who_changed_since(registry: Registry) -> None:
    assert registry.journal.latest() == 0 and registry.journal.since(0) == ([], 0)
    for name in ("Li", "Wang", "Zhao"):
        registry.enroll(name, POINTS[0], "one")
    changed, latest = registry.journal.since(0)
    assert changed == [1, 2, 3] and latest == registry.journal.latest() > 0
    registry.describe("Li", group="8b")
    registry.remove("Wang")
    assert registry.journal.since(latest) == ([1], registry.journal.latest())
    assert registry.journal.since(registry.journal.latest()) == ([], registry.journal.latest())
    assert registry.journal.since(0)[0] == [3, 1]


@pytest.mark.parametrize(
    "act",
    [
        lambda registry: registry.enroll("\0", POINTS[0], "one"),
        lambda registry: registry.enroll("Li", POINTS[0], "one", group="\0"),
        lambda registry: registry.enroll("Li", POINTS[0], "one", word="\0"),
        lambda registry: registry.describe("Li", group="\0"),
        lambda registry: set_pin(registry, "\0", "482915", new=True),
        lambda registry: set_pin(registry, "Wang", "482915", group="\0", new=True),
    ],
)
def test_a_name_that_is_refused_is_said_with_where(
    path: Path, registry: Registry, act: Callable[[Registry], None]
) -> None:
    registry.enroll("Li", POINTS[1], "one", group="7a")
    before = registry.copies.of("Li")
    with pytest.raises(UnfitName, match=r"gallery\.sqlite: "):
        act(registry)
    assert registry.copies.of("Li") == before and registry.names() == {"Li"}


def test_who_is_enrolled_anew_keeps_what_is_not_given(registry: Registry) -> None:
    registry.enroll("Rene\u0301", POINTS[0], "one", group="Rene\u0301")
    registry.enroll("Li", POINTS[0], "one", word="", sources=["a", "b", "c"])
    registry.enroll("Ren\u00e9", POINTS[1, :1], "one", add=True, sources=["more"])
    student = registry.student("Ren\u00e9")
    assert (student.number, student.group, student.recordings) == (1, "Ren\u00e9", 4)
    assert [each.source for each in registry.recordings.listed("Ren\u00e9")] == ["", "", "", "more"]
    with pytest.raises(GalleryError, match="enrolled by another encoder"):
        registry.enroll("Ren\u00e9", POINTS[1, :1], "two", add=True)
    with pytest.raises(ValueError, match="zip"):
        registry.enroll("Ren\u00e9", POINTS[1], "one", sources=["a"])
    assert registry.student("Ren\u00e9") == student and registry.roll().complete
