"""A detector of loudspeakers is drawn for, trained, exported and measured, as small as can be."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("scipy")

from kaimen.acoustics.devices import KINDS
from kaimen.errors import EncoderError, SettingsError
from kaimen.voice import LOUDSPEAKER, SHIPPED, features
from kaimen.voice.encoder import Encoder
from kaimen.voice.loudspeaker import LoudspeakerDetector, standard, unlike
from kaimen_train.cli import main
from kaimen_train.data import utterances
from kaimen_train.data.corpus import Row
from kaimen_train.loudspeaker import dataset, protocol, replays
from kaimen_train.loudspeaker import fit as training
from kaimen_train.loudspeaker.dataset import EVERY, LIVE, PLAIN, ReplayPhrases
from kaimen_train.loudspeaker.fit import DetectorPlan, calibrated, fit, limits, score
from kaimen_train.loudspeaker.protocol import errors, evaluate
from kaimen_train.networks.loudspeaker import FRAMES, network, weights_of

pytestmark = [
    # Keras 2.14 seeds itself in a way that Python has come to dislike.
    pytest.mark.filterwarnings("ignore:non-integer arguments to randrange"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]
PLAN = DetectorPlan(
    learned=(32, 24), held=(32, 24), epochs=2, batch=8, filters=(6, 5, 4), dense=(5, 4)
)
DIMENSION = 7


def scored(live: int = 50, replays: int = 10, voices: int = 5) -> tuple[np.ndarray, ReplayPhrases]:
    """Recordings and live phrases at 0, replays at 1, each with a little of its own."""
    kinds = [PLAIN] * live + [LIVE] * live + [kind for kind in KINDS for _ in range(replays)]
    random = np.random.default_rng(0)
    heard = [np.zeros((20, features.MELS), np.float16)] * len(kinds)
    names = np.array([f"s{number % voices}" for number in range(len(kinds))])
    unknown = np.full((len(kinds), DIMENSION), np.nan, np.float16)
    corpora = np.full(len(kinds), "mandarin20")
    phrases = ReplayPhrases(heard, np.array(kinds), corpora, names, unknown, unknown.copy())
    return phrases.attacks + 0.1 * random.random(len(kinds)), phrases


@pytest.mark.slow
def test_a_detector_is_trained_exported_and_measured(
    tiny_phrases: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utterances, "FEWEST", 1)
    out = tmp_path / "detector.npz"
    card = fit(tiny_phrases, tmp_path / "build", out, PLAN)
    detector = LoudspeakerDetector(out)
    assert detector.knows(Encoder())
    for mode in ("beside", "alone"):
        at = getattr(detector.card, mode)
        assert at == getattr(card, mode)
        assert at.threshold <= at.grey
    assert "simulated" in detector.card.training["replays"]

    found = evaluate(tiny_phrases, tmp_path / "build", out, keep=True)
    assert LoudspeakerDetector(out).card.measured["eval"] == found
    for figures in (found["beside"], found["alone"]):
        for name in (
            "apcer",
            *(f"apcer_{kind}" for kind in KINDS),
            "bpcer_live",
            "bpcer_recordings",
        ):
            assert 0 <= figures[name]["low"] <= figures[name]["share"] <= figures[name]["high"] <= 1
        assert "bpcer_live_phrase" in figures

    again = tmp_path / "again.npz"
    fit(tiny_phrases, tmp_path / "build", again, PLAN)
    one, other = LoudspeakerDetector(out), LoudspeakerDetector(again)
    phrases = replays.unseen(tiny_phrases, tmp_path / "build", SHIPPED)
    for heard, *points in zip(phrases.heard, phrases.points, phrases.usual, strict=True):
        point, usual = (each.astype(np.float32) for each in points)
        told = (heard.astype(np.float32), point, [] if np.isnan(usual).any() else [usual])
        assert one.suspect(*told).score == pytest.approx(other.suspect(*told).score, abs=1e-3)


def test_a_detector_is_measured_beside_the_encoder_that_it_knows(
    tiny_phrases: list[Row], tmp_path: Path
) -> None:
    another = tmp_path / "another.tflite"
    another.write_bytes(SHIPPED.read_bytes() + b" ")
    card = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
    card["sha256"] = hashlib.sha256(another.read_bytes()).hexdigest()
    another.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(EncoderError, match="train it anew"):
        evaluate(tiny_phrases, tmp_path, LOUDSPEAKER, encoder=another)


@pytest.mark.slow
def test_the_gate_computes_what_was_trained() -> None:
    made = network(DIMENSION, PLAN.filters, PLAN.dense, PLAN.dropped)
    weights = weights_of(made)
    random = np.random.default_rng(0)
    lengths = (20, 21, 60, 123)
    heard = [random.normal(-5, 3, (each, features.MELS)).astype(np.float16) for each in lengths]
    points, usual = random.normal(0, 1, (2, len(heard), DIMENSION)).astype(np.float16)
    usual[0] = np.nan
    values = np.zeros((len(heard), FRAMES, features.MELS), np.float32)
    for number, each in enumerate(heard):
        values[number, : len(each)] = standard(each.astype(np.float32))
    beside = np.zeros((len(heard), 2 * DIMENSION + 1), np.float32)
    for number in range(1, len(heard)):
        told = unlike(points[number].astype("f4"), [usual[number].astype("f4")])
        beside[number] = np.append(told, 1)
    batched = made((values, np.array(lengths, np.int32), beside)).numpy()
    names = np.array(["live"] * len(heard))
    phrases = ReplayPhrases(heard, names, names, names, points, usual)
    np.testing.assert_allclose(score(phrases, weights), batched, atol=1e-3)


def test_errors_count_each_kind_at_the_threshold() -> None:
    scores, phrases = scored()
    found = errors(scores, phrases, 0.5)
    assert found["eer"] == 0
    assert found["apcer"] == {"share": 0, "low": 0, "high": 0, "of": 40}
    scores[phrases.kinds == "phone"] = 0
    scores[:5] = 1  # a tenth of the recordings
    found = errors(scores, phrases, 0.5)
    assert (found["apcer_phone"]["share"], found["apcer_hifi"]["share"]) == (1, 0)
    assert found["apcer"]["share"] == 0.25
    assert found["bpcer_recordings"]["share"] == pytest.approx(0.1)
    assert found["bpcer_recordings_mandarin20"] == found["bpcer_recordings"]
    assert found["bpcer_live"]["share"] == 0


def test_the_threshold_serves_recordings_and_live_phrases_alike() -> None:
    scores, phrases = scored(live=100)
    scores[phrases.kinds == LIVE] += 0.3
    at = limits(scores, phrases, replace(PLAN, bpcer=0.02, bpcer_grey=0.01))
    assert errors(scores, phrases, at.threshold)["bpcer_live"]["share"] == pytest.approx(0.02)
    assert errors(scores, phrases, at.grey)["bpcer_live"]["share"] == pytest.approx(0.01)
    assert errors(scores, phrases, at.threshold)["bpcer_recordings"]["share"] == 0


def test_calibration_makes_scores_log_odds() -> None:
    random = np.random.default_rng(0)
    attacks = np.arange(4_000) % 2 == 0
    odds = random.normal(np.where(attacks, 2.0, -2.0), 2.0)  # log-odds as they should be
    before = {"output": np.ones((1, 1), np.float32), "output_bias": np.zeros(1, np.float32)}
    line = calibrated(before, 5 * odds + 3, attacks)
    assert line["output"].item() == pytest.approx(0.2, rel=0.15)
    assert line["output_bias"].item() == pytest.approx(-0.6, abs=0.15)
    assert np.isfinite(calibrated(before, odds * 0 + attacks, attacks)["output"]).all()


def test_phrases_are_kept_as_they_are(tmp_path: Path) -> None:
    _, phrases = scored(live=3, replays=2)
    for number in range(len(phrases.heard)):
        phrases.heard[number] = np.full((number + 1, features.MELS), number, np.float16)
    path = tmp_path / "new" / "phrases.npz"
    phrases.points[:], phrases.usual[0] = 2, 3
    first = dataset.kept(path, lambda: phrases)
    again = dataset.kept(path, lambda: pytest.fail("made twice"))
    for one in (first, again):
        assert [len(each) for each in one.heard] == [len(each) for each in phrases.heard]
        assert all(
            (each == other).all() for each, other in zip(one.heard, phrases.heard, strict=True)
        )
        assert one.voices.tolist() == phrases.voices.tolist()
        assert one.beside.tolist() == phrases.beside.tolist() == [True, *[False] * 13]
        np.testing.assert_array_equal(one.points, phrases.points)
        np.testing.assert_array_equal(one.usual, phrases.usual)


def test_two_speakers_of_one_name_are_two_but_for_joined_phrases() -> None:
    _, phrases = scored(live=2, replays=1, voices=1)
    corpora = np.array(["mandarin20", "phrase", "arabic40", *["mandarin20"] * 5])
    voices = replace(phrases, corpora=corpora).voices.tolist()
    assert voices[0] == voices[1] != voices[2]


@pytest.mark.parametrize("kind", EVERY)
def test_what_a_gate_hears_is_repeatable(kind: str, tiny_rows: list[Row]) -> None:
    sound = replays.speech_of(tiny_rows[0].file)
    first, again = (
        replays.at_the_gate(sound, kind, "test", np.random.default_rng(5)) for _ in range(2)
    )
    assert first is not None
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()


def test_a_manifest_without_speech_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no speech to train on"):
        fit([], tmp_path, tmp_path / "out.npz", PLAN)


def test_the_command_shows_a_table_or_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,corpus,split,speaker,text\n", encoding="utf-8")
    asked = []

    def measured(rows: object, folder: Path, *_: object, keep: bool, encoder: Path) -> dict:
        asked.append((folder, keep, encoder.name))
        return {"beside": errors(*scored(), 0.5)}

    monkeypatch.setattr(protocol, "evaluate", measured)
    monkeypatch.setattr(training, "fit", lambda *_, encoder: asked.append(encoder.name))
    command = ["loudspeaker", str(manifest), "--folder", str(tmp_path)]
    assert main.main([*command, "--evaluate"]) == 0
    assert "apcer_phone" in capsys.readouterr().out
    assert main.main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert math.isclose(found["beside"]["eer"], 0)
    assert main.main([*command, "--json", "--encoder", "other.tflite"]) == 0
    assert asked == [
        (tmp_path, False, SHIPPED.name),
        SHIPPED.name,
        (tmp_path, True, SHIPPED.name),
        "other.tflite",
        (tmp_path, True, "other.tflite"),
    ]
