"""A keyed rotation keeps every cosine, and puts voiceprints of one voice elsewhere by each key."""

from __future__ import annotations

import numpy as np
import pytest

from kaimen.registry.rotation import Rotation
from kaimen.registry.vault import Vault

EXPECTED = [0.1395633, 0.7515946, -0.6263271, 0.1527809]  # the first line of a matrix
KEYS = [Vault(bytes([number]) * 32) for number in (1, 2)]
SIZE = 192


def school(students: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (recordings, SIZE) of made-up voices in a lopsided space, and whose they are."""
    random = np.random.default_rng(seed)
    scales = 1 / np.arange(1, SIZE + 1) ** 0.35  # lopsided, as an encoder's points are
    centres = np.repeat(random.standard_normal((students, SIZE)), each, axis=0)
    points = (centres + 0.9 * random.standard_normal(centres.shape)) * scales
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), np.repeat(np.arange(students), each)


def equal_error_rate(same: np.ndarray, others: np.ndarray) -> float:
    """Return the share at which as many of ``same`` lie below as of ``others`` above."""
    levels = np.sort(np.concatenate([same, others]))
    missed = np.searchsorted(np.sort(same), levels, side="left") / len(same)
    passed = 1 - np.searchsorted(np.sort(others), levels, side="left") / len(others)
    at = int(np.abs(missed - passed).argmin())
    return float(missed[at] + passed[at]) / 2


def pairs(cosines: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    alike = owners[:, None] == owners[None]
    apart = ~np.eye(len(owners), dtype=bool)
    return cosines[alike & apart], cosines[~alike]


@pytest.fixture(params=[8, 64, SIZE])
def rotation(request: pytest.FixtureRequest) -> tuple[Rotation, int]:
    return Rotation.of(KEYS[0], "encoder", request.param), request.param


def test_a_rotation_keeps_lengths_and_cosines_and_can_be_undone(
    rotation: tuple[Rotation, int],
) -> None:
    turn, size = rotation
    points = np.random.default_rng(1).standard_normal((200, size)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    moved = turn.apply(points)
    np.testing.assert_allclose(moved @ moved.T, points @ points.T, atol=2e-6)
    np.testing.assert_allclose(turn.undo(moved), points, atol=2e-6)
    assert np.abs(moved - points).max() > 0.1


def test_a_rotation_is_the_same_for_a_key_on_every_machine() -> None:
    first = Rotation.of(KEYS[0], "encoder", 4).apply(np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(first[0], EXPECTED, atol=1e-6)
    other = Rotation.of(KEYS[0], "another", 4).apply(np.eye(4, dtype=np.float32))
    assert np.abs(first - other).max() > 0.1


def test_the_equal_error_rate_is_the_same_in_the_kept_space() -> None:
    points, owners = school(100, 5)
    moved = Rotation.of(KEYS[0], "encoder", SIZE).apply(points)
    before = equal_error_rate(*pairs(points @ points.T, owners))
    after = equal_error_rate(*pairs(moved @ moved.T, owners))
    assert 0.005 < before < 0.3
    assert after == pytest.approx(before, rel=0.05)


def test_voiceprints_of_one_voice_under_two_keys_are_linked_no_better_than_chance() -> None:
    points, owners = school(200, 5)
    one, other = (Rotation.of(key, "encoder", SIZE).apply(points) for key in KEYS)
    alike = owners[:, None] == owners[None]
    cosines = one @ other.T
    assert equal_error_rate(cosines[alike], cosines[~alike]) >= 0.45
    same_recording = np.diag(cosines)
    assert equal_error_rate(same_recording, cosines[~alike]) >= 0.45


def test_whole_galleries_are_linked_by_their_distances_as_the_page_on_privacy_says() -> None:
    points, _ = school(40, 5)
    one, other = (Rotation.of(key, "encoder", SIZE).apply(points) for key in KEYS)
    shuffled = np.random.default_rng(2).permutation(len(points))
    other = other[shuffled]
    ways = [np.sort(each @ each.T, axis=1) for each in (one, other)]
    distances = ((ways[0][:, None] - ways[1][None]) ** 2).sum(axis=2)
    assert (shuffled[distances.argmin(axis=1)] == np.arange(len(points))).mean() > 0.95
