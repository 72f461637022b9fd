"""A school's own map, on points whose truth is known; and the file that carries it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import EncoderError, GalleryError, SettingsError
from kaimen.registry.space_map import SpaceMap
from kaimen.rehearsal import RECORDINGS
from kaimen.voice import SMALL
from kaimen.voice.encoder import Encoder
from kaimen_train.adapt import whitening
from kaimen_train.cli import main, options
from kaimen_train.evaluation.metrics import interval_of_separation_gained, separation

DIMENSION = 24
WEIGHTS = options.WEIGHTS.with_name("deep.weights.h5")  # of the small encoder


def unit(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def school(
    students: int = 20, recordings: int = 5, *, nuisance: float, common: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Students apart in all directions but the first two: one varies, the other is everybody's."""
    random = np.random.default_rng(seed)
    who = np.repeat(np.arange(students), recordings)
    points = random.normal(size=(students, DIMENSION))[who]
    points += random.normal(0, 0.4, (len(who), DIMENSION))
    points[:, 0] = random.normal(0, nuisance, len(who))
    points[:, 1] = common
    return unit(points), np.array([f"s{number:02d}" for number in who])


def separated(points: np.ndarray, names: np.ndarray) -> float:
    one, other = np.triu_indices(len(points), 1)
    return separation((points @ points.T)[one, other], names[one] == names[other])


def test_what_varies_within_students_and_what_all_share_count_less_after_the_map() -> None:
    way = whitening.fit(*school(nuisance=6, common=8), share=0.3)
    lengths = np.linalg.norm(way, axis=1)
    assert lengths[0] < 0.5 * np.median(lengths[2:])
    assert lengths[1] < 0.5 * np.median(lengths[2:])


def test_other_students_are_easier_to_tell_apart_after_the_map() -> None:
    way = whitening.fit(*school(nuisance=6, common=8), share=0.3)
    others, names = school(nuisance=6, common=8, seed=1)
    moved = whitening.move(others, way)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, rtol=1e-5)
    assert separated(moved, names) > separated(others, names) + 1


def test_a_map_that_knows_nothing_leaves_cosines_as_they_are() -> None:
    points, names = school(nuisance=1, common=0)
    points = np.concatenate((points, -points))  # nothing in common
    names = np.concatenate((names, np.char.add(names, "'")))
    moved = whitening.move(points, whitening.fit(points, names, share=1.0))
    np.testing.assert_allclose(moved @ moved.T, points @ points.T, atol=1e-4)


def test_a_gain_is_certain_where_there_is_one() -> None:
    found = whitening.gain(*school(nuisance=6, common=8))
    assert found.certain
    assert found.after < 0.8 * found.before
    assert found.share in whitening.SHARES
    assert (found.students, found.recordings) == (20, 100)
    assert found.strangers["scores"] > 0


def test_without_a_nuisance_there_is_no_certain_gain() -> None:
    assert not whitening.gain(*school(nuisance=1, common=0)).certain


def test_students_and_not_recordings_are_split() -> None:
    names = np.repeat([f"s{n}" for n in range(10)], 3)
    for apart in whitening._folds(names, 2):
        assert not set(names[apart]) & set(names[~apart])
    counted = np.sum(list(whitening._folds(names, 2)), axis=0)
    assert (counted == 2).all()


def test_students_of_one_recording_say_nothing_and_too_few_are_refused() -> None:
    points, names = school(students=10, recordings=5, nuisance=6, common=8)
    names[names == "s09"] = [f"x{n}" for n in range(5)]  # five of one recording
    assert whitening.gain(points, names).students == 9
    with pytest.raises(SettingsError, match="needs 8"):
        whitening.gain(points[:35], names[:35])


def test_a_learned_map_finds_the_way_between_two_spaces() -> None:
    random = np.random.default_rng(0)
    way = np.linalg.qr(random.normal(size=(DIMENSION, DIMENSION)))[0]
    way[:, 0] *= 0.3
    old = unit(random.normal(size=(400, DIMENSION)))
    found = whitening.learned(old, unit(old @ way))
    fresh = unit(random.normal(size=(50, DIMENSION)))
    cosines = np.sum(whitening.move(fresh, found) * unit(fresh @ way), axis=1)
    assert cosines.min() > 0.99


def test_a_few_recordings_teach_a_rotation_rather_than_nothing() -> None:
    random = np.random.default_rng(1)
    old = unit(random.normal(size=(12, DIMENSION)))
    np.testing.assert_allclose(whitening.move(old, whitening.learned(old, old)), old, atol=1e-5)


def test_separation_is_d_prime() -> None:
    random = np.random.default_rng(0)
    same = np.arange(40_000) < 20_000
    scores = random.normal(size=40_000) * 0.1 + same * 0.2
    assert separation(scores, same) == pytest.approx(2, abs=0.05)


def test_an_interval_of_no_change_is_nothing() -> None:
    points, names = school(nuisance=1, common=0)
    one, other = np.triu_indices(len(points), 1)
    _, who = np.unique(names, return_inverse=True)
    scores = (points @ points.T)[one, other]
    found = interval_of_separation_gained(scores, scores, who[one], who[other], rounds=20)
    assert found == (0, 0)


