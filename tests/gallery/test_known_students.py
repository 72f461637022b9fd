"""A gallery that reads only who changed is the same as one that reads everybody."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaimen.errors import GalleryError
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.known_students import KnownStudents
from kaimen.registry.database import MEMORY
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.gallery.points import school

VAULT = Vault()
POINTS = school(12, 6, 8)
NAMES = st.integers(0, 5).map("s{}".format)
DAYS = st.none() | st.dates(datetime.date(2026, 1, 1), datetime.date(2026, 3, 1))
DAY = datetime.date(2026, 2, 1)

Change = Callable[[Registry], object]


def enrolled(name: str, own: int, count: int, day: datetime.date | None, group: str) -> Change:
    points = POINTS[own, :count]
    return lambda registry: registry.enroll(name, points, "e", consent=day, group=group)


def if_known(change: Callable[[Registry, str], object]) -> Callable[[str], Change]:
    def changed(registry: Registry, name: str) -> None:
        with suppress(GalleryError):  # nobody, or changed by hand
            registry.student(name)
            change(registry, name)

    return lambda name: lambda registry: changed(registry, name)


def without_first(registry: Registry, name: str) -> None:
    listed = registry.recordings.listed(name)
    if len(listed) > 1:
        registry.remove_recordings(name, [listed[0].number])


def grown(registry: Registry, name: str) -> None:
    at = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
    registry.grown.take_in(name, POINTS[0, 0], "e", at)


def by_hand(registry: Registry, name: str) -> None:
    """Change a row as a thief would: its seal does not fit any more."""
    with registry.database._transaction() as database:
        database.execute("UPDATE students SET class = class || 'x' WHERE name = ?", (name,))


def gone_by_hand(registry: Registry, name: str) -> None:
    """Delete a row as a thief would: the registry's sum does not know of it."""
    with registry.database._transaction() as database:
        database.execute("DELETE FROM students WHERE name = ?", (name,))


CHANGES = st.one_of(
    st.builds(
        enrolled, NAMES, st.integers(0, 11), st.integers(1, 6), DAYS, st.sampled_from(["", "7a"])
    ),
    NAMES.map(lambda name: lambda registry: registry.knows(name) and registry.remove(name)),
    NAMES.map(if_known(lambda registry, name: registry.describe(name, group="7b"))),
    NAMES.map(if_known(lambda registry, name: registry.describe(name, consent=DAY))),
    NAMES.map(if_known(without_first)),
    NAMES.map(if_known(grown)),
)
BY_HAND = st.builds(
    lambda name, change: if_known(change)(name), NAMES, st.sampled_from([by_hand, gone_by_hand])
)


def shown(gallery: Gallery) -> tuple[object, ...]:
    """All that a gate sees of a gallery; points to within a rounding."""
    points, counts = gallery.everything()
    nearest = [
        [
            (match.student, round(match.score, 4))
            for match in gallery.nearest(POINTS[own, 0], 9, groups=groups, day=DAY, grown=99)
        ]
        for own in range(3)
        for groups in (None, ("7a", "7b"))
    ]
    return (
        gallery.members, gallery.students, gallery.left_out, gallery.hash, gallery.newest,
        gallery.band, len(gallery.growth), gallery.growth.latest, counts.tolist(),
        np.round(points, 4).tolist(), np.round(gallery.centroids()[1], 4).tolist(),
        nearest, gallery._held.index.numbers.tolist(),
    )  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(st.lists(st.lists(CHANGES | BY_HAND, min_size=1, max_size=4), min_size=1, max_size=6))
def test_after_any_changes_it_is_the_same_as_one_that_is_opened_afresh(
    looks: list[list[Change]],
) -> None:
    registry = Registry(MEMORY, VAULT)
    for own in range(6):
        registry.enroll(f"s{own}", POINTS[own, :3], "e")
    running = Gallery("e", 8, registry=registry)
    with closing(registry):
        for changes in looks:
            for change in changes:
                change(registry)
            running._seen = None
            assert len(running) >= 0  # it looks
            assert shown(running) == shown(Gallery("e", 8, registry=registry))


def test_only_who_changed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(MEMORY, VAULT)
    for own in range(6):
        registry.enroll(f"s{own}", POINTS[own], "e")
    known = KnownStudents(registry, "e")
    assert known.look(lambda: None) is None
    registry.describe("s2", group="7b")
    registry.remove("s3")
    read = []
    each = registry.rows.each
    monkeypatch.setattr(
        registry.rows, "each", lambda students: read.append(students) or each(students)
    )
    found = known.look(lambda: None)
    assert found is not None
    assert sorted(each.row.name for each in found.values() if each) == ["s2", "s3"]
    assert [len(each) for each in read] == [1]
    assert known.look(lambda: None) == {}


def opened(path: Path) -> Registry:
    return Registry(path, VAULT)


def test_a_row_that_came_while_the_triggers_were_gone_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    with closing(opened(path)) as registry:
        for own in range(4):
            registry.enroll(f"s{own}", POINTS[own], "e")
        gallery = Gallery("e", 8, registry=registry)
        assert len(gallery) == 4
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("DROP TRIGGER students_UPDATE")
            other.execute("UPDATE students SET class = 'teachers' WHERE name = 's1'")
        assert gallery.refresh() and gallery.students == ["s0", "s2", "s3"]


def test_an_older_file_in_its_place_is_read_whole(tmp_path: Path) -> None:
    path, older = tmp_path / "gallery.sqlite", tmp_path / "older.sqlite"
    with closing(opened(path)) as registry:
        registry.enroll("s0", POINTS[0], "e")
        registry.enroll("s1", POINTS[1], "e")
        registry.database.read("VACUUM INTO ?", str(older))
        gallery = Gallery("e", 8, registry=registry)
        registry.remove("s1")
        registry.enroll("s2", POINTS[2], "e")
        gallery.refresh()
        older.rename(path)
        for beside in ("-wal", "-shm"):  # as a restore does
            Path(f"{path}{beside}").unlink()
        assert gallery.refresh() and gallery.students == ["s0", "s1"]
