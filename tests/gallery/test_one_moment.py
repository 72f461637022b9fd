"""Takes that are as alike as those of one moment."""

from __future__ import annotations

import pytest

from kaimen.gallery.one_moment import OneMoment
from tests.gallery.points import school


@pytest.mark.parametrize(
    ("students", "takes", "spread", "said"),
    [(6, 3, 0.3, True), (6, 3, 1.0, False), (4, 5, 0.3, False), (6, 2, 0.3, False)],
)
def test_it_is_said_of_enough_students_with_enough_takes_that_are_alike(
    students: int, takes: int, spread: float, said: bool
) -> None:
    found = OneMoment.of(school(students, takes, 64, spread=spread))
    assert bool(found.warning) is said
    if said:
        assert f"{found.alike} of {students} students" in found.warning


def test_it_takes_more_than_half_of_them() -> None:
    alike, others = school(5, 3, 64, spread=0.2), school(5, 3, 64, spread=1.0, seed=1)
    assert OneMoment.of([*alike, *others]) == OneMoment(10, 5)
    assert not OneMoment(10, 5).warning
    assert OneMoment(10, 6).warning