def test_a_map_is_kept_in_a_file_and_carries_points_exactly(tmp_path: Path) -> None:
    points, names = school(nuisance=6, common=8)
    way = whitening.fit(points, names, share=0.6)
    SpaceMap("old", "new", way).save(tmp_path / "map.npz")
    carried = SpaceMap.read(tmp_path / "map.npz")
    assert (carried.old, carried.new) == ("old", "new")
    np.testing.assert_allclose(carried(points), whitening.move(points, way), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_no_map_is_said_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "map.npz"
    if content is None:
        np.savez(path, old="a", new="b", way=np.zeros((2, 3)))
    else:
        path.write_bytes(content)
    with pytest.raises(GalleryError, match="not a map"):
        SpaceMap.read(path)


# Keras 2.14 seeds itself in a way that Python has come to dislike.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")
def test_a_folded_map_gives_the_points_that_mapping_afterwards_gives() -> None:
    tf = pytest.importorskip("tensorflow")
    from kaimen_train.encoder.quantize import fold, rotate, rotation
    from kaimen_train.networks import deep

    tf.keras.utils.set_random_seed(0)
    network = deep.build(60, deep.DeepShape(2, 8, 1, 4, 16, DIMENSION))
    heard = np.random.default_rng(0).normal(size=(6, 60, 64)).astype(np.float32)
    rotate(network, 0)
    before = unit(network(heard).numpy())
    way = whitening.fit(*school(nuisance=6, common=8), share=0.6)
    fold(network, way)
    np.testing.assert_allclose(unit(network(heard).numpy()), whitening.move(before, way), atol=1e-4)
    rotate(network, 3)
    turned = whitening.move(before, (way @ rotation(DIMENSION, 3)).astype(np.float32))
    np.testing.assert_allclose(unit(network(heard).numpy()), turned, atol=1e-4)


def demo_school() -> tuple[object, Encoder, np.ndarray, whitening.Gain]:
    """The demo's synthetic voices as a school, and a gain that claims to be certain."""
    adapt = pytest.importorskip("kaimen_train.adapt.adapt")
    school_ = adapt.SchoolRecordings.read(RECORDINGS)
    encoder = Encoder(SMALL)  # quickly quantized
    gained = whitening.Gain(0.1, 0.05, (0.5, 1.0), 0.9, 6, 60, {"mean": 0.1, "deviation": 0.2})
    return school_, encoder, school_.points(encoder), gained


def test_a_folder_of_recordings_is_a_school() -> None:
    found, encoder, points, _ = demo_school()
    assert len(found.students) == len(found.sounds) == len(points) > 20
    assert set(found.students) <= {each.name for each in RECORDINGS.iterdir()}
    assert points.shape[1] == encoder.card.dimension


@pytest.mark.slow
@pytest.mark.parametrize("certain", [False, True])
def test_the_old_encoder_is_kept_unless_the_gain_is_certain(
    certain: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    adapt = pytest.importorskip("kaimen_train.adapt.adapt")
    _, encoder, _, gained = demo_school()
    gained = replace(gained, separation=(0.2 if certain else -0.2, 1.0))
    monkeypatch.setattr(adapt, "gain", lambda *_: gained)
    monkeypatch.setattr(adapt, "adapt", lambda *_: encoder.card)
    out = tmp_path / "adapted.tflite"
    command = ["adapt", "--speech", str(RECORDINGS), "--out", str(out)]
    assert main.main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["encoder"] == (str(out) if certain else None)
    assert main.main(command) == 0
    assert ("the encoder stays" in capsys.readouterr().out) != certain


@pytest.mark.slow
def test_an_encoder_without_its_float_network_is_not_adapted(tmp_path: Path) -> None:
    adapt = pytest.importorskip("kaimen_train.adapt.adapt")
    found, encoder, points, gained = demo_school()
    with pytest.raises(EncoderError, match="float network"):
        adapt.adapt(found, points, gained, encoder, tmp_path / "none.h5", tmp_path / "out.tflite")
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")
def test_an_adapted_encoder_gives_the_points_that_its_map_carries(tmp_path: Path) -> None:
    adapt = pytest.importorskip("kaimen_train.adapt.adapt")
    found, encoder, points, gained = demo_school()
    out = tmp_path / "adapted.tflite"
    adapt.adapt(found, points, gained, encoder, WEIGHTS, out)
    carrying = SpaceMap.read(out.with_suffix(".npz"))
    for runtime in (None, "tflite_runtime"):
        adapted = Encoder(out, runtime=runtime)
        assert (carrying.old, carrying.new) == (encoder.identity, adapted.identity)
        assert adapted.card.training["adapted"]["from"] == encoder.identity
        cosines = np.sum(found.points(adapted) * carrying(points), axis=1)
        assert cosines.mean() > 0.98
    with pytest.raises(EncoderError, match="float network"):
        adapt.adapt(found, points, gained, Encoder(out), WEIGHTS, tmp_path / "again.tflite")


def test_of_a_large_school_all_own_pairs_are_compared_and_some_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    who = np.repeat(np.arange(20), 3)
    every, _ = whitening._pairs(who)
    assert len(every) == 60 * 59 // 2
    monkeypatch.setattr(whitening, "PAIRS", 100)
    one, other = whitening._pairs(who)
    assert np.sum(who[one] == who[other]) == 20 * 3
    assert np.sum(who[one] != who[other]) == 100
    assert (one < other).all()
