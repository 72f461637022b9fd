"""An encoder is trusted only with its card, and gives one point for a phrase.

The runtime is played by a stand-in whose network is plain arithmetic; the shipped network is
asked too, where there is one.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kaimen.errors import EncoderError, NoSpeech
from kaimen.sound import Samples
from kaimen.voice import features
from kaimen.voice.encoder import RUNTIMES, SHIPPED, Card, Encoder
from tests.sounds import noise, silence, spoken

FRAMES = 50
DIMENSION = 8
RUNTIME = "tests_runtime"


def card(content: bytes, **changes: Any) -> dict[str, Any]:
    return {
        "name": "test",
        "sha256": hashlib.sha256(content).hexdigest(),
        "frames": FRAMES,
        "values": features.MELS,
        "dimension": DIMENSION,
        "features": features.constants(),
        "strangers": {"mean": 0.1, "deviation": 0.1},
        "training": {},
        "measured": {},
        **changes,
    }


def write(folder: Path, content: bytes = b"network", **changes: Any) -> Path:
    """An encoder and its card."""
    path = folder / "encoder.tflite"
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps(card(content, **changes)))
    return path


class Network:
    """Speaks as a TFLite interpreter; its point is the mean of each of the first mels."""

    kind: Any = np.float32
    scale = 0.1
    zeros = (20, -40)  # of input and output

    def __init__(self, model_content: bytes, num_threads: int) -> None:
        self.point = np.zeros(0)

    def allocate_tensors(self) -> None:
        """Nothing to allocate."""

    def details(self, index: int, shape: list[int], zero: int) -> list[dict[str, Any]]:
        quantization = (0.0, 0) if self.kind is np.float32 else (self.scale, zero)
        return [
            {
                "index": index,
                "shape": np.array(shape, np.int32),
                "dtype": self.kind,
                "quantization": quantization,
            }
        ]

    def get_input_details(self) -> list[dict[str, Any]]:
        return self.details(7, [1, FRAMES, features.MELS], self.zeros[0])

    def get_output_details(self) -> list[dict[str, Any]]:
        return self.details(9, [1, DIMENSION], self.zeros[1])

    def set_tensor(self, index: int, values: np.ndarray) -> None:
        assert index == 7
        assert values.dtype == self.kind
        assert values.shape == (1, FRAMES, features.MELS)
        real = values.astype(np.float64)
        if self.kind is not np.float32:
            real = (real - self.zeros[0]) * self.scale
        self.point = real[0].mean(axis=0)[:DIMENSION]

    def invoke(self) -> None:
        """Already done."""

    def get_tensor(self, index: int) -> np.ndarray:
        assert index == 9
        if self.kind is np.float32:
            return self.point[np.newaxis].astype(np.float32)
        rounded = np.round(self.point / self.scale) + self.zeros[1]
        return rounded.clip(-128, 127).astype(np.int8)[np.newaxis]


class QuantizedNetwork(Network):
    """The same in eight bits."""

    kind = np.int8


def plug_in(monkeypatch: pytest.MonkeyPatch, network: type[Network]) -> None:
    """Make RUNTIME a runtime that runs ``network``."""
    monkeypatch.setitem(
        sys.modules,
        f"{RUNTIME}.interpreter",
        SimpleNamespace(Interpreter=network),  # type: ignore[arg-type]
    )


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Encoder:
    """An encoder whose network is plain arithmetic."""
    plug_in(monkeypatch, Network)
    return Encoder(write(tmp_path), runtime=RUNTIME)


def refusal(path: Path, runtime: str | None = None) -> str:
    """Why an encoder is refused."""
    with pytest.raises(EncoderError) as caught:
        Encoder(path, runtime=runtime)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)


def expected(samples: Samples) -> np.ndarray:
    """The plain network's point of a phrase that fits one window, by its definition."""
    heard = features.log_mel(samples)
    heard = heard - heard.mean()
    window = np.array([heard[frame % len(heard)] for frame in range(FRAMES)])
    point = window.mean(axis=0)[:DIMENSION]
    return point / np.linalg.norm(point)


def test_a_phrase_becomes_a_point_of_unit_length(plain: Encoder) -> None:
    point = plain.embed(spoken(0.4))
    assert point.shape == (DIMENSION,)
    assert point.dtype == np.float32
    assert np.linalg.norm(point) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(point, expected(spoken(0.4)), atol=1e-5)


def test_eight_bits_give_nearly_the_same_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(monkeypatch, QuantizedNetwork)
    point = Encoder(write(tmp_path), runtime=RUNTIME).embed(spoken(0.4))
    assert point @ expected(spoken(0.4)) > 0.999


def test_a_long_phrase_is_the_mean_of_its_windows(plain: Encoder) -> None:
    first, second = spoken(0.515, 110), spoken(0.515, 300)  # 50 frames each, if heard alone
    long = np.concatenate((first, second))
    heard = features.level_free(features.log_mel(long))
    windows = features.fit_frames(heard, FRAMES)
    points = [window.mean(axis=0)[:DIMENSION] for window in windows]
    mean = sum(point / np.linalg.norm(point) for point in points)
    assert len(windows) > 1
    np.testing.assert_allclose(plain.embed(long), mean / np.linalg.norm(mean), atol=1e-5)


