"""The loudspeaker detector is trusted only with its card; what is no number is a replay to it."""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaimen.rehearsal
from kaimen.acoustics.devices import devices, gates
from kaimen.acoustics.replays import live, replayed
from kaimen.errors import EncoderError
from kaimen.sound import Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.voice import LOUDSPEAKER, features
from kaimen.voice.encoder import Encoder
from kaimen.voice.loudspeaker import (
    CONVOLUTIONS,
    DENSE,
    EVEN,
    SHORTEST,
    STRIDES,
    TAPS,
    Limits,
    LoudspeakerCard,
    LoudspeakerDetector,
    Weights,
    log_odds,
    standard,
    unlike,
)
from tests.damage import flip

RECORDINGS = Path(kaimen.rehearsal.__file__).parent / "recordings"
FILTERS = (5, 4, 6)
HIDDEN, DEEPER = 3, 2
DIMENSION = 7
LIMITS = {"beside": {"threshold": 1.5, "grey": 3.0}, "alone": {"threshold": 2.5, "grey": 4.0}}


def weights(seed: int = 0) -> Weights:
    """A detector's weights, as small as can be."""
    random = np.random.default_rng(seed)
    pooled = 2 * (features.MELS + sum(FILTERS) + DIMENSION) + 1
    shapes = {
        "first": (TAPS[0] * features.MELS, FILTERS[0]),
        "first_bias": (FILTERS[0],),
        "second": (TAPS[1] * FILTERS[0], FILTERS[1]),
        "second_bias": (FILTERS[1],),
        "third": (TAPS[2] * FILTERS[1], FILTERS[2]),
        "third_bias": (FILTERS[2],),
        "hidden": (pooled, HIDDEN),
        "hidden_bias": (HIDDEN,),
        "deeper": (HIDDEN, DEEPER),
        "deeper_bias": (DEEPER,),
        "output": (DEEPER, 1),
        "output_bias": (1,),
    }
    return {name: random.normal(0, 0.1, shape).astype("f4") for name, shape in shapes.items()}


def stored(some: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **some)
    return content.getvalue()


def write(folder: Path, content: bytes | None = None, **changes: Any) -> Path:
    """A detector and its card."""
    path = folder / "detector.npz"
    path.write_bytes(stored(weights()) if content is None else content)
    card = {
        "name": "test",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "features": features.constants(),
        "encoder": "of points",
        "dimension": DIMENSION,
        **LIMITS,
        "training": {},
        "measured": {},
        **changes,
    }
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(EncoderError) as raised:
        LoudspeakerDetector(path)
    return str(raised.value)


def points(count: int) -> np.ndarray:
    """Directions, (count, DIMENSION)."""
    some = np.random.default_rng(count).standard_normal((count, DIMENSION)).astype("f4")
    return some / np.linalg.norm(some, axis=1, keepdims=True)


def slowly(heard: np.ndarray, beside: np.ndarray | None, some: Weights) -> float:
    """The same network, one product at a time."""
    values = np.clip((heard - heard.mean()) / 3, -4, 4)
    layers = [values]
    for name, taps, stride in zip(CONVOLUTIONS, TAPS, STRIDES, strict=True):
        before = layers[-1]
        places = range(0, len(before) - taps + 1, stride)
        windows = np.stack([before[at : at + taps].ravel() for at in places])
        layers.append(np.maximum(windows @ some[name] + some[f"{name}_bias"], 0))
    pooled = [np.concatenate((each.mean(0), np.sqrt(each.var(0) + EVEN))) for each in layers]
    told = np.zeros(2 * DIMENSION + 1) if beside is None else np.append(beside, 1)
    hidden = np.concatenate((*pooled, told))
    for name in DENSE:
        hidden = np.maximum(hidden @ some[name] + some[f"{name}_bias"], 0)
    return float((hidden @ some["output"] + some["output_bias"]).item())


@pytest.mark.parametrize("frames", [SHORTEST, 21, 100, 163])
def test_the_network_is_what_its_layers_are(frames: int) -> None:
    heard = np.random.default_rng(frames).normal(-5, 3, (frames, features.MELS)).astype("f4")
    point, *known = points(4)
    for beside in (None, unlike(point, known)):
        expected = slowly(heard, beside, weights())
        assert log_odds(heard, beside, weights()) == pytest.approx(expected, abs=1e-4)


