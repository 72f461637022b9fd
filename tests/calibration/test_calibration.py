"""The threshold, against plain loops and against strangers it has never seen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from kaimen.calibration import thresholds
from kaimen.calibration.calibration import (
    Calibration,
    UnkeyedCalibration,
    _rounded_up,
    aimed_at,
    calibration_path,
)
from kaimen.calibration.learning import calibrate, calibrate_points
from kaimen.calibration.leave_one_out import leave_one_out, leave_two_out
from kaimen.errors import GalleryError
from kaimen.gallery.gallery import Gallery
from kaimen.registry.vault import Vault
from kaimen.voice import SHIPPED as ENCODER
from kaimen.voice.encoder import Card
from kaimen.voice.score import RULE, centroids_of, scores
from kaimen.voice.spread import spread_of
from tests.gallery.points import enrolled, school, unit

FPIRS = st.floats(0.0005, 0.5)
VAULT = Vault()


def card(mean: float = 0.1, deviation: float = 0.1) -> Card:
    strangers = {"mean": mean, "deviation": deviation}
    return Card("test", "0" * 64, 100, 64, 32, {}, strangers, training={}, measured={}, score=RULE)


@pytest.mark.slow
@pytest.mark.parametrize("students", [1, 3, 150])
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
    flat, starts = points.reshape(-1, 64), np.arange(0, 1600, 4)
    found = scores(strangers @ flat.T, starts, strangers @ centroids_of(flat, starts).T)
    measured = np.mean(found.max(axis=1) >= calibration.threshold)
    assert fpir / 3 < measured < fpir * 3


def test_what_is_expected_is_what_the_schools_own_scores_say() -> None:
    gallery = enrolled(school(30, 4, 16, spread=1.0))
    calibration = calibrate(gallery, card(), 0.1)
    left_out = leave_one_out(*gallery.everything())
    assert calibration.expected_fpir == np.mean(left_out.strangers >= calibration.threshold)
    assert calibration.expected_fnir == np.mean(left_out.own < calibration.threshold)
    assert calibration.claim_fnmr == np.mean(left_out.own < calibration.claim_threshold)
    assert np.mean(left_out.claims >= calibration.claim_threshold) == pytest.approx(0.1, abs=0.01)
    assert 0 < calibration.expected_fpir <= 0.1
    assert 0 < calibration.expected_fnir < 1
    assert (calibration.students, calibration.recordings) == (30, 120)
    assert calibration.encoder == gallery.encoder
    assert calibration.fpir == 0.1
    low, high = calibration.interval
    assert low <= calibration.threshold <= high
    assert low < high


def test_whoever_claims_to_be_somebody_needs_less_than_to_be_found_among_all() -> None:
    calibration = calibrate(enrolled(school(100, 4, 16)), card(), 0.05)
    assert calibration.claim_threshold < calibration.threshold


@given(students=st.integers(1, 19), fpir=st.floats(0.0005, 0.07), mean=st.floats(-0.2, 0.5))
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
    gallery = enrolled(school(100, 3, 16))
    one, other = (calibrate(gallery, card(mean), 0.05).threshold for mean in (0.9, -0.9))
    assert one == other


def test_a_single_student_gets_the_cards_forecast() -> None:
    calibration = calibrate(enrolled(school(1, 3, 8)), card(0.1, 0.1), 0.01)
    assert calibration.threshold == pytest.approx(np.tanh(norm(0.1, 0.1).isf(0.01)))
    assert (calibration.students, calibration.recordings) == (1, 3)
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
    assert calibration.recordings == 30
    assert calibration.expected_fnir == 0


def test_identical_recordings_give_a_threshold() -> None:
    same = np.tile(unit(np.ones(8)), (3, 2, 1))
    assert np.isfinite(calibrate(enrolled(same), card(), 0.05).threshold)


def test_an_empty_gallery_cannot_be_calibrated() -> None:
    with pytest.raises(GalleryError, match="kaimen enroll"):
        calibrate(Gallery("encoder", 8), card())


# What a school is promised


def evidence(scores: int) -> Card:
    return replace(card(), strangers={"mean": 0.1, "deviation": 0.1, "scores": scores})


@pytest.mark.parametrize(
    ("students", "scores", "promised"),
    [
        (100, 0, 3 / 400),  # of four hundred recordings, by the rule of three
        (5, 0, 3 / 20),
        (5, 6000, 3 / (20 + 1200)),  # the card's comparisons are as many strangers to five
        (100, 6000, 3 / (400 + 60)),
        (1, 6000, 3 / 6000),
        (1, 0, 1.0),
    ],
)
def test_no_less_is_promised_than_there_is_evidence_for(
    students: int, scores: int, promised: float
) -> None:
    gallery = enrolled(school(students, 4, 16))
    assert calibrate(gallery, evidence(scores)).promised == pytest.approx(promised)


def test_a_door_is_not_armed_beyond_the_evidence() -> None:
    gallery = enrolled(school(50, 4, 16))
    with pytest.raises(GalleryError, match=r"200 recordings are too few .* --fpir 0\.015'"):
        calibrate(gallery, card(), 0.01).require(gallery)
    calibrate(gallery, card(), 0.015).require(gallery)


def test_a_door_is_not_armed_for_a_school_that_grew_or_shrank_by_more_than_a_tenth() -> None:
    calibration = calibrate(enrolled(school(50, 4, 16)), card(), 0.05)
    for students in (45, 55):
        calibration.require(enrolled(school(students, 4, 16)))
    for students in (44, 56):
        with pytest.raises(GalleryError, match=f"50 students, and {students}.*kaimen calibrate"):
            calibration.require(enrolled(school(students, 4, 16)))


def test_a_door_is_not_armed_for_another_encoder() -> None:
    calibration = calibrate(enrolled(school(50, 4, 16)), card(), 0.05)
    with pytest.raises(GalleryError, match="another encoder; run"):
        calibration.require(enrolled(school(50, 4, 16), "another"))


def test_a_door_is_not_armed_by_what_was_learned_for_another_score() -> None:
    gallery = enrolled(school(50, 4, 16))
    calibration = calibrate(gallery, card(), 0.05)
    calibration.require(gallery)
    with pytest.raises(GalleryError, match="another score; run 'kaimen calibrate'"):
        replace(calibration, score="the mean of the best 3").require(gallery)


def test_a_card_whose_strangers_have_another_score_calibrates_nothing() -> None:
    with pytest.raises(GalleryError, match="another score; make it anew"):
        calibrate(enrolled(school(5, 3, 8)), replace(card(), score=""))


def test_a_point_that_is_no_number_calibrates_nothing() -> None:
    points = school(5, 3, 8).reshape(-1, 8)
    points[4, 2] = np.nan  # as a stranger it would be turned away, and the threshold look too good
    with pytest.raises(GalleryError, match="no number"):
        calibrate_points(points, np.full(5, 3), "encoder", card())


def test_the_forecast_grows_with_the_school_and_ends_where_evidence_does() -> None:
    calibration = calibrate(enrolled(school(400, 4, 16, spread=1.0)), card(), 0.01)
    sizes = [size["students"] for size in calibration.forecast]
    fpirs = [size["fpir"] or 0 for size in calibration.forecast]
    thresholds = [size["threshold"] for size in calibration.forecast]
    assert sizes == sorted(sizes)
    assert fpirs == sorted(fpirs)
    assert all(0 < fpir <= 1 for fpir in fpirs)
    known = [threshold for threshold in thresholds if threshold is not None]
    assert known == sorted(known)
    # 1,600 strangers at 400 students: at 20,000 students, 1 % would be 0.3 of them.
    assert thresholds[sizes.index(500)] is not None
    assert thresholds[sizes.index(20_000)] is None


@pytest.mark.slow
@pytest.mark.parametrize("fpir", [0.01, 0.05])
def test_the_forecast_for_another_size_is_what_that_size_measures(fpir: float) -> None:
    large = school(2000, 4, 32, spread=0.8)
    forecast = calibrate(enrolled(large[:500]), card(), fpir).forecast
    measured = calibrate(enrolled(large), card(), fpir)
    (foretold,) = [size for size in forecast if size["students"] == 2000]
    assert foretold["threshold"] == pytest.approx(measured.threshold, abs=0.02)


def test_what_is_traded_falls_together() -> None:
    trade = calibrate(enrolled(school(100, 4, 16, spread=1.0)), card()).trade
    assert [point["fpir"] for point in trade] == [0.5, 0.2, 0.1, 0.05, 0.02, 0.01]
    misses = [point["fnir"] or 0 for point in trade]
    assert misses == sorted(misses)
    assert misses[-1] > misses[0]


# What is kept


def test_a_calibration_is_kept_beside_its_registry(tmp_path: Path) -> None:
    path = calibration_path(tmp_path / "gallery.sqlite")
    assert path == tmp_path / "gallery.calibration.json"
    calibration = calibrate(enrolled(school(5, 2, 8)), card())
    calibration.save(path, VAULT)
    assert Calibration.load(path, VAULT) == calibration


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"threshold": 0.1}', b"\xff\xfe"])
def test_what_is_no_calibration_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gallery.calibration.json"
    path.write_bytes(content)
    with pytest.raises(GalleryError, match="damaged, or of another key; run 'kaimen calibrate'"):
        Calibration.load(path, VAULT)


@pytest.mark.slow
def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "gallery.calibration.json"
    calibrate(enrolled(school(5, 2, 8)), card()).save(path, VAULT)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(GalleryError, match="damaged"):
            Calibration.load(path, VAULT)


def test_a_school_that_was_never_calibrated_is_told_to(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="never calibrated; run 'kaimen calibrate'"):
        Calibration.load(tmp_path / "gallery.calibration.json", VAULT)
    with pytest.raises(GalleryError, match="cannot be read"):
        Calibration.load(tmp_path, VAULT)


# Two tries


def test_two_tries_together_let_in_no_more_strangers_than_one() -> None:
    points = school(400, 4, 12)
    calibration = calibrate(enrolled(points), card(), 0.05)
    retry = calibration.thresholds.retry
    assert retry is not None
    assert retry.grey < retry.pooled
    assert retry.first > calibration.threshold  # it spends a third of the FPIR only
    flat, counts = points.reshape(-1, 12), np.full(400, 4)
    strangers, pairs = leave_one_out(flat, counts).strangers, leave_two_out(flat, counts)
    first, second = strangers[pairs.first], strangers[pairs.first + 1]
    together = (second >= retry.first) | (pairs.one_voice & (pairs.strangers >= retry.pooled))
    inside = (first >= retry.first) | ((first >= retry.grey) & together)
    assert inside.mean() == pytest.approx(0.05, abs=0.005)
    assert calibration.retry_fnir is not None
    assert calibration.retry_fnir < calibration.expected_fnir


def test_without_evidence_the_second_try_needs_what_the_first_one_does() -> None:
    calibration = calibrate(enrolled(school(5, 3, 8)), card(), 0.05)
    assert calibration.both_threshold == calibration.first_threshold


def write(fields: dict[str, Any], path: Path) -> None:
    """As releases wrote a calibration before it was bound to the school's key."""
    content = json.dumps(fields)
    whole = {"checksum": hashlib.sha256(content.encode()).hexdigest(), "calibration": content}
    path.write_text(json.dumps(whole))


