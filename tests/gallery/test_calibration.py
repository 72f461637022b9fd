"""The threshold, against plain loops and against strangers it has never seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from edge.errors import GalleryError
from edge.gallery import Calibration, Gallery, calibrate
from edge.gallery.calibration import ENOUGH, beside, leave_one_out, spread_of
from edge.voice.encoder import Card
from tests.gallery.points import enrolled, school, unit

FPIRS = st.floats(0.0005, 0.5)


def card(mean: float = 0.1, deviation: float = 0.1) -> Card:
    strangers = {"mean": mean, "deviation": deviation}
    return Card("test", "0" * 64, 100, 64, 32, {}, strangers, training={}, measured={})


def best_three(cosines: list[float]) -> float:
    chosen = sorted(cosines, reverse=True)[:3]
    return sum(chosen) / len(chosen)


def slow_leave_one_out(gallery: Gallery) -> tuple[list[float], list[float]]:
    """The scores of leave_one_out, one comparison at a time."""
    strangers, own = [], []
    for owner in gallery.students:
        for number, probe in enumerate(gallery.voiceprints(owner)):
            others = []
            for student in gallery.students:
                points = gallery.voiceprints(student)
                if student != owner:
                    others.append(best_three([float(point @ probe) for point in points]))
                elif len(points) > 1:
                    rest = [point for at, point in enumerate(points) if at != number]
                    own.append(best_three([float(point @ probe) for point in rest]))
            if others:
                strangers.append(max(others))
    return strangers, own


@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=8), seed=st.integers(0, 1000))
def test_leaving_one_out_is_what_plain_loops_give(counts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    gallery = Gallery("encoder", 5)
    for number, count in enumerate(counts):
        gallery.enroll(f"s{number}", list(unit(random.standard_normal((count, 5)))))
    for found, plain in zip(leave_one_out(gallery), slow_leave_one_out(gallery), strict=True):
        np.testing.assert_allclose(found, plain, atol=1e-5)


def test_leaving_one_out_in_more_recordings_than_a_block_is_what_plain_loops_give() -> None:
    gallery = enrolled(school(60, 5, 16))  # 300 recordings
    for found, plain in zip(leave_one_out(gallery), slow_leave_one_out(gallery), strict=True):
        np.testing.assert_allclose(found, plain, atol=1e-5)


@pytest.mark.parametrize("students", [1, 3, ENOUGH + 10])
@given(one=FPIRS, other=FPIRS)
def test_fewer_strangers_need_a_higher_threshold(students: int, one: float, other: float) -> None:
    gallery = enrolled(school(students, 2, 8))
    strict, lax = sorted((one, other))
    assert calibrate(gallery, card(), strict).threshold >= calibrate(gallery, card(), lax).threshold


@pytest.mark.parametrize("fpir", [0.01, 0.05])
def test_fresh_strangers_are_let_in_about_as_often_as_was_asked(fpir: float) -> None:
    points = school(400, 4, 64, seed=3)
    calibration = calibrate(enrolled(points), card(), fpir)
    strangers = school(6000, 1, 64, seed=4)[:, 0]
    cosines = np.sort((strangers @ points.reshape(-1, 64).T).reshape(-1, 400, 4), axis=2)
    measured = np.mean(cosines[:, :, 1:].mean(axis=2).max(axis=1) >= calibration.threshold)
    assert fpir / 3 < measured < fpir * 3


def test_what_is_expected_is_what_the_schools_own_scores_say() -> None:
    gallery = enrolled(school(30, 4, 16, spread=1.0))
    calibration = calibrate(gallery, card(), 0.1)
    strangers, own = map(np.array, slow_leave_one_out(gallery))
    assert calibration.expected_fpir == np.mean(strangers >= calibration.threshold)
    assert calibration.expected_fnir == np.mean(own < calibration.threshold)
    assert 0 < calibration.expected_fpir <= 0.1
    assert 0 < calibration.expected_fnir < 1
    assert (calibration.students, calibration.strangers) == (30, 120)
    assert calibration.gallery == gallery.checksum()
    assert calibration.fpir == 0.1


@given(students=st.integers(1, ENOUGH - 1), fpir=FPIRS, mean=st.floats(-0.2, 0.5))
def test_a_small_school_never_goes_below_the_cards_forecast(
    students: int, fpir: float, mean: float
) -> None:
    fmr = 1 - (1 - fpir) ** (1 / students)  # FPIR = 1 - (1 - FMR)^N
    forecast = np.tanh(norm(mean, 0.1).isf(fmr))
    calibration = calibrate(enrolled(school(students, 2, 8)), card(mean), fpir)
    assert calibration.threshold >= forecast - 1e-6


def test_a_small_school_that_sounds_more_alike_than_the_card_goes_above_its_forecast() -> None:
    alike = unit(np.ones(8) + 0.2 * np.random.default_rng(0).standard_normal((5, 3, 8)))
    calibration = calibrate(enrolled(alike), card(-0.5, 0.01), 0.05)
    assert calibration.threshold > 0.9


def test_a_large_school_is_believed_more_than_the_card() -> None:
    gallery = enrolled(school(ENOUGH, 3, 16))
    assert calibrate(gallery, card(0.9)).threshold == calibrate(gallery, card(-0.9)).threshold


def test_a_single_student_gets_the_cards_forecast() -> None:
    calibration = calibrate(enrolled(school(1, 3, 8)), card(0.1, 0.1), 0.01)
    assert calibration.threshold == pytest.approx(np.tanh(norm(0.1, 0.1).isf(0.01)))
    assert (calibration.students, calibration.strangers) == (1, 0)
    assert calibration.expected_fpir == 0
    assert calibration.expected_fnir == 0


def test_scores_near_one_still_leave_room_for_a_student() -> None:
    """Lifted points' cosines are nearly 1; a threshold above 1 would admit nobody."""
    random = np.random.default_rng(0)
    points = unit(np.ones(8) + 0.03 * random.standard_normal((10, 3, 8)))
    strangers = np.array([0.995, 0.997, 0.9985, 0.999])
    calibration = calibrate(enrolled(points), card(**spread_of(strangers)), 0.01)
    assert strangers.max() < calibration.threshold < 1


