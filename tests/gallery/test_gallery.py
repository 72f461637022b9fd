"""Who is enrolled, who is near, and that no file loses them."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.access.decision import decide
from kaimen.errors import GalleryError
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.index import Index, index_path
from kaimen.gallery.match import Match
from kaimen.gallery.search import FEW, GLANCE, SHORTLIST
from kaimen.gallery.search_breadth import BREADTHS, _wanted
from kaimen.registry.lock import alone
from kaimen.registry.vault import Vault
from kaimen.voice.score import score_of
from tests.damage import flip
from tests.gallery.exact import nearest_exactly
from tests.gallery.points import Near, enrolled, school, unit

VAULT = Vault()
ROUNDING = 1e-6  # sums of products in another order
SMALL = school(4, 3, 8)


def contents(gallery: Gallery) -> dict[str, Near]:
    return {name: Near(gallery.voiceprints(name)) for name in gallery.students}


def same(some: np.ndarray, others: np.ndarray) -> bool:
    return some.shape == others.shape and np.allclose(some, others, atol=1e-6)


def alike(some: list[Match], others: list[Match]) -> bool:
    return [match.student for match in some] == [match.student for match in others] and all(
        one.score == pytest.approx(other.score, abs=ROUNDING)
        for one, other in zip(some, others, strict=True)
    )


# What is known of whom


def test_an_empty_gallery_knows_nobody() -> None:
    gallery = Gallery("encoder", 8)
    assert len(gallery) == 0
    assert gallery.recordings == 0
    assert gallery.students == []
    assert gallery.nearest(SMALL[0, 0]) == []
    assert nearest_exactly(gallery, SMALL[0, 0]) == []


def test_students_are_counted_and_named_in_order() -> None:
    gallery = Gallery("encoder", 8)
    gallery.enroll("王", list(SMALL[0]))
    gallery.enroll("Anna", list(SMALL[1, :2]))
    assert len(gallery) == 2
    assert gallery.recordings == 5
    assert gallery.students == ["Anna", "王"]
    assert "王" in gallery
    assert "Li" not in gallery


def test_enrolling_again_replaces_what_was_known() -> None:
    gallery = enrolled(SMALL)
    assert gallery.nearest(SMALL[0, 0])[0].student == "s000"
    moved = unit(-SMALL[0, :1].astype(np.float64))
    gallery.enroll("s000", list(moved))
    np.testing.assert_allclose(gallery.voiceprints("s000"), moved, atol=1e-6)
    assert gallery.nearest(moved[0])[0].student == "s000"
    assert gallery.nearest(SMALL[0, 0])[0].student != "s000"


def test_who_is_enrolled_after_a_search_is_found() -> None:
    gallery = enrolled(SMALL[:3])
    assert gallery.nearest(SMALL[3, 0])[0].student != "Li"
    gallery.enroll("Li", list(SMALL[3]))
    assert gallery.nearest(SMALL[3, 0])[0].student == "Li"


def test_who_is_removed_is_forgotten() -> None:
    gallery = enrolled(SMALL)
    gallery.nearest(SMALL[1, 0])
    gallery.remove("s001")
    assert "s001" not in gallery
    found = gallery.nearest(SMALL[1, 0], count=10)
    assert sorted(match.student for match in found) == ["s000", "s002", "s003"]


@pytest.mark.parametrize("method", ["remove", "voiceprints"])
def test_who_was_never_enrolled_is_named(method: str) -> None:
    with pytest.raises(GalleryError, match="Li is not enrolled") as caught:
        getattr(enrolled(SMALL), method)("Li")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 8)),
        np.zeros(8),
        SMALL[0, :, :7],
        SMALL,
        SMALL[0] * 1.01,
        np.zeros((1, 8)),
        np.full((1, 8), np.nan),
        np.vstack((SMALL[0], np.full((1, 8), np.inf))),
    ],
    ids=["none", "flat", "narrow", "deep", "long", "zero", "nan", "inf"],
)
def test_points_that_do_not_fit_are_refused_and_change_nothing(points: np.ndarray) -> None:
    gallery = enrolled(SMALL)
    before = contents(gallery)
    with pytest.raises(GalleryError, match="s000"):
        gallery.enroll("s000", list(points))
    assert contents(gallery) == before


# Who is near


def test_a_score_is_half_the_best_recordings_and_half_the_centroids() -> None:
    points = school(1, 5, 8)
    probe = school(1, 1, 8, seed=1)[0, 0]
    (match,) = enrolled(points).nearest(probe)
    centroid = unit(points[0].sum(axis=0)) @ probe
    assert match.score == pytest.approx((max(points[0] @ probe) + centroid) / 2)


def test_scores_are_those_of_the_recordings_there_are_whatever_changed(path: Path) -> None:
    points, again = school(30, 4, 8), school(30, 3, 8, seed=1)
    operator, running = opened(path), opened(path)
    probe = points[0, 0]

    def expected(students: dict[str, np.ndarray]) -> list[tuple[str, float]]:
        found = [(name, score_of(own, probe[np.newaxis])[0]) for name, own in students.items()]
        return sorted(found, key=lambda match: -match[1])

    there: dict[str, np.ndarray] = {}
    for change in ("come", "come again", "leave", "one more"):
        if change == "come":
            there = {f"s{number:03}": own for number, own in enumerate(points[:28])}
        elif change == "come again":
            there |= {f"s{number:03}": again[number] for number in range(0, 28, 3)}
        elif change == "leave":
            for name in ("s001", "s003"):
                operator.remove(name)
                del there[name]
        else:
            there["s029"] = points[29]
        for name, own in there.items():
            if name not in operator or not same(operator.voiceprints(name), own):
                operator.enroll(name, list(own))
        assert running.refresh()
        for gallery in (operator, running, opened(path)):
            found = nearest_exactly(gallery, probe, 30)
            assert [match.student for match in found] == [name for name, _ in expected(there)]
            np.testing.assert_allclose(
                [match.score for match in found],
                [score for _, score in expected(there)],
                atol=ROUNDING,
            )


def test_a_student_between_whose_recordings_the_probe_lies_is_found() -> None:
    """Their score is above every cosine of theirs, and above that of who is nearer by one."""
    points = school(60, 5, 32)
    probe = unit(np.ones(32))
    aside = [unit(np.eye(32)[0:1] - probe * probe[0])[0], unit(np.eye(32)[1:2])[0]]
    aside[1] = unit((aside[1] - probe * (aside[1] @ probe))[np.newaxis])[0]
    wide = [unit(probe + 1.2 * side * sign) for side in aside for sign in (1, -1)]
    gallery = enrolled(points)
    gallery.enroll("wide", wide)
    gallery.enroll("near", [unit(probe + 1.0 * aside[0])])
    assert gallery.recordings > FEW  # so they are searched
    (nearest,) = gallery.nearest(probe, 1)
    assert nearest.student == "wide"
    assert nearest.score > max(float(point @ probe) for point in wide)


def test_the_nearest_come_best_first_and_as_many_as_asked_for() -> None:
    gallery = enrolled(school(20, 2, 8))
    for count in (1, 3, 20):
        scores = [match.score for match in gallery.nearest(SMALL[0, 0], count)]
        assert len(scores) == count
        assert scores == sorted(scores, reverse=True)


@pytest.mark.slow
def test_the_shortlist_finds_every_student_that_an_exact_search_finds() -> None:
    points = school(500, 5, 32)
    assert points[..., 0].size > FEW  # so they are searched
    gallery = enrolled(points)
    probes = (points[:, 0] + 0.3 * school(500, 1, 32, seed=1)[:, 0])[:100]
    for probe in unit(probes.astype(np.float64)):
        (approximate,), (exact,) = gallery.nearest(probe, 1), nearest_exactly(gallery, probe, 1)
        assert alike([approximate], [exact])


@pytest.mark.slow
def test_the_shortlist_never_scores_higher_than_an_exact_search() -> None:
    gallery = enrolled(school(500, 5, 32))
    for probe in school(100, 1, 32, seed=2)[:, 0]:  # strangers
        (approximate,), (exact,) = gallery.nearest(probe, 1), nearest_exactly(gallery, probe, 1)
        assert approximate.score <= exact.score + ROUNDING


def test_who_a_glance_would_turn_away_is_looked_for_far_and_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = school(500, 5, 32)
    gallery = enrolled(points)
    parts: list[int] = []
    search = Index.search

    def counted(index: Index, probe: Any, count: int, *, part: int = 1) -> Any:
        parts.append(part)
        return search(index, probe, count, part=part)

    monkeypatch.setattr(Index, "search", counted)
    (student,) = gallery.nearest(points[7, 0], 1, sure=0.6)
    assert (student.student, parts) == ("s007", [GLANCE])
    stranger = school(1, 1, 32, seed=3)[0, 0]
    assert alike(gallery.nearest(stranger, sure=0.99), gallery.nearest(stranger))
    assert parts[1:] == [GLANCE, 1, 1]


def test_a_probe_that_is_no_number_opens_nothing() -> None:
    gallery = enrolled(SMALL)
    assert not decide(gallery.nearest(np.full(8, np.nan, np.float32)), -1.0).opens


def test_a_recording_that_is_no_number_opens_nothing_and_is_in_nobodys_way() -> None:
    gallery = enrolled(SMALL)
    broken = SMALL[0].copy()
    broken[1, 3] = np.nan
    gallery.registry.enroll("broken", broken, "encoder")  # the gallery itself refuses it
    gallery.refresh()
    probe = SMALL[0, 0]
    assert alike(gallery.nearest(probe, 4), enrolled(SMALL).nearest(probe, 4))
    assert not decide(gallery.claimed("broken", probe), -1.0).opens


def test_a_student_with_many_recordings_alike_crowds_nobody_out() -> None:
    points = school(420, 5, 32)
    gallery = enrolled(points)
    crowd = unit(points[0, 0] + 0.01 * np.random.default_rng(0).standard_normal((200, 32)))
    gallery.enroll("crowd", list(crowd))
    # Near the crowd, and nearer to one of its own.
    probe = unit(points[1, 0] + 0.99 * points[0, 0].astype(np.float64))
    found = {match.student: match.score for match in gallery.nearest(probe, 8)}
    exact = {match.student: match.score for match in nearest_exactly(gallery, probe, len(gallery))}
    assert len(found) == 8 and found["s001"] == pytest.approx(exact["s001"], abs=ROUNDING)
    # The graph is built by several threads, each time another: of a crowd it may miss the nearest.
    assert all(score <= exact[student] + ROUNDING for student, score in found.items())


# Who may enter


def grouped(count: int) -> tuple[Gallery, np.ndarray]:
    """Students of the groups g0, g1 and g2 in turn."""
    points = school(count, 5, 32)
    gallery = Gallery("encoder", 32)
    for number, own in enumerate(points):
        gallery.enroll(f"s{number:03}", list(own), group=f"g{number % 3}")
    return gallery, points


@pytest.mark.slow
@pytest.mark.parametrize("count", [30, 1500])
def test_only_students_of_the_groups_are_looked_for(count: int) -> None:
    gallery, points = grouped(count)
    assert gallery.nearest(points[4, 0], 1)[0].student == "s004"
    assert gallery.nearest(points[4, 0], 1, groups={"g1"})[0].student == "s004"
    others = gallery.nearest(points[4, 0], 5, groups=["g0", "g2"])
    assert {int(match.student[1:]) % 3 for match in others} <= {0, 2}
    assert gallery.nearest(points[4, 0], groups=[]) == []


def test_without_consent_nobody_is_recognised() -> None:
    gallery = enrolled(SMALL)
    gallery.enroll("Li", list(SMALL[0]), consent=datetime.date(2027, 7, 31))
    gallery.remove("s000")
    last, after = datetime.date(2027, 7, 31), datetime.date(2027, 8, 1)
    assert gallery.nearest(SMALL[0, 0], day=last)[0].student == "Li"
    assert "Li" not in [match.student for match in gallery.nearest(SMALL[0, 0], day=after)]
    assert gallery.claimed("Li", SMALL[0, 0], day=last)
    assert gallery.claimed("Li", SMALL[0, 0], day=after) == []


def test_a_claim_is_compared_with_one_student_alone() -> None:
    gallery, points = grouped(6)
    (match,) = gallery.claimed("s002", points[4, 0])
    assert match.student == "s002"
    assert match.score == pytest.approx(score_of(points[2], points[4, :1])[0])
    assert gallery.claimed("s002", points[4, 0], groups={"g1"}) == []
    assert gallery.claimed("nobody", points[4, 0]) == []


# What is kept on disk


def opened(path: Path, encoder: str = "encoder") -> Gallery:
    return Gallery.open(path, VAULT, encoder, 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A registry of four students with its index."""
    path = tmp_path / "gallery.sqlite"
    gallery = opened(path)
    for number, own in enumerate(SMALL):
        gallery.enroll(f"s{number:03}", list(own))
    gallery.save()
    return path


