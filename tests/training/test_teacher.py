"""Teachers are asked once for each clip; without them, a sentence says how to get them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import SettingsError
from kaimen_train.data.corpus import Clips
from kaimen_train.encoder import teacher
from kaimen_train.peers import call

COUNT = 7


@pytest.fixture
def clips() -> Clips:
    """Clip n is n + 1 samples of n."""
    lengths = np.arange(1, COUNT + 1)
    ends = np.cumsum(lengths)
    samples = np.repeat(np.arange(COUNT), lengths).astype(np.int16)
    return Clips(samples, ends - lengths, ends, [{"path": str(n)} for n in range(COUNT)])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sounds each call asked for; the point of a sound is (its value, its length)."""
    counts: list[int] = []

    def embed(sounds: Sequence[np.ndarray], peer: str) -> np.ndarray:
        counts.append(len(sounds))
        return np.array([[sound[0], len(sound)] for sound in sounds], np.float32)

    monkeypatch.setattr(call, "embed", embed)
    monkeypatch.setattr(teacher, "BATCH", 3)
    monkeypatch.setattr(teacher, "TEACHERS", ("only",))
    return counts


def test_every_clip_has_its_point_in_order(clips: Clips, asked: list[int], tmp_path: Path) -> None:
    found = teacher.points(clips, tmp_path)
    np.testing.assert_array_equal(found[0], [[n, n + 1] for n in range(COUNT)])
    assert sorted(asked) == [1, 3, 3]


def test_a_teacher_is_asked_once(clips: Clips, asked: list[int], tmp_path: Path) -> None:
    first = teacher.points(clips, tmp_path)
    asked.clear()
    np.testing.assert_array_equal(teacher.points(clips, tmp_path)[0], first[0])
    assert asked == []


def test_after_an_interruption_only_the_rest_is_asked_for(
    clips: Clips, asked: list[int], tmp_path: Path
) -> None:
    teacher.points(clips, tmp_path)
    next(tmp_path.rglob("0000003.npy")).unlink()
    asked.clear()
    assert len(teacher.points(clips, tmp_path)[0]) == COUNT
    assert asked == [3]


def test_other_clips_are_asked_for_anew(clips: Clips, asked: list[int], tmp_path: Path) -> None:
    teacher.points(clips, tmp_path)
    some = clips.only(np.arange(2))
    np.testing.assert_array_equal(teacher.points(some, tmp_path)[0], [[0, 1], [1, 2]])


def test_every_teacher_is_asked(
    clips: Clips, asked: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "TEACHERS", ("one", "other"))
    assert len(teacher.points(clips, tmp_path)) == 2
    assert sorted(asked) == [1, 1, 3, 3, 3, 3]


def test_together_the_cosine_is_the_mean_of_the_centred_teachers() -> None:
    random = np.random.default_rng(0)
    each = [random.normal(size=(COUNT, size)).astype(np.float32) for size in (4, 6)]
    found = teacher.together(each)
    centred = [points - points.mean(axis=0) for points in each]
    unit = [points / np.linalg.norm(points, axis=1, keepdims=True) for points in centred]
    mean = sum(points @ points.T for points in unit) / 2
    np.testing.assert_allclose(found @ found.T, mean, atol=1e-6)


def test_without_peers_it_is_said_how_to_install_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "PYTHON", tmp_path / "nowhere")
    with pytest.raises(SettingsError, match="make peers"):
        call.embed([np.zeros(400, np.int16)], "ge2e")
