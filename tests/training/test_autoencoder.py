"""An autoencoder of speech is trained, kept and measured, as small as can be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from kaimen.errors import EncoderError, SettingsError
from kaimen.sound.quality import clipped_share
from kaimen.sound.recording import main_phrase
from kaimen.voice import features
from kaimen_train.autoencoder import fit as training
from kaimen_train.autoencoder import latent_protocol, novelty
from kaimen_train.autoencoder.fit import Autoencoder, AutoencoderPlan, Pictures, fit, load
from kaimen_train.autoencoder.novelty import Usual, compared
from kaimen_train.autoencoder.pca import Components
from kaimen_train.cli import main
from kaimen_train.data import out_of_distribution
from kaimen_train.data.corpus import Clips, Row
from kaimen_train.evaluation.metrics import auc
from kaimen_train.networks.autoencoder import AutoencoderShape
from tests.sounds import spoken

pytestmark = [
    # Keras 2.14 seeds itself in a way that Python has come to dislike.
    pytest.mark.filterwarnings("ignore:non-integer arguments to randrange"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]
SHAPE = AutoencoderShape(frames=32, channels=(4, 4, 4, 4), full=4, dimension=3)
PLAN = AutoencoderPlan(shape=SHAPE, steps=300, batch=8, rate=1e-2, checked=16)


@pytest.fixture(scope="module")
def untrained() -> Autoencoder:
    return Autoencoder(SHAPE)


def test_windows_become_points_and_points_windows(untrained: Autoencoder) -> None:
    heard = features.log_mel(spoken(0.9))
    windows = untrained.windows(heard)
    assert windows.shape == (3, 32, features.MELS)
    points = untrained.encode(windows)
    assert points.shape == (3, 3)
    assert untrained.decode(points).shape == windows.shape
    np.testing.assert_allclose(untrained.embed_features(heard), points.mean(axis=0), atol=1e-6)


def test_novelty_does_not_hear_how_loud_it_was(untrained: Autoencoder) -> None:
    heard = features.log_mel(spoken(0.5))
    found = untrained.novelty(heard)
    assert 0 < found.error <= found.bound
    windows = untrained.windows(heard)
    again = untrained.decode(untrained.encode(windows))
    assert found.share == pytest.approx(np.mean((again - windows) ** 2) / windows.var())
    assert untrained.novelty(heard + 3) == pytest.approx(found, rel=1e-4)


@pytest.mark.slow
def test_weights_are_kept_and_others_refused(untrained: Autoencoder, tmp_path: Path) -> None:
    path = tmp_path / "new" / "some.weights.h5"
    untrained.save(path)
    windows = untrained.windows(features.log_mel(spoken(0.5)))
    again = load(path, SHAPE)
    np.testing.assert_array_equal(again.encode(windows), untrained.encode(windows))
    with pytest.raises(EncoderError, match="not this autoencoder's"):
        load(path, AutoencoderShape(frames=32, channels=(4, 4, 4, 4), full=4, dimension=5))
    with h5py.File(path, "a") as file:
        file.attrs["lowest_hz"] = 20.0
    with pytest.raises(EncoderError, match="other features"):
        load(path, SHAPE)
    path.write_bytes(b"no weights")
    with pytest.raises(EncoderError, match="not this autoencoder's"):
        load(path, SHAPE)
    with pytest.raises(EncoderError, match="no autoencoder's weights there"):
        load(tmp_path / "none.h5")


def test_a_window_holds_one_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips of two voices, each at a pitch of its own; short ones are joined or said again."""
    sounds = [
        np.int16(32767 * spoken(0.25 + 0.2 * (n % 2), 100 + 300 * (n // 2))) for n in range(4)
    ]
    ends = np.cumsum([len(sound) for sound in sounds])
    labels = [{"corpus": "c", "speaker": f"s{n // 2}", "path": str(n)} for n in range(4)]
    starts = np.concatenate(([0], ends[:-1]))
    clips = Clips(np.concatenate(sounds), starts, ends, labels)
    first, again = (Pictures(clips, range(4), SHAPE, seed=1).draw(6) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (6, SHAPE.frames, features.MELS)
    low, high = (
        Pictures(clips, chosen, SHAPE, seed=1).draw(8).mean(axis=(0, 1))
        for chosen in ((0, 1), (2, 3))
    )
    # The first harmonic of a voice at 400 Hz lies where one at 100 Hz has its fourth.
    assert np.argmax(low) < np.argmax(high)


@pytest.mark.slow
def test_an_autoencoder_is_trained_and_measured(
    tiny_phrases: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(novelty, "OF_A_CORPUS", 10)
    monkeypatch.setattr(novelty, "GATES", 1)
    monkeypatch.setattr(novelty, "VISITS", 10)
    monkeypatch.setattr(latent_protocol, "WALKS", 3)
    monkeypatch.setattr(latent_protocol, "REBUILT", 20)
    out = tmp_path / "some.weights.h5"
    short = replace(PLAN, steps=3)
    first, again = (fit(tiny_phrases, tmp_path / "build", out, short) for _ in range(2))
    assert first == pytest.approx(again, rel=1e-3)
    error = fit(tiny_phrases, tmp_path / "build", out, PLAN)
    learned = training.pictures(tiny_phrases, tmp_path / "build", SHAPE, held=False).draw(64)
    mean, _ = Components.of(learned, 3).errors(learned)
    assert error < mean
    made = load(out, SHAPE)

    figures = latent_protocol.evaluate(tiny_phrases, tmp_path / "build", made)
    phrases = figures["reconstruction"]["phrases"]
    assert phrases["windows"] > 0
    assert set(figures["pair"]["mandarin20"]) == {"autoencoder", "encoder"}
    against = figures["novelty"]
    assert set(against["speech"]) >= {"music", "tone", "hum", "clipped", "live"}
    assert set(against["live"]) >= {"music", "tone", "hum", "clipped", "phone"}
    for kind in (*against["speech"].values(), *against["live"].values()):
        for score in ("error", "share", "bound", "pca", "voice"):
            each = kind[score]
            assert 0 <= each["auc"] <= 1
            assert 0 <= each["found"] <= 1
    assert against["speech"]["clipped"]["clipping"]["auc"] > 0.9
    assert set(figures["rooms"]) == {
        "of", "error", "share", "bound", "point", "spectrum"
    }  # fmt: skip
    assert len(figures["walks"]["takes"]["to_first"]) == latent_protocol.STEPS
    assert json.dumps(figures)


def test_a_manifest_without_speech_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no speech to train on"):
        fit([], tmp_path, tmp_path / "out.h5", PLAN)


def test_components_find_what_varies() -> None:
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.standard_normal((40, 3)))
    spread = random.standard_normal((500, 3)) * (5, 4, 3)
    windows = (spread @ axes.T + 0.1 * random.standard_normal((500, 40)) + 2).astype(np.float32)
    windows = windows.reshape(500, 8, 5)
    found = Components.of(windows, 3)
    np.testing.assert_allclose(np.abs(np.linalg.det(found.axes @ axes)), 1, atol=1e-3)
    mean, left = found.errors(windows)
    assert mean == pytest.approx(50 / 40, rel=0.2)
    assert left == pytest.approx(0.01 * 37 / 40, rel=0.1)


def test_the_area_is_the_share_of_pairs() -> None:
    random = np.random.default_rng(0)
    usual, other = random.integers(0, 5, 30).astype(float), random.integers(1, 6, 20).astype(float)
    higher, same = other[:, None] > usual, other[:, None] == usual
    assert auc(other, usual) == pytest.approx(np.mean(higher + 0.5 * same))
    scores = {"score": np.arange(200.0)}
    found = compared(scores, {"score": np.array([0.0, 197.0, 198.0, 500.0])})
    # Two of two hundred may be alarms: 198 and 199.
    assert (found["of"], found["score"]["found"]) == (4, 0.5)


def test_the_usual_is_near_itself() -> None:
    random = np.random.default_rng(0)
    points = (random.standard_normal((2_000, 3)) * (1, 2, 3) + 5).astype(np.float32)
    usual = Usual.of(points)
    assert usual.distance(points.mean(axis=0)) == pytest.approx(0, abs=1e-6)
    # A covariance that is not round is shrunk by a tenth.
    widths = 0.9 * np.array([1, 4, 9]) + 0.1 * 14 / 3
    assert usual.distance(np.float32([5, 5, 8])) == pytest.approx(9 / widths[2], rel=0.15)


@pytest.mark.parametrize("kind", out_of_distribution.MADE)
def test_sounds_that_are_made_are_phrases_for_the_endpointing(kind: str) -> None:
    first, again = (out_of_distribution.MADE[kind](np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()
    whole = len(first) / features.SAMPLE_RATE - 2 * out_of_distribution.QUIET
    assert 0.3 * whole < main_phrase(first).seconds <= 1.2 * whole


def test_clipping_cuts_off_the_share_it_says() -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        share = clipped_share(out_of_distribution.clipped(spoken(0.5), random))
        assert out_of_distribution.CLIPPED[0] * 0.9 <= share <= out_of_distribution.CLIPPED[1] * 1.1


def test_the_command_shows_tables_or_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,corpus,split,speaker,text\n", encoding="utf-8")
    each = {"auc": 0.75, "found": 0.125}
    way = {"to_first": [0.0] * 9, "to_last": [0.5] * 9, "contrast_arc": 1.0, "contrast_line": 0.9}
    found = {
        "reconstruction": {"commands": {"mean": 9, "pca": 3, "autoencoder": 2, "windows": 7}},
        "pair": {"commands": {"autoencoder": {"eer": 0.31}, "encoder": {"eer": 0.03}}},
        "novelty": {
            "speech": {"tone": {"of": 5, "error": each}},
            "live": {"phone": {"of": 5, "error": each}},
            "no_voice": {"tone": 0.5, "phone": 0.0},
        },
        "rooms": {"of": 5, "error": each},
        "walks": {"takes": way},
    }
    monkeypatch.setattr(latent_protocol, "evaluate", lambda *_: found)
    assert main.main(["latent", "evaluate", str(manifest)]) == 0
    shown = capsys.readouterr().out
    assert all(each in shown for each in ("31.00", "0.75", "another room", "takes", "phone"))
    assert main.main(["latent", "evaluate", str(manifest), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert main.main(["latent", "fit", str(manifest)]) == 2
    assert "no speech to train on" in capsys.readouterr().err