def test_a_point_is_told_with_its_way_from_the_middle_of_others() -> None:
    point, *known = points(4)
    told = unlike(point, known) / np.sqrt(DIMENSION)
    np.testing.assert_allclose(told[:DIMENSION], point, atol=1e-6)
    np.testing.assert_allclose(told[DIMENSION:], point - sum(known) / 3, atol=1e-6)


def test_a_phrase_is_heard_beside_others_where_their_points_are_known(tmp_path: Path) -> None:
    detector = LoudspeakerDetector(write(tmp_path))
    heard = np.random.default_rng(0).normal(-5, 3, (80, features.MELS)).astype("f4")
    point, *known = points(4)
    beside = detector.suspect(heard, point, known)
    assert beside.limits == Limits(1.5, 3.0)
    assert beside.score == pytest.approx(slowly(heard, unlike(point, known), weights()), abs=1e-4)
    for alone in (detector.suspect(heard), detector.suspect(heard, point, [])):
        assert alone.limits == Limits(2.5, 4.0)
        assert alone.score == pytest.approx(slowly(heard, None, weights()), abs=1e-4)


def test_how_loud_a_phrase_was_does_not_count() -> None:
    heard = np.random.default_rng(0).normal(-5, 3, (80, features.MELS)).astype("f4")
    quiet, loud = (log_odds(each, None, weights()) for each in (heard, heard + 2))
    assert loud == pytest.approx(quiet, abs=1e-4)


def test_what_is_too_short_is_said_again_and_nothing_is_changed() -> None:
    heard = np.random.default_rng(0).normal(size=(3, features.MELS)).astype("f4")
    before = heard.copy()
    assert standard(heard).shape == (SHORTEST, features.MELS)
    assert math.isfinite(log_odds(heard, None, weights()))
    np.testing.assert_array_equal(heard, before)


def test_a_detector_is_read_with_its_thresholds(tmp_path: Path) -> None:
    detector = LoudspeakerDetector(write(tmp_path))
    assert (detector.card.beside, detector.card.alone) == (Limits(1.5, 3.0), Limits(2.5, 4.0))
    assert detector.identity == detector.card.sha256


@pytest.mark.parametrize("what", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["one value", "all"])
def test_what_is_no_number_counts_as_an_attack(tmp_path: Path, what: float, where: str) -> None:
    heard = np.zeros((50, features.MELS), np.float32)
    if where == "all":
        heard[:] = what
    else:
        heard[20, 30] = what
    detector = LoudspeakerDetector(write(tmp_path))
    assert detector.suspect(heard).score == math.inf
    point, *known = points(3)
    assert detector.suspect(heard, point, known).score == math.inf


@pytest.mark.parametrize("where", ["point", "known"])
def test_a_point_that_is_no_number_counts_as_an_attack(tmp_path: Path, where: str) -> None:
    heard = np.zeros((50, features.MELS), np.float32)
    point, *known = points(3)
    (point if where == "point" else known[1])[2] = np.nan
    assert LoudspeakerDetector(write(tmp_path)).suspect(heard, point, known).score == math.inf


def test_no_frame_at_all_counts_as_an_attack(tmp_path: Path) -> None:
    detector = LoudspeakerDetector(write(tmp_path))
    assert detector.suspect(np.zeros((0, features.MELS), np.float32)).score == math.inf


def test_weights_that_are_no_numbers_call_everything_an_attack(tmp_path: Path) -> None:
    broken = weights() | {"output": np.full((DEEPER, 1), np.nan, np.float32)}
    detector = LoudspeakerDetector(write(tmp_path, stored(broken)))
    assert detector.suspect(np.zeros((50, features.MELS), np.float32)).score == math.inf


def test_a_missing_detector_or_card_is_said(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.unlink()
    assert "cannot be read" in refusal(path)
    path.with_suffix(".json").unlink()
    assert "no card beside" in refusal(path)


def test_a_changed_detector_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    flip(path, path.stat().st_size // 2)
    assert "not the file its card describes" in refusal(path)


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", "{}", '{"name": "test"}', '{"beside": {}, "alone": {}}']
)
def test_a_damaged_card_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path)
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    assert "not a detector's card" in refusal(path)
    path.with_suffix(".json").write_bytes(b"\xff\xfe\xff")
    assert "not a detector's card" in refusal(path)