def test_students_with_one_recording_each_still_are_strangers_to_each_other() -> None:
    calibration = calibrate(enrolled(school(30, 1, 8)), card(), 0.05)
    assert calibration.strangers == 30
    assert calibration.expected_fnir == 0


def test_identical_recordings_give_a_threshold() -> None:
    same = np.tile(unit(np.ones(8)), (3, 2, 1))
    assert np.isfinite(calibrate(enrolled(same), card(), 0.05).threshold)


def test_an_empty_gallery_cannot_be_calibrated() -> None:
    with pytest.raises(GalleryError, match="kaimen enroll"):
        calibrate(Gallery("encoder", 8), card())


def test_a_calibration_is_kept_beside_its_gallery(tmp_path: Path) -> None:
    path = beside(tmp_path / "gallery.npz")
    assert path == tmp_path / "gallery.calibration.json"
    calibration = calibrate(enrolled(school(5, 2, 8)), card())
    calibration.save(path)
    assert Calibration.load(path) == calibration


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"threshold": 0.1}', b"\xff\xfe"])
def test_a_calibration_that_cannot_be_used_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gallery.calibration.json"
    path.write_bytes(content)
    assert Calibration.load(path) is None


def test_a_calibration_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert Calibration.load(tmp_path / "gallery.calibration.json") is None


def test_a_calibration_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    calibration = calibrate(enrolled(school(5, 2, 8)), card(), 0.02)
    calibration.save(path)
    assert json.loads(path.read_text())["fpir"] == 0.02
