"""Scores of students who grew: raised a little, by what is very near, and only as calibrated."""

from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.calibration.learning import calibrate_points
from kaimen.calibration.leave_one_out import leave_one_out
from kaimen.gallery.gallery import Gallery
from kaimen.voice.encoder import SHIPPED, Card
from kaimen.voice.score import BELOW, LIFT, lifted
from tests.gallery.points import enrolled, school, unit

DIMENSION = 32
CARD = Card.read(SHIPPED.with_suffix(".json"))
BEGIN = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
SCORES = st.floats(-1, 1, width=32)


def near(score: float) -> object:
    return pytest.approx(score, abs=1e-6)


def grow(gallery: Gallery, student: str, *points: np.ndarray) -> None:
    for number, point in enumerate(points):
        at = BEGIN + number * datetime.timedelta(days=20)
        assert gallery.registry.grown.take_in(student, point, gallery.encoder, at)
    gallery.refresh()


def opened(students: int) -> Gallery:
    gallery = enrolled(school(students, 5, DIMENSION))
    gallery._seen = None  # changes of one's own are seen at once
    return gallery


@given(SCORES, SCORES)
def test_a_score_is_raised_by_no_more_than_the_limit_and_never_lowered(
    by_enrolled: float, nearest: float
) -> None:
    found = lifted(np.float32(by_enrolled), np.float32(nearest))
    assert by_enrolled <= found <= np.float32(by_enrolled) + np.float32(LIFT)
    assert found == np.float32(by_enrolled) or found <= nearest - BELOW + 1e-6


def test_what_is_no_number_raises_nothing() -> None:
    nan = np.float32(np.nan)
    assert lifted(np.float32(0.5), nan) == np.float32(0.5)
    assert lifted(np.float32(-np.inf), np.float32(1)) == -np.inf


def test_a_grown_voiceprint_counts_only_up_to_the_number_that_was_calibrated() -> None:
    for students in (3, 40):  # scored all, and searched
        gallery = opened(students)
        points = gallery.voiceprints("s001")
        away = unit(np.random.default_rng(3).standard_normal(DIMENSION))
        probe = unit(points.mean(axis=0) + 0.9 * away)
        (before,) = gallery.nearest(probe, 1)
        assert before.student == "s001"
        grow(gallery, "s001", probe)
        gallery._seen = None
        latest = gallery.growth.latest
        assert latest == 1
        assert gallery.nearest(probe, 1) == gallery.nearest(probe, 1, grown=0) == [before]
        (after,) = gallery.nearest(probe, 1, grown=latest)
        assert after.score == np.float32(before.score) + np.float32(LIFT)
        # Searched and scored exactly, a cosine is rounded otherwise on some processors.
        (claimed,) = gallery.claimed("s001", probe, grown=latest)
        assert claimed.score == near(after.score)
        assert replace(claimed, score=after.score) == after
        assert gallery.claimed("s001", probe)[0].score == near(before.score)
        assert gallery.nearest_enrolled(probe)[0].score == before.score
        gallery.registry.grown.forget(["s001"])
        gallery._seen = None
        assert gallery.nearest(probe, 1, grown=latest) == [before]


def test_a_stranger_who_is_further_away_than_the_limit_stays_so_whatever_was_taken_in() -> None:
    gallery = opened(3)
    own = gallery.voiceprints("s000")
    stranger = unit(np.random.default_rng(5).standard_normal(DIMENSION))
    before = {each.student: each.score for each in gallery.nearest(stranger, 3)}
    grow(gallery, "s000", stranger, unit(stranger + 0.1 * own[0]))
    gallery._seen = None
    after = {each.student: each.score for each in gallery.nearest(stranger, 3, grown=9)}
    assert after["s000"] <= before["s000"] + LIFT + 1e-6
    assert {**after, "s000": 0} == {**before, "s000": 0}


def test_calibration_counts_them_against_strangers_and_not_for_students() -> None:
    points = school(12, 5, DIMENSION, spread=1.2)
    gallery = enrolled(points)
    for number in range(12):  # each takes in what is like the next one
        grow(gallery, f"s{number:03}", unit(points[number, 0] + points[(number + 1) % 12, 0]))
    gallery._seen = None
    flat, counts = gallery.everything()
    grown = gallery.grown_of_all()
    assert len(grown.points) == grown.latest == 12
    before, after = leave_one_out(flat, counts), leave_one_out(flat, counts, None, grown)
    np.testing.assert_array_equal(after.own, before.own)
    assert (after.strangers >= before.strangers).all()
    assert (after.strangers > before.strangers).any()
    one, other = (
        calibrate_points(flat, counts, "encoder", CARD, 0.2, None, x) for x in (None, grown)
    )
    assert other.threshold >= one.threshold
    assert (one.thresholds.grown, other.thresholds.grown) == (0, 12)


def test_leaving_one_out_scores_as_the_gallery_does() -> None:
    gallery = enrolled(school(6, 3, DIMENSION, spread=1.2))
    grow(gallery, "s002", unit(gallery.voiceprints("s003")[1] + 0.1))
    gallery._seen = None
    flat, counts = gallery.everything()
    found = leave_one_out(flat, counts, None, gallery.grown_of_all())
    owners = np.repeat([each.name for each in gallery.members], counts)
    for probe, owner, score in zip(flat, owners, found.strangers, strict=True):
        matches = gallery.nearest(probe, 6, grown=gallery.growth.latest)
        best = max(each.score for each in matches if each.student != owner)
        assert abs(score - best) < 1e-5