@pytest.mark.parametrize("mode", ["beside", "alone"])
@pytest.mark.parametrize(
    ("threshold", "grey"), [(math.nan, 1.0), (1.0, math.nan), (math.inf, math.inf), (2.0, 1.0)]
)
def test_thresholds_that_are_none_are_refused(
    tmp_path: Path, mode: str, threshold: float, grey: float
) -> None:
    changed = {mode: {"threshold": threshold, "grey": grey}}
    assert "its thresholds are none" in refusal(write(tmp_path, **changed))


@pytest.mark.parametrize("threshold", ["high", None, [1]])
def test_thresholds_that_are_no_numbers_are_refused(tmp_path: Path, threshold: object) -> None:
    changed = {"threshold": threshold, "grey": 3.0}
    assert "not a detector's card" in refusal(write(tmp_path, alone=changed))


@pytest.mark.parametrize("dimension", [DIMENSION + 1, 0, "seven", None])
def test_a_detector_of_points_of_another_size_is_refused(tmp_path: Path, dimension: object) -> None:
    assert "not a detector's weights" in refusal(write(tmp_path, dimension=dimension))


@pytest.mark.parametrize("name", sorted(features.constants()))
def test_a_detector_trained_with_other_features_is_refused(tmp_path: Path, name: str) -> None:
    others = features.constants()
    others[name] *= 2
    assert "other features" in refusal(write(tmp_path, features=others))


def lacking(name: str) -> bytes:
    return stored({key: value for key, value in weights().items() if key != name})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage" * 100,
        stored(weights())[:-200],
        lacking("hidden"),
        stored(weights() | {"hidden": np.zeros((7, HIDDEN), np.float32)}),
        stored(weights() | {"first": np.array(["words"])}),
        stored(weights() | {"first": np.array([{}])}),
    ],
    ids=["empty", "garbage", "cut off", "a layer less", "shapes", "letters", "objects"],
)
def test_what_are_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "not a detector's weights" in refusal(write(tmp_path, content))


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    card = LoudspeakerCard.read(write(tmp_path).with_suffix(".json"))
    assert (card.name, card.encoder, card.dimension) == ("test", "of points", DIMENSION)


shipped = pytest.mark.skipif(not LOUDSPEAKER.exists(), reason="no detector is shipped yet")


def heard(sound: Samples) -> Samples:
    return main_phrase(sound).samples


@pytest.mark.slow
@shipped
def test_the_shipped_detector_finds_simulated_replays_of_the_demo() -> None:
    detector, encoder = LoudspeakerDetector(), Encoder()
    assert detector.knows(encoder)
    random = np.random.default_rng(0)
    files = sorted(RECORDINGS.glob("*/phrase-1.mp3"))
    made = devices(random, len(files), "test")
    apart = {"alone": [], "beside": []}
    for file, device, gate in zip(files, made, gates(random, len(files), "test"), strict=True):
        sound = main_phrase(read(file)).samples
        said = heard(live(sound, gate, 25.0, random))
        played = heard(replayed(sound, device, 25.0, random, gate=gate))
        others = [file.with_name(f"phrase-{take}.mp3") for take in range(2, 6)]
        for name, enrolled in (("alone", []), ("beside", others)):
            known = [encoder.embed(heard(read(each))) for each in enrolled]
            replayed_at, said_at = (
                detector.suspect(features.log_mel(each), encoder.embed(each), known).score
                for each in (played, said)
            )
            apart[name].append(replayed_at - said_at)
    assert len(files) >= 18
    assert np.mean(apart["alone"]) > 1
    assert np.mean(apart["beside"]) > np.mean(apart["alone"])


@shipped
def test_the_shipped_detector_has_finite_scores_and_its_thresholds_in_order() -> None:
    detector = LoudspeakerDetector()
    sound = read(min(RECORDINGS.glob("*/phrase-1.mp3")))
    score, limits = detector.suspect(features.log_mel(heard(sound)))
    assert math.isfinite(score)
    assert limits.threshold <= limits.grey
