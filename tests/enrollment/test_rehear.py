"""A school for another encoder: known by its files' contents, and nobody lost without a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kaimen.enrollment.judging import Judge, Recorded, source_of
from kaimen.enrollment.rehear import ModelIds, Reheard, Rehearing, left_behind
from kaimen.errors import UnreadableRecording
from kaimen.registry.database import MEMORY
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.voice.evidence import Evidence
from tests.gallery.points import school

POINTS = school(4, 3, 8)
OLD, NEW = ModelIds("old", "words"), ModelIds("new", "others")
SAID = np.ones((5, 8), np.float32)


def hear(contents: bytes) -> Recorded:
    """What the new encoder makes of a pretended recording."""
    if contents == b"li 2":
        raise UnreadableRecording("torn")
    return Recorded(POINTS[3, 0], Evidence(SAID, NEW.said_by))


JUDGE = Judge(hear, {"mean": 0.0, "deviation": 0.1})


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Li and Wang, each of three recordings, and Wang with a word of a challenge."""
    opened = Registry(MEMORY, Vault())
    for name, points in (("li", POINTS[0]), ("wang", POINTS[1])):
        opened.enroll(name, points, "old", sources=sources(name), evidence=[said(OLD)] * 3)
    word = sources("wang word")
    opened.enroll("wang", POINTS[1], "old", sources=word, evidence=[said(OLD)] * 3, word="北京")
    yield opened
    opened.close()


def said(ids: ModelIds) -> Evidence:
    return Evidence(SAID, ids.said_by)


def sources(name: str) -> list[str]:
    return [source_of(f"{name} {number}".encode()) for number in range(3)]


def files(folder: Path, *names: str) -> list[Path]:
    """Pretended recordings under names that say nothing."""
    found = []
    for name in names:
        for number in range(3):
            path = folder / f"{len(list(folder.iterdir()))}.mp3"
            path.write_bytes(f"{name} {number}".encode())
            found.append(path)
    return found


def heard(registry: Registry, paths: list[Path]) -> list[Reheard]:
    again = Rehearing(registry, NEW)
    again.find(paths)
    return list(again.hear(lambda tasks: map(JUDGE, tasks)))


def test_recordings_are_known_by_what_is_in_them_wherever_they_lie(
    registry: Registry, tmp_path: Path
) -> None:
    done = heard(registry, files(tmp_path, "wang word", "stranger", "li", "wang"))
    assert sorted((each.student, each.word, each.recordings) for each in done) == [
        ("li", "", 2), ("wang", "", 3), ("wang", "北京", 3),
    ]  # fmt: skip
    (refused,) = [each.refused for each in done if each.refused]
    assert [each.reason for each in refused] == ["torn"]
    assert left_behind(registry, OLD, NEW) == {}
    assert len(registry.recordings.of_word("wang", "北京", "new")) == 3
    assert len(registry.recordings.numbers("new")[0]) == 5
    assert len(registry.recordings.numbers("old")[0]) == 6


def test_what_was_heard_is_not_heard_again(registry: Registry, tmp_path: Path) -> None:
    paths = files(tmp_path, "wang")
    assert len(heard(registry, paths)) == 1
    assert heard(registry, paths) == []
    again = Rehearing(registry, NEW)
    again.find(paths)
    assert len(again) == 0


def test_a_file_twice_is_heard_once(registry: Registry, tmp_path: Path) -> None:
    (done,) = heard(registry, [*files(tmp_path, "wang"), *files(tmp_path, "wang")])
    assert (done.recordings, done.refused) == (3, ())


def test_who_is_lost_is_named_and_by_what(registry: Registry, tmp_path: Path) -> None:
    assert left_behind(registry, OLD, NEW) == {"li": ["voice"], "wang": ["voice"]}
    heard(registry, files(tmp_path, "wang"))
    assert left_behind(registry, OLD, NEW) == {"li": ["voice"], "wang": ["北京"]}
    assert left_behind(registry, OLD, ModelIds("old", "others")) == {"li": ["phrase"]}
    assert left_behind(registry, NEW, OLD) == {}
    assert left_behind(registry, OLD, OLD) == {}


def test_who_was_never_known_is_not_lost(registry: Registry) -> None:
    registry.enroll("zhao", POINTS[2], "older")
    assert "zhao" not in left_behind(registry, OLD, NEW)


def test_files_that_cannot_be_read_are_no_recordings(registry: Registry, tmp_path: Path) -> None:
    assert heard(registry, [tmp_path / "missing.mp3", tmp_path]) == []
