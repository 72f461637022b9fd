"""What a calibration was learned from: the curve, other thresholds, groups beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.calibration.fairness import FEWEST, fairness
from kaimen.calibration.intervals import share_of, wilson
from kaimen.calibration.leave_one_out import leave_one_out
from kaimen.calibration.school_scores import SchoolScores, scores_path
from kaimen.errors import GalleryError
from kaimen.registry.vault import Vault
from tests.gallery.points import enrolled, school


def scores_of(students: int = 60, recordings: int = 4, *, spread: float = 1.0) -> SchoolScores:
    gallery = enrolled(school(students, recordings, 16, spread=spread))
    points, counts = gallery.everything()
    numbers = np.array([each.number for each in gallery.members])
    return SchoolScores.of(leave_one_out(points, counts), np.repeat(numbers, counts))


def test_another_threshold_does_what_plain_counting_says() -> None:
    kept = scores_of()
    found = kept.at(0.6)
    assert found.fpir.counted == sum(score >= 0.6 for score in kept.strangers.tolist())
    assert found.fnir.counted == sum(score < 0.6 for score in kept.own.tolist())
    assert found.fpir.of == found.fnir.of == 240
    assert found.fpir.value is not None
    assert found.fpir.low < found.fpir.value < found.fpir.high


def test_the_curve_falls_on_one_side_and_rises_on_the_other() -> None:
    kept = scores_of()
    rows = kept.curve()
    for name, order in (("threshold", 1), ("fpir", -1), ("fnir", 1)):
        values = np.array([row[name] for row in rows])
        assert (np.diff(values) * order >= 0).all(), name
    for row in rows[:: len(rows) // 7]:
        found = kept.at(row["threshold"])
        assert found.fpir.value == pytest.approx(row["fpir"])
        assert found.fnir.value == pytest.approx(row["fnir"])
    assert 20 < len(rows) <= 200


def test_a_school_of_one_has_no_curve_and_says_nothing_of_strangers() -> None:
    kept = scores_of(1)
    assert kept.curve() == []
    found = kept.at(0.5)
    assert (found.fpir.value, found.fpir.low, found.fpir.high) == (None, 0.0, 1.0)
    assert found.fnir.of == 4


def test_scores_open_only_under_their_key_and_with_their_calibration(tmp_path: Path) -> None:
    kept, path, vault = scores_of(), tmp_path / ".gallery.scores", Vault()
    kept.save(path, vault, "one")
    back = SchoolScores.load(path, vault, "one")
    assert np.array_equal(back.strangers, kept.strangers)
    assert np.array_equal(back.owners, kept.owners)
    assert path.stat().st_mode & 0o077 == 0
    for key, calibration in ((vault, "another"), (Vault(), "one")):
        with pytest.raises(GalleryError, match="run 'kaimen calibrate'"):
            SchoolScores.load(path, key, calibration)
    with pytest.raises(GalleryError, match="run 'kaimen calibrate'"):
        SchoolScores.load(tmp_path / "none", vault, "one")


def test_scores_lie_hidden_beside_their_calibration() -> None:
    assert scores_path(Path("/a/gallery.calibration.json")) == Path("/a/.gallery.scores")
    bundled = Path("/a/bundles/gallery.0123.calibration.json")
    assert scores_path(bundled) == Path("/a/bundles/.gallery.0123.scores")


def test_who_was_removed_is_in_no_figure() -> None:
    kept = scores_of(10)
    numbers = np.unique(kept.owners).tolist()
    assert kept.only(numbers[1:]).at(0.6).fpir.of == 36
    assert kept.only([]).curve() == []


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_intervals_hold_the_truth_where_one_students_trials_are_alike(share: float) -> None:
    random = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        each = random.beta(share * 4, (1 - share) * 4, 100)  # students differ
        hits = random.random((100, 5)) < each[:, None]
        found = share_of(hits.ravel(), np.repeat(np.arange(100), 5))
        held += found.low <= share <= found.high
    assert held >= 0.92 * 400


@given(st.integers(0, 50), st.integers(1, 50), st.floats(0.5, 0.999))
def test_an_interval_holds_its_share(counted: int, more: int, confidence: float) -> None:
    share = counted / (counted + more)
    low, high = wilson(share, counted + more, confidence)
    assert 0 <= low <= share + 1e-12 <= high + 1e-9 <= 1 + 1e-9


def groups(scores: SchoolScores, count: int) -> dict[int, str]:
    numbers = np.unique(scores.owners).tolist()
    return {number: f"{place % count}a" for place, number in enumerate(numbers)}


def test_groups_alike_by_construction_are_not_said_to_differ() -> None:
    said = 0
    for seed in range(20):
        points = school(80, 4, 16, spread=1.0, seed=seed)
        gallery = enrolled(points)
        flat, counts = gallery.everything()
        numbers = np.array([each.number for each in gallery.members])
        kept = SchoolScores.of(leave_one_out(flat, counts), np.repeat(numbers, counts))
        card = fairness(kept, groups(kept, 4), 0.75)
        assert card.fnir is not None
        said += card.fnir.apart
    assert said <= 3


def test_a_group_that_is_turned_away_more_is_named_with_its_interval() -> None:
    kept = scores_of(80)
    whose = groups(kept, 4)
    worse = np.isin(kept.owners, [number for number, group in whose.items() if group == "2a"])
    shifted = SchoolScores(
        kept.owners, kept.strangers, np.where(worse, kept.own - 0.2, kept.own).astype(np.float32)
    )
    card = fairness(shifted, whose, float(np.quantile(kept.own, 0.1)))
    assert card.fnir is not None
    assert card.fnir.group == "2a"
    assert card.fnir.apart
    assert card.fnir.share.low > card.fnir.others.high
    assert "2a" in card.sentence
    assert "more than chance" in card.sentence


def test_a_group_of_few_is_not_shown() -> None:
    kept = scores_of(20)
    numbers = np.unique(kept.owners).tolist()
    small = dict.fromkeys(numbers[: FEWEST - 1], "small")
    card = fairness(kept, {**dict.fromkeys(numbers, "large"), **small}, 0.6)
    assert [each.group for each in card.groups] == ["large"]
    assert (card.small, card.fnir) == (1, None)
    assert "nothing to compare" in card.sentence


def test_one_stranger_in_one_group_is_chance() -> None:
    kept = scores_of(60)
    strangers = np.full_like(kept.strangers, 0.3)
    strangers[0] = 0.9
    card = fairness(SchoolScores(kept.owners, strangers, kept.own), groups(kept, 4), 0.8)
    assert card.fpir is not None
    assert (card.fpir.share.counted, card.fpir.median) == (1, 0)
    assert not card.fpir.apart
