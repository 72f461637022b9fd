"""A voice under two names is found in schools of every size; different voices are not."""

from __future__ import annotations

import numpy as np
import pytest

from kaimen.enrollment.duplicates import ENOUGH, EnrolledVoices
from tests.enrollment.pretended import STRANGERS
from tests.gallery.points import school

DIMENSION = 64
SPREAD = 0.5


def of(students: int) -> tuple[EnrolledVoices, np.ndarray]:
    """A school, and points (students + 1, 10, dimension): five that enrolled, five more."""
    points = school(students + 1, 10, DIMENSION, spread=SPREAD)
    voices = EnrolledVoices(DIMENSION, STRANGERS)
    for number in range(students):
        voices.add(f"s{number}", points[number, :5])
    return voices, points


@pytest.mark.parametrize("students", [1, 5, ENOUGH - 1, ENOUGH, 5 * ENOUGH])
def test_a_voice_that_is_enrolled_is_found_under_another_name(students: int) -> None:
    voices, points = of(students)
    twin = students // 2
    assert voices.alike("another", points[twin, 5:]) == f"s{twin}"


@pytest.mark.parametrize("students", [0, 1, ENOUGH - 1, ENOUGH, 5 * ENOUGH])
def test_a_new_voice_is_nobodys(students: int) -> None:
    voices, points = of(students)
    assert voices.alike("another", points[students, 5:]) is None


@pytest.mark.parametrize("students", [5, 5 * ENOUGH])
def test_nobody_is_like_themselves(students: int) -> None:
    voices, points = of(students)
    assert voices.alike("s3", points[3, 5:]) is None


def test_the_voice_that_counts_is_the_last_one() -> None:
    voices, points = of(5)
    voices.add("s3", points[5, :5])
    assert len(voices) == 5
    assert voices.alike("another", points[3, 5:]) is None
    assert voices.alike("another", points[5, 5:]) == "s3"


def test_where_all_voices_are_alike_a_twin_must_be_more_so() -> None:
    """A microphone that makes all alike makes no twins of them: the school says what is usual."""
    _, points = of(2 * ENOUGH)
    shifted = EnrolledVoices(DIMENSION, STRANGERS)
    common = np.full(DIMENSION, 2 / np.sqrt(DIMENSION), np.float32)

    def shift(own: np.ndarray) -> np.ndarray:
        moved = own + common
        return moved / np.linalg.norm(moved, axis=1, keepdims=True)

    for number in range(2 * ENOUGH):
        shifted.add(f"s{number}", shift(points[number, :5]))
    assert shifted.alike("another", shift(points[2 * ENOUGH, 5:])) is None
    assert shifted.alike("another", shift(points[7, 5:])) == "s7"