def test_a_calibration_without_the_schools_key_arms_no_door(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    fields = asdict(calibrate(enrolled(school(30, 3, 8)), card(), 0.05))
    write({**fields, "threshold": -1.0}, path)
    with pytest.raises(UnkeyedCalibration, match=r"earlier release.*run 'kaimen calibrate'"):
        Calibration.load(path, VAULT)


def test_another_schools_calibration_arms_no_door(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    calibrate(enrolled(school(30, 3, 8)), card(), 0.05).save(path, Vault())
    with pytest.raises(GalleryError, match="of another key; run 'kaimen calibrate'"):
        Calibration.load(path, VAULT)


@pytest.mark.parametrize(("asked", "again"), [(0.001, 0.001), (0.9, 0.01), (-1, 0.01), ("", 0.01)])
def test_a_file_that_anybody_could_have_written_makes_a_school_only_stricter(
    asked: Any, again: float, tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    write({"fpir": asked}, path)
    assert aimed_at(path, VAULT) == again


def test_a_school_is_calibrated_again_for_what_it_was_before(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    calibrate(enrolled(school(30, 3, 8)), card(), 0.2).save(path, VAULT)
    assert aimed_at(path, VAULT) == 0.2
    assert aimed_at(path, Vault()) == 0.01
    assert aimed_at(tmp_path / "none", VAULT) == 0.01


# Schools of any size, without steps

SHIPPED = Card.read(ENCODER.with_suffix(".json"))


@given(students=st.integers(1, 60), recordings=st.integers(3, 6))
def test_a_small_school_of_any_size_may_aim_at_one_per_cent(students: int, recordings: int) -> None:
    learned = calibrate_points(
        school(students, recordings, 16).reshape(-1, 16),
        np.full(students, recordings),
        "encoder",
        SHIPPED,
    )
    learned.require(enrolled(school(students, recordings, 16)))
    own = students * recordings if students > 1 else 0
    assert learned.strangers == own
    assert learned.shown == (min(1.0, 3 / own) if own else 1.0)


@pytest.mark.parametrize(
    ("students", "said"),
    [
        (1, "other people's voices; it has no strangers of its own"),
        (4, "other people's voices; its own 20 strangers show no less than 15.0%"),
        (30, "other people's voices; its own 150 strangers show no less than 2.0%"),
        (60, "at most 1.0% of strangers are let in, as 300 of its own show"),
    ],
)
def test_it_is_said_what_the_school_itself_shows(students: int, said: str) -> None:
    assert said in calibrate(enrolled(school(students, 5, 16)), evidence(100_000)).evidence


@given(
    counted=st.integers(1, 3_000),
    drawn=st.floats(0.5, 0.99),
    fpir=st.floats(0.002, 0.1),
)
def test_the_part_of_other_people_fades_without_a_step(
    counted: int, drawn: float, fpir: float
) -> None:
    parts = [thresholds.needed((counted + more) * fpir) for more in (0, 1)]
    assert 0 <= parts[0] - parts[1] <= fpir / (thresholds.PLENTY - thresholds.RULE_OF_THREE) + 1e-9


def test_one_student_more_moves_no_threshold_by_a_step() -> None:
    points = school(260, 5, 64, seed=5)
    # Other people who are more alike than this school's: all that they set is lost on the way.
    found = [
        calibrate_points(points[:size].reshape(-1, 64), np.full(size, 5), "encoder", card(0.45))
        for size in range(40, 260, 5)
    ]
    for name in ("threshold", "first_threshold"):
        values = np.array([getattr(each, name) for each in found])
        assert np.abs(np.diff(values)).max() < 0.02, name
    assert found[0].threshold > found[-1].threshold + 0.1


@given(share=st.floats(1e-9, 1))
def test_an_fpir_that_is_advised_is_enough(share: float) -> None:
    advised = _rounded_up(share)
    assert "e" not in advised and share <= float(advised) <= max(1.1 * share, share + 0.001)