def test_a_centred_encoder_does_not_hear_what_a_microphone_adds_to_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(monkeypatch, Network)
    centred = Encoder(write(tmp_path, centred=True), runtime=RUNTIME)
    heard = features.log_mel(spoken(0.8) + noise(0.8, -50))
    curve = np.linspace(-2, 2, features.MELS, dtype=np.float32)
    for one, other in zip(centred.windows(heard), centred.windows(heard + curve), strict=True):
        np.testing.assert_allclose(one.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_where_distances_count_cosines_rank_as_they_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(monkeypatch, Network)
    lifted = Encoder(write(tmp_path, lift=200.0, dimension=DIMENSION + 1), runtime=RUNTIME)
    sounds = [spoken(0.4, 90 + 30 * number) + noise(0.4, -40, number) for number in range(6)]
    points = np.stack([lifted.embed(sound) for sound in sounds]).astype(np.float64)
    assert points.shape[1] == DIMENSION + 1
    plain = []
    for sound in sounds:
        heard = features.level_free(features.log_mel(sound))
        plain.append(features.fit_frames(heard, FRAMES)[0].mean(axis=0)[:DIMENSION])
    above = np.triu_indices(len(sounds), 1)
    cosines = (points @ points.T)[above]
    distances = np.linalg.norm(np.stack(plain)[:, None] - np.stack(plain), axis=2)[above]
    assert np.argsort(-cosines).tolist() == np.argsort(distances).tolist()


def test_less_than_a_frame_is_no_speech(plain: Encoder) -> None:
    with pytest.raises(NoSpeech):
        plain.embed(silence(0.01))


def test_an_encoder_is_known_by_its_content(plain: Encoder) -> None:
    assert plain.identity == hashlib.sha256(b"network").hexdigest()


@pytest.mark.parametrize("shape", ["frames", "values", "dimension"])
def test_shapes_other_than_the_cards_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    plug_in(monkeypatch, Network)
    path = write(tmp_path, **{shape: 17})
    assert "are not the card's" in refusal(path, RUNTIME)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("content", [b"", b"garbage" * 100], ids=["empty", "garbage"])
def test_a_network_that_the_runtime_refuses_is_refused(
    tmp_path: Path, runtime: str, content: bytes
) -> None:
    pytest.importorskip(runtime)
    assert "the runtime refuses it" in refusal(write(tmp_path, content), runtime)


def test_a_runtime_that_is_not_installed_is_named(tmp_path: Path) -> None:
    sentence = refusal(write(tmp_path), "no_such_runtime")
    assert sentence.startswith("no no_such_runtime is installed; ")


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    read = Card.read(write(tmp_path).with_suffix(".json"))
    assert (read.name, read.frames, read.values, read.dimension) == ("test", 50, 64, 8)
    assert read.strangers == {"mean": 0.1, "deviation": 0.1}


shipped = pytest.mark.skipif(not SHIPPED.exists(), reason="no encoder is shipped yet")
VOICED = spoken(1.0) + noise(1.0, -60)


@pytest.fixture(scope="module", params=RUNTIMES)
def network(request: pytest.FixtureRequest) -> Encoder:
    """The shipped encoder, in each runtime."""
    pytest.importorskip(request.param)
    return Encoder(runtime=request.param)


@shipped
def test_the_shipped_encoder_gives_points_of_unit_length(network: Encoder) -> None:
    point = network.embed(VOICED)
    assert point.shape == (network.card.dimension,)
    assert point.dtype == np.float32
    assert np.linalg.norm(point) == pytest.approx(1, abs=1e-5)


@shipped
def test_the_shipped_encoder_gives_one_phrase_one_point(network: Encoder) -> None:
    np.testing.assert_array_equal(network.embed(VOICED), network.embed(VOICED))


@shipped
def test_the_shipped_encoder_does_not_mind_how_loud_a_phrase_is(network: Encoder) -> None:
    assert network.embed(VOICED) @ network.embed(2 * VOICED) > 0.99


@shipped
def test_the_shipped_encoder_takes_phrases_longer_than_its_window(network: Encoder) -> None:
    longer = network.card.frames / features.FRAMES_PER_SECOND * 2.5
    point = network.embed(spoken(longer))
    assert np.linalg.norm(point) == pytest.approx(1, abs=1e-5)


@shipped
def test_the_shipped_encoder_tells_two_sounds_apart(network: Encoder) -> None:
    other = spoken(1.0, 260)[::-1].copy()
    assert network.embed(VOICED) @ network.embed(other) < 0.99


@shipped
def test_both_runtimes_give_the_same_point() -> None:
    for runtime in RUNTIMES:
        pytest.importorskip(runtime)
    one, other = (Encoder(runtime=runtime).embed(VOICED) for runtime in RUNTIMES)
    assert one @ other >= 0.96  # a hum is nothing the encoder learned from


def test_the_large_encoder_hears_fine_bands_and_refuses_coarse_ones() -> None:
    large, sound = Encoder(), spoken(0.8)
    fine = features.log_mel(sound, features.FINE)
    np.testing.assert_array_equal(large.embed(sound), large.embed_features(fine))
    with pytest.raises(EncoderError, match="hears 80 bands, and these are 64"):
        large.embed_features(features.log_mel(sound))