def test_what_is_enrolled_is_there_when_it_is_opened_again(path: Path) -> None:
    assert contents(opened(path)) == contents(enrolled(SMALL))


def test_a_gallery_that_was_not_saved_is_there_when_it_is_opened_again(path: Path) -> None:
    opened(path).enroll("Li", list(SMALL[0]))
    np.testing.assert_allclose(opened(path).voiceprints("Li"), SMALL[0], atol=1e-6)


@pytest.mark.parametrize("damage", ["missing", "flipped", "of nobody"])
def test_the_index_is_made_anew_when_its_file_is_of_no_use(path: Path, damage: str) -> None:
    index = index_path(path)
    if damage == "missing":
        index.unlink()
    elif damage == "flipped":
        flip(index, index.stat().st_size // 2)
    else:
        Index(8).save(index, VAULT, "encoder")
    gallery = opened(path)
    assert gallery.nearest(SMALL[2, 0])[0].student == "s002"
    assert contents(gallery) == contents(enrolled(SMALL))


def test_an_old_index_forgets_who_was_removed_since(path: Path) -> None:
    old = index_path(path).read_bytes()
    opened(path).remove("s001")
    index_path(path).write_bytes(old)
    gallery = opened(path)
    assert [match.student for match in gallery.nearest(SMALL[1, 0], 10)].count("s001") == 0
    gallery.save()
    assert Index.load(index_path(path), VAULT, "encoder").numbers.tolist() == [
        *range(1, 4),
        *range(7, 13),
    ]


def test_who_is_removed_is_gone_from_the_index_file_at_once(path: Path) -> None:
    opened(path).remove("s001")
    assert set(Index.load(index_path(path), VAULT, "encoder").numbers.tolist()).isdisjoint(
        {4, 5, 6}
    )


def test_students_of_another_encoder_are_not_compared(path: Path) -> None:
    gallery = opened(path, "another")
    assert len(gallery) == 0
    assert gallery.nearest(SMALL[0, 0]) == []
    gallery.enroll("s000", list(SMALL[3]))
    assert gallery.students == ["s000"]
    assert opened(path).students == ["s001", "s002", "s003"]


def test_a_running_gallery_takes_over_what_another_process_changed(path: Path) -> None:
    running, operator = opened(path), opened(path)
    assert len(running) == len(operator) == 4
    assert not running.refresh()
    operator.enroll("Li", [SMALL[0, 0]])
    operator.remove("s001")
    assert running.refresh()
    assert running.students == ["Li", "s000", "s002", "s003"]
    assert not running.refresh()


@pytest.mark.slow
def test_searches_go_on_while_students_come_and_go(tmp_path: Path) -> None:
    points = school(600, 5, 8)
    path = tmp_path / "gallery.sqlite"
    operator, running = opened(path), opened(path)
    for number in range(500):
        operator.enroll(f"s{number:03}", list(points[number]))
    running.refresh()
    ended = threading.Event()
    failed: list[BaseException] = []

    def keep() -> None:
        try:
            while not ended.is_set():
                running.refresh()
        except BaseException as error:
            failed.append(error)

    saver = threading.Thread(target=keep)
    saver.start()
    try:
        for number in range(500, 560):
            operator.enroll(f"s{number:03}", list(points[number]))
            operator.registry.remove(f"s{number - 400:03}")
            assert running.nearest(points[0, 0], 1)[0].student == "s000"
    finally:
        ended.set()
        saver.join()
    running.refresh()
    assert failed == []
    assert len(running) == 500
    assert running.nearest(points[550, 0], 1)[0].student == "s550"


def test_how_broadly_is_searched_is_chosen_by_what_a_scan_finds(path: Path) -> None:
    gallery = opened(path)
    for number, own in enumerate(school(450, 5, 8)):
        gallery.registry.enroll(f"t{number:03}", own, "encoder")
    gallery = opened(path)
    gallery.save()
    index = Index.load(index_path(path), VAULT, "encoder")
    assert index.tuned == len(index) > FEW
    assert index.breadth in BREADTHS[1:]
    probes, wanted = _wanted(index, gallery._held.members, SHORTLIST)
    for probe, recording in zip(index.points(probes), wanted, strict=True):
        assert recording in index.search(probe, SHORTLIST)[0]


def test_a_gallery_whose_registry_cannot_be_closed_lets_a_backup_be_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gallery.sqlite"
    gallery = Gallery.open(path, VAULT, "encoder", 8)
    with monkeypatch.context() as broken:
        broken.setattr(gallery.registry, "close", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            gallery.close()
    with alone(path):
        pass
    gallery.registry.close()
