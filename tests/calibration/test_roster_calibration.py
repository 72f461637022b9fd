"""The threshold of a door at which not everybody may enter."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.calibration.calibration import GROWTH, Calibration, calibration_path
from kaimen.calibration.learning import calibrate, calibrate_points
from kaimen.calibration.leave_one_out import leave_one_out
from kaimen.calibration.roster_calibration import RosterSets
from kaimen.calibration.thresholds import threshold_of
from kaimen.gallery.gallery import Gallery
from kaimen.registry.vault import Vault
from kaimen.settings.roster import Rule
from tests.calibration.test_calibration import evidence
from tests.gallery.points import school

VAULT = Vault()
FPIR = 0.05
POINTS = school(120, 4, 16, spread=0.8)
CARD = evidence(10**9)


def time(hour: int) -> datetime.time:
    return datetime.time(hour)


def rules(*groups: str) -> tuple[Rule, ...]:
    return (Rule(groups),)


def of_groups(groups: Sequence[str], points: np.ndarray = POINTS) -> Gallery:
    """A gallery of students with these groups."""
    gallery = Gallery("encoder", points.shape[-1])
    for number, group in enumerate(groups):
        gallery.enroll(f"s{number:03}", list(points[number]), group=group)
    return gallery


@pytest.fixture(scope="module")
def two_groups() -> Gallery:
    """Twelve of a hundred and twenty may enter at the small door."""
    return of_groups(["small" if number % 10 == 0 else "large" for number in range(120)])


def test_without_a_roster_a_calibration_is_what_it_was_to_the_byte(two_groups: Gallery) -> None:
    points, counts = two_groups.everything()
    before = calibrate_points(points, counts, "encoder", CARD, FPIR)
    learned = calibrate(two_groups, CARD, FPIR)
    assert learned == before
    assert not {"roster", "at_once", "everybody"} & json.loads(learned._rendered()).keys()
    for roster in ((), rules("small")):
        assert learned.at_door(roster, two_groups).thresholds == before.thresholds


def test_of_two_doors_with_one_gallery_the_one_for_fewer_opens_from_lower_on(
    two_groups: Gallery,
) -> None:
    everybody = calibrate(two_groups, CARD, FPIR)
    doors = {}
    for groups in (("small",), ("large",), ("small", "large")):
        learned = calibrate(two_groups, CARD, FPIR, roster=rules(*groups))
        assert replace(learned, roster=None) == everybody
        doors[groups] = learned.at_door(rules(*groups), two_groups)
    sizes = [door.at_once for door in doors.values()]
    thresholds = [door.threshold for door in doors.values()]
    assert sizes == [12, 108, 120]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[1] < thresholds[2] == everybody.threshold
    whole = doors["small", "large"]
    assert whole.thresholds.retry == everybody.thresholds.retry
    assert (whole.expected_fpir, whole.expected_fnir) == (
        everybody.expected_fpir,
        everybody.expected_fnir,
    )
    assert doors["small",].expected_fnir <= everybody.expected_fnir
    assert {door.claim_threshold for door in doors.values()} == {everybody.claim_threshold}


def test_a_doors_threshold_keeps_the_promise_for_fresh_strangers(two_groups: Gallery) -> None:
    roster = rules("small")
    door = calibrate(two_groups, CARD, FPIR, roster=roster).at_door(roster, two_groups)
    strangers = school(3000, 1, 16, seed=7)[:, 0]
    found = [
        two_groups.nearest(each, 1, groups=frozenset({"small"}))[0].score for each in strangers
    ]
    measured = np.mean(np.array(found) >= door.threshold)
    assert FPIR / 3 < measured < 2 * FPIR
    everybody = calibrate(two_groups, CARD, FPIR).threshold
    assert np.mean(np.array(found) >= everybody) < measured


@given(
    students=st.integers(1, 120),
    cuts=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    fpir=st.floats(0.001, 0.4),
    seed=st.integers(0, 50),
)
def test_a_threshold_never_falls_when_more_may_enter(
    students: int, cuts: tuple[int, int], fpir: float, seed: int
) -> None:
    points = school(students, 4, 8, spread=1.0, seed=seed).reshape(-1, 8)
    counts = np.full(students, 4)
    found = []
    for size in sorted(min(cut, students) for cut in cuts):
        groups = ["in" if number < size else "out" for number in range(students)]
        sets = RosterSets.of(rules("in"), groups)
        learned = calibrate_points(points, counts, "encoder", CARD, fpir, sets=sets)
        assert learned.roster is not None
        assert learned.roster.at_once == size
        assert learned.roster.threshold <= learned.threshold
        assert learned.roster.first_threshold <= learned.first_threshold
        found.append(learned.roster)
    assert found[0].threshold <= found[1].threshold
    assert found[0].first_threshold <= found[1].first_threshold
    if found[1].at_once == students:
        assert found[1].threshold == learned.threshold


@given(fewer=st.integers(1, 100_000), more=st.integers(1, 100_000), fpir=st.floats(0.0005, 0.5))
def test_where_only_other_people_are_known_it_never_falls_either(
    fewer: int, more: int, fpir: float
) -> None:
    none, (fewer, more) = np.zeros(0, np.float32), sorted((fewer, more))
    spread = CARD.strangers
    assert threshold_of(none, fewer, spread, fpir) <= threshold_of(none, more, spread, fpir)


def test_at_different_times_the_busiest_counts() -> None:
    groups = ["early"] * 40 + ["late"] * 60 + ["never"] * 20
    gallery = of_groups(groups)
    apart = (
        Rule(("early",), opens=time(7), closes=time(8)),
        Rule(("late",), opens=time(8), closes=time(9)),
    )
    door = calibrate(gallery, CARD, FPIR, roster=apart).at_door(apart, gallery)
    together = rules("early", "late")
    both = calibrate(gallery, CARD, FPIR, roster=together).at_door(together, gallery)
    assert (door.at_once, both.at_once) == (60, 100)
    assert door.threshold < both.threshold
    for alone in ("early", "late"):
        each = calibrate(gallery, CARD, FPIR, roster=rules(alone))
        assert each.roster is not None
        assert door.threshold >= each.roster.threshold
        assert door.first_threshold >= each.roster.first_threshold


def test_a_door_for_one_student_has_a_threshold() -> None:
    gallery = of_groups(["head", *["7a"] * 19])
    door = calibrate(gallery, CARD, FPIR, roster=rules("head")).at_door(rules("head"), gallery)
    assert door.at_once == 1
    assert 0 < door.threshold < 1
    assert np.isfinite(door.interval).all()
    alone = of_groups(["head"])
    door = calibrate(alone, CARD, FPIR, roster=rules("head")).at_door(rules("head"), alone)
    assert (door.at_once, door.threshold) == (1, calibrate(alone, CARD, FPIR).threshold)


def test_a_roster_of_which_nobody_is_changes_no_threshold(two_groups: Gallery) -> None:
    learned = calibrate(two_groups, CARD, FPIR, roster=rules("7A"))
    assert learned.roster is None
    assert learned.roster_misfit(rules("7A"), two_groups) == ""


@pytest.mark.parametrize("more", [1, 2, 10])
def test_a_door_at_which_more_may_enter_than_it_counted_with_goes_by_all_students(
    more: int, two_groups: Gallery
) -> None:
    learned = calibrate(two_groups, CARD, FPIR, roster=rules("small"))
    groups = ["small" if number % 10 == 0 or number in range(1, 1 + more) else "large"
              for number in range(120)]  # fmt: skip
    grown = of_groups(groups)
    count = grown.by_group["small"]
    door = learned.at_door(rules("small"), grown)
    if count <= (1 + GROWTH) * 12:
        assert (door.at_once, learned.roster_misfit(rules("small"), grown)) == (12, "")
    else:
        assert door.threshold == learned.threshold
        assert door.at_once == 0
        assert f"{count} students may enter at once" in learned.roster_misfit(rules("small"), grown)


@pytest.mark.parametrize(
    ("roster", "fits"),
    [
        (rules("small"), True),
        ((Rule(("small",), (0,), time(7), time(8)),), True),  # hours are no matter
        ((Rule(("small",), opens=time(7), closes=time(8)), Rule(("large",), opens=time(8))), True),
        (rules("small", "large"), False),
        (rules("small", "guests"), False),
        ((Rule(("small",)), Rule(("large",), (6,))), False),  # together on Sundays
    ],
)
def test_a_roster_fits_while_no_other_groups_may_enter_together(
    roster: tuple[Rule, ...], fits: bool, two_groups: Gallery
) -> None:
    apart = (Rule(("small",), opens=time(7), closes=time(8)), Rule(("large",), opens=time(8)))
    learned = calibrate(two_groups, CARD, FPIR, roster=apart)
    assert (learned.roster_misfit(roster, two_groups) == "") == fits
    door = learned.at_door(roster, two_groups)
    assert (door.at_once == 108) == fits
    assert (door.threshold < learned.threshold) == fits


def test_a_doors_calibration_is_kept_whole_and_one_without_is_for_everybody(
    tmp_path: Path, two_groups: Gallery
) -> None:
    learned = calibrate(two_groups, CARD, FPIR, roster=rules("small"))
    path = calibration_path(tmp_path / "gallery.sqlite")
    learned.save(path, VAULT)
    loaded = Calibration.load(path, VAULT)
    assert asdict(loaded) == asdict(learned)
    assert loaded.thresholds == learned.thresholds
    assert loaded.at_door(rules("small"), two_groups).thresholds.anybody < loaded.threshold
    calibrate(two_groups, CARD, FPIR).save(path, VAULT)
    old = Calibration.load(path, VAULT)
    old.require(two_groups)
    assert old.at_door(rules("small"), two_groups).threshold == old.threshold
    assert "without the roster" in old.roster_misfit(rules("small"), two_groups)


def test_what_grows_is_judged_by_the_threshold_among_all(two_groups: Gallery) -> None:
    learned = calibrate(two_groups, CARD, FPIR, roster=rules("small"))
    thresholds = learned.at_door(rules("small"), two_groups).thresholds
    assert thresholds.everybody == learned.threshold > thresholds.anybody


def test_scores_of_those_who_may_enter_are_what_plain_loops_say() -> None:
    points = school(12, 3, 8)
    who = np.arange(12) % 3 == 0
    found = leave_one_out(points.reshape(-1, 8), np.full(12, 3), at_once=[who, ~who])
    gallery = of_groups(["in" if each else "out" for each in who], points)
    for student in range(12):
        others = Gallery("encoder", 8)
        for other in np.flatnonzero(who & (np.arange(12) != student)):
            others.enroll(f"s{other}", list(points[other]))
        for take in range(3):
            nearest = others.nearest(points[student, take], 1)[0].score
            assert found.at_once[3 * student + take, 0] == pytest.approx(nearest, abs=1e-5)
    assert len(gallery) == 12
    assert (np.maximum(*found.at_once.T) == found.strangers).all()


def test_the_cards_people_count_at_a_doors_own_size() -> None:
    gallery = of_groups(["small" if number < 5 else "large" for number in range(50)])
    learned = calibrate(gallery, evidence(6000), FPIR, roster=rules("small"))
    door = learned.at_door(rules("small"), gallery)
    assert door.promised == pytest.approx(3 / (200 + 6000 / 5))
    assert learned.promised == pytest.approx(3 / (200 + 6000 / 50))
