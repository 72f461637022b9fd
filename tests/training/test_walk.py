"""Walks through a latent space: where they lead, and what is left of them on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("tensorflow")
pytest.importorskip("matplotlib")

from PIL import Image

from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE
from kaimen.voice import SMALL, features
from kaimen.voice.encoder import Encoder
from kaimen_train.autoencoder import fit as training
from kaimen_train.autoencoder import latent_map
from kaimen_train.autoencoder.fit import Autoencoder
from kaimen_train.autoencoder.walk import anywhere, between, distances, files, straight, walk, write
from kaimen_train.cli import main
from kaimen_train.networks.autoencoder import AutoencoderShape
from tests.sounds import in_a_room, silence, spoken

# Keras 2.14 seeds itself in a way that Python has come to dislike.
pytestmark = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")
SHAPE = AutoencoderShape(frames=32, channels=(4, 4, 4, 4), full=4, dimension=3)


@pytest.fixture(scope="module")
def untrained() -> Autoencoder:
    return Autoencoder(SHAPE)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(SMALL)


def test_a_walk_turns_evenly_and_keeps_its_length() -> None:
    first, last = np.float32([2, 0, 0]), np.float32([0, 2, 0])
    points = walk(first, last, 5)
    np.testing.assert_allclose(points[[0, -1]], [first, last], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2, rtol=1e-6)
    angles = np.arccos(np.sum(points[1:] * points[:-1], axis=1) / 4)
    np.testing.assert_allclose(angles, np.pi / 8, rtol=1e-5)
    assert np.linalg.norm(straight(first, last, 5)[2]) == pytest.approx(np.sqrt(2))


def test_lengths_change_evenly() -> None:
    points = walk(np.float32([1, 0]), np.float32([0, 3]), 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), [1, 2, 3], rtol=1e-6)


@pytest.mark.parametrize("last", [[-1, 0], [1, 0], [0, 0], [3, 0]])
def test_where_there_is_no_arc_the_way_is_straight(last: list[float]) -> None:
    first, end = np.float32([1, 0]), np.float32(last)
    np.testing.assert_allclose(walk(first, end, 4), straight(first, end, 4), atol=1e-6)


def test_distances_are_none_to_oneself(encoder: Encoder) -> None:
    pictures = [features.log_mel(spoken(0.6, pitch)) for pitch in (100, 150, 220)]
    ends = [encoder.embed_features(pictures[at]) for at in (0, -1)]
    away = distances(encoder, pictures, ends)
    assert away.shape == (3, 2)
    assert away[0, 0] == pytest.approx(0, abs=1e-6)
    assert away[2, 1] == pytest.approx(0, abs=1e-6)
    assert away[2, 0] == pytest.approx(away[0, 1])
    assert away[2, 0] > 0.02


def test_a_walk_between_phrases_ends_where_they_end(
    untrained: Autoencoder, encoder: Encoder
) -> None:
    walked = between(untrained, encoder, [spoken(seconds) for seconds in (0.2, 1.0)], 4)
    assert [len(picture) for picture in walked.pictures] == [18, 23, 27, SHAPE.frames]
    assert walked.melodies and [len(each) for each in walked.melodies] == [18, 23, 27, SHAPE.frames]
    assert walked.distances.shape == (4, 2)


def test_a_walk_anywhere_is_repeated_by_its_seed(untrained: Autoencoder, encoder: Encoder) -> None:
    first, again, other = (anywhere(untrained, encoder, 3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pictures, again.pictures)
    assert not np.array_equal(first.pictures, other.pictures)
    assert first.distances[0, 0] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_a_walk_is_seen_and_heard(untrained: Autoencoder, encoder: Encoder, tmp_path: Path) -> None:
    walked = anywhere(untrained, encoder, 4, 0)
    for name in ("one", "two"):
        write(walked, tmp_path / name)
    for name in ("strip.png", "walk.gif", "walk.wav", "distances.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with Image.open(tmp_path / "one" / "walk.gif") as animation:
        assert animation.size == (4 * SHAPE.frames, 4 * features.MELS)
        assert animation.n_frames <= 6  # there and back; those that are alike become one
    with Image.open(tmp_path / "one" / "strip.png") as strip:
        assert strip.width > strip.height
    heard, rate = soundfile.read(tmp_path / "one" / "walk.wav")
    step = (SHAPE.frames - 1) * features.HOP + features.WINDOW
    assert (len(heard), rate) == (4 * step + 3 * SAMPLE_RATE // 4, SAMPLE_RATE)
    assert "to the last end" in (tmp_path / "one" / "distances.svg").read_text()


def test_what_is_no_walk_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="two files or none"):
        files([tmp_path / "one.wav"], 9)
    with pytest.raises(SettingsError, match="leads nowhere"):
        files([], 1)
    assert files([], 2) == []


def test_the_command_walks_between_recordings(
    untrained: Autoencoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(training, "load", lambda: untrained)
    names = []
    for pitch in (110, 190):
        names.append(str(tmp_path / f"{pitch}.wav"))
        sound = in_a_room(silence(0.3), spoken(0.6, pitch), silence(0.5))
        soundfile.write(names[-1], sound, SAMPLE_RATE)
    command = ["latent", "walk", "--out", str(tmp_path / "walk"), "--steps", "2"]
    assert main.main([*command, *names]) == 0
    assert "to the last" in capsys.readouterr().out
    assert (tmp_path / "walk" / "walk.gif").exists()
    assert main.main([*command, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["distances"]) == 2
    assert main.main([*command, names[0]]) == 2
    assert "two files or none" in capsys.readouterr().err


def test_a_map_keeps_what_is_apart_apart() -> None:
    random = np.random.default_rng(0)
    centres = np.float32([[9, 0, 0, 1], [0, 5, 0, 1], [-9, 0, 0, 1]])
    points = np.repeat(centres, 4, axis=0) + 0.1 * random.standard_normal((12, 4))
    drawn = latent_map.flat("some", points.astype(np.float32), ["abc"[n // 4] for n in range(12)])
    assert drawn.nearest == 1
    assert sum(drawn.shares) > 0.99
    middles = drawn.places.reshape(3, 4, 2).mean(axis=1)
    assert np.linalg.norm(middles[0] - middles[2]) == pytest.approx(18, rel=0.05)
    mixed = latent_map.flat("some", points.astype(np.float32), list("abcd" * 3))
    assert mixed.nearest < 0.5


def test_the_command_draws_a_map(
    untrained: Autoencoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(training, "load", lambda: untrained)
    figure = tmp_path / "map.svg"
    for name, pitch in (("ada", 110), ("bob", 190)):
        (tmp_path / "class" / name).mkdir(parents=True)
        for take in ("phrase-1", "other-1"):
            sound = in_a_room(silence(0.3), spoken(0.6, pitch), silence(0.5))
            soundfile.write(tmp_path / "class" / name / f"{take}.wav", sound, SAMPLE_RATE)
    command = ["latent", "map", "--figure", str(figure)]
    assert main.main([*command, str(tmp_path / "class")]) == 0
    assert "the nearest is the same speaker" in figure.read_text()
    assert main.main([*command, str(tmp_path)]) == 2
    assert "two speakers or more" in capsys.readouterr().err
