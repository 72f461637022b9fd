"""Who is enrolled, who is near, and that no file loses them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decision import decide
from edge.errors import GalleryError, StorageError
from edge.gallery import Gallery
from tests.gallery.points import enrolled, school, unit

# A name that can be written: no lone surrogates, no NUL.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
SMALL = school(4, 3, 8)


def contents(gallery: Gallery) -> dict[str, list[Any]]:
    return {name: gallery.voiceprints(name).tolist() for name in gallery.students}


# What is known of whom


def test_an_empty_gallery_knows_nobody() -> None:
    gallery = Gallery("encoder", 8)
    assert len(gallery) == 0
    assert gallery.recordings == 0
    assert gallery.students == []
    assert gallery.nearest(SMALL[0, 0]) == []
    assert gallery.nearest_exactly(SMALL[0, 0]) == []


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
    np.testing.assert_array_equal(gallery.voiceprints("s000"), moved)
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
    before = gallery.checksum()
    with pytest.raises(GalleryError, match="s000"):
        gallery.enroll("s000", list(points))
    assert gallery.checksum() == before


@pytest.mark.parametrize("name", ["Li\0", "\udcff\udcfe", "\0"])
def test_a_name_that_cannot_be_stored_is_refused(name: str) -> None:
    gallery = Gallery("encoder", 8)
    with pytest.raises(GalleryError, match="rename") as caught:
        gallery.enroll(name, list(SMALL[0]))
    str(caught.value).encode()  # can be printed
    assert len(gallery) == 0


# Who is near


def test_a_score_is_the_mean_of_the_three_nearest_recordings() -> None:
    points = school(1, 5, 8)
    probe = school(1, 1, 8, seed=1)[0, 0]
    (match,) = enrolled(points).nearest(probe)
    assert match.score == pytest.approx(sorted(points[0] @ probe)[2:] @ np.full(3, 1 / 3))


def test_the_nearest_come_best_first_and_as_many_as_asked_for() -> None:
    gallery = enrolled(school(20, 2, 8))
    for count in (1, 3, 20):
        scores = [match.score for match in gallery.nearest(SMALL[0, 0], count)]
        assert len(scores) == count
        assert scores == sorted(scores, reverse=True)


def test_the_shortlist_finds_every_student_that_an_exact_search_finds() -> None:
    points = school(300, 5, 32)
    gallery = enrolled(points)
    probes = points[:, 0] + 0.3 * school(300, 1, 32, seed=1)[:, 0]
    for probe in unit(probes.astype(np.float64)):
        (approximate,), (exact,) = gallery.nearest(probe, 1), gallery.nearest_exactly(probe, 1)
        assert approximate == exact


def test_the_shortlist_never_scores_higher_than_an_exact_search() -> None:
    gallery = enrolled(school(300, 5, 32))
    for probe in school(100, 1, 32, seed=2)[:, 0]:  # strangers
        (approximate,), (exact,) = gallery.nearest(probe, 1), gallery.nearest_exactly(probe, 1)
        assert approximate.score <= exact.score


def test_a_probe_that_is_no_number_opens_nothing() -> None:
    gallery = enrolled(SMALL)
    assert not decide(gallery.nearest(np.full(8, np.nan, np.float32)), -1.0).opens


# What is kept on disk


@given(names=st.lists(NAMES, unique=True, max_size=6), seed=st.integers(0, 1000))
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], seed: int
) -> None:
    gallery = Gallery("encoder", 6)
    random = np.random.default_rng(seed)
    for name in names:
        gallery.enroll(name, list(unit(random.standard_normal((random.integers(1, 5), 6)))))
    path = tmp_path_factory.mktemp("gallery") / "gallery.npz"
    gallery.save(path)
    loaded = Gallery.load(path, "encoder")
    assert contents(loaded) == contents(gallery)
    assert loaded.checksum() == gallery.checksum()
    assert (loaded.encoder, loaded.dimension) == ("encoder", 6)


def test_a_gallery_is_saved_into_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "gallery.npz"
    enrolled(SMALL).save(path)
    assert len(Gallery.load(path, "encoder")) == 4


def test_a_gallery_is_for_its_owner_alone(tmp_path: Path) -> None:
    enrolled(SMALL).save(tmp_path / "gallery.npz")
    assert (tmp_path / "gallery.npz").stat().st_mode & 0o777 == 0o600


def test_a_loaded_gallery_finds_and_enrolls(tmp_path: Path) -> None:
    enrolled(SMALL).save(tmp_path / "gallery.npz")
    gallery = Gallery.load(tmp_path / "gallery.npz", "encoder")
    assert gallery.nearest(SMALL[2, 0])[0].student == "s002"
    gallery.enroll("Li", [SMALL[0, 0]])
    assert "Li" in gallery


def test_the_checksum_tells_every_difference() -> None:
    changed = SMALL.copy()
    changed[0, 0] = changed[0, 1]
    galleries = [
        enrolled(SMALL),
        enrolled(SMALL, "another"),
        enrolled(SMALL[:3]),
        enrolled(changed),
    ]
    renamed = enrolled(SMALL[:3])
    renamed.enroll("t", list(SMALL[3]))
    assert len({gallery.checksum() for gallery in [*galleries, renamed]}) == 5


def test_the_checksum_does_not_depend_on_who_came_first() -> None:
    backwards = Gallery("encoder", 8)
    for number in (3, 2, 1, 0):
        backwards.enroll(f"s{number:03}", list(SMALL[number]))
    assert backwards.checksum() == enrolled(SMALL).checksum()


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_noticed_or_harmless(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "gallery.npz"
    gallery = enrolled(SMALL[:2, :2])
    gallery.save(path)
    content = path.read_bytes()
    noticed = 0
    for position in range(mask % 5, len(content), 5):
        damaged = bytearray(content)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        try:
            assert Gallery.load(path, "encoder").checksum() == gallery.checksum()
        except GalleryError as error:
            assert str(path) in str(error)
            noticed += 1
    assert noticed > len(content) / 10  # most of the file is content, not padding


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.99])
def test_a_truncated_file_is_damaged(tmp_path: Path, share: float) -> None:
    path = tmp_path / "gallery.npz"
    enrolled(SMALL).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(GalleryError, match="damaged"):
        Gallery.load(path, "encoder")


def test_a_file_of_another_kind_is_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez(tmp_path / "b.npz", voice=np.zeros(3))
    (tmp_path / "c.npz").write_text("open sesame")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(GalleryError, match="damaged"):
            Gallery.load(path, "encoder")


def test_a_student_who_was_given_the_points_of_another_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "gallery.npz"
    enrolled(SMALL).save(path)
    with np.load(path) as stored:
        fields = {name: stored[name] for name in stored.files}
    np.savez(path, **{**fields, "students": fields["students"][::-1]})
    with pytest.raises(GalleryError, match="damaged"):
        Gallery.load(path, "encoder")


def test_a_gallery_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gallery.npz"
    enrolled(SMALL).save(path)
    with np.load(path) as stored:
        fields = {name: stored[name] for name in stored.files}
    np.savez(path, **{**fields, "format": 99})
    with pytest.raises(GalleryError, match="format of another version"):
        Gallery.load(path, "encoder")


def test_the_gallery_of_another_encoder_is_refused(tmp_path: Path) -> None:
    enrolled(SMALL).save(tmp_path / "gallery.npz")
    with pytest.raises(GalleryError, match="another encoder"):
        Gallery.load(tmp_path / "gallery.npz", "another")


def test_where_no_gallery_is_one_is_told_to_enroll(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="kaimen enroll"):
        Gallery.load(tmp_path / "gallery.npz", "encoder")


def test_a_folder_is_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="cannot be read"):
        Gallery.load(tmp_path, "encoder")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_write_leaves_the_old_gallery_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "gallery.npz"
    enrolled(SMALL[:2]).save(path)
    old = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(StorageError, match="No space left on device"):
        enrolled(SMALL).save(path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_in_the_middle_leaves_the_old_gallery(tmp_path: Path) -> None:
    path = tmp_path / "gallery.npz"
    enrolled(SMALL[:2]).save(path)
    old = path.read_bytes()
    program = f"""
import resource
from pathlib import Path
from edge.errors import StorageError
from tests.gallery.points import enrolled, school
gallery = enrolled(school(20, 5, 64))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # every file ends there
try:
    gallery.save(Path({str(path)!r}))
except StorageError as error:
    raise SystemExit(error.exit_code)
"""
    project = Path(__file__).parents[2]
    saved = subprocess.run(
        [sys.executable, "-c", program], cwd=project, check=False, capture_output=True
    )
    assert (saved.returncode, saved.stderr) == (6, b"")
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_gallery_and_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gallery.npz"
    enrolled(SMALL[:2]).save(path)
    old = path.read_bytes()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        enrolled(SMALL).save(path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]
