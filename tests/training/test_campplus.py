"""CAM++ in Keras: the same as the original, and fit for eight bits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

tf = pytest.importorskip("tensorflow")

from kaimen.errors import SettingsError  # noqa: E402
from kaimen.voice import features  # noqa: E402
from kaimen_train.encoder.rounding import LEVELS, equalise, exact_zero, limits, ranges_of  # noqa: E402
from kaimen_train.encoder.transfer import blend, fit_large  # noqa: E402
from kaimen_train.networks import campplus  # noqa: E402
from kaimen_train.peers import call  # noqa: E402
from tests.sounds import spoken  # noqa: E402

needs_peers = pytest.mark.skipif(not call.PYTHON.exists(), reason="no peers; run 'make peers'")
FRAMES = 150

# Keras 2.14 seeds itself in a way that Python has come to dislike.
pytestmark = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange")


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.sum(first * second, axis=1) / np.maximum(lengths, 1e-9)  # of nothing: 0


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    heard = [features.log_mel(spoken(1.6, pitch), features.FINE) for pitch in range(90, 250, 20)]
    return np.stack([features.centred(each[:FRAMES]) for each in heard])


@pytest.fixture(scope="module")
def network(windows: np.ndarray) -> campplus.keras.Model:
    """One whose channels are of very different sizes, as those of the trained one are."""
    random = np.random.default_rng(0)
    made = campplus.build(FRAMES)
    for layer in made.layers:
        if layer.name.endswith(".shift"):
            layer.set_weights([random.normal(0, 0.1, layer.get_weights()[0].shape)])
        elif layer.name.endswith("linear_local"):
            kernel = layer.get_weights()[0]
            layer.set_weights([kernel * np.exp(random.normal(0, 1.5, kernel.shape[-1]))])
    return made


@pytest.mark.parametrize("kept", ["points.npy", "plan.json"])
def test_a_folder_with_a_run_of_other_plans_is_refused_and_kept(tmp_path: Path, kept: str) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / kept).write_text("{}")
    with pytest.raises(SettingsError, match="other features or plans; remove it"):
        fit_large([], tmp_path)
    assert [each.name for each in (tmp_path / "large").iterdir()] == [kept]
    assert (tmp_path / "large" / kept).read_text() == "{}"


@needs_peers
@pytest.mark.slow
def test_the_port_is_the_original(tmp_path: Path) -> None:
    sounds = [np.int16(32767 * np.clip(spoken(1.515, pitch), -1, 1)) for pitch in range(80, 280, 8)]
    call.start(sounds, tmp_path / "start.npz")
    with np.load(tmp_path / "start.npz") as stored:
        start = dict(stored)
    port = campplus.build(FRAMES)
    campplus.load(port, start)
    heard = start["bands"].reshape(len(sounds), FRAMES, campplus.BANDS)
    assert cosines(port.predict(heard, verbose=0), call.embed(sounds, "campplus")).min() > 0.999


@pytest.mark.slow
def test_channels_of_one_size_make_the_same_points(
    network: campplus.keras.Model, windows: np.ndarray
) -> None:
    before = network.predict(windows, verbose=0)
    sizes = np.abs(network.get_layer("xvector.block1.tdnnd1.cam_layer.linear_local").kernel)
    equalise(network, windows)
    assert cosines(network.predict(windows, verbose=0), before).min() > 0.9999
    after = np.abs(network.get_layer("xvector.block1.tdnnd1.cam_layer.linear_local").kernel)
    spread = [np.ptp(np.log(each.max(axis=(0, 1)))) for each in (sizes, after)]
    assert spread[1] < 0.7 * spread[0]


@pytest.mark.slow
def test_a_blend_lies_on_the_way_to_the_mean_of_the_tuned(
    network: campplus.keras.Model,
) -> None:
    tuned = [campplus.build(FRAMES), campplus.build(FRAMES)]
    for each, step in zip(tuned, (0.1, 0.3), strict=True):
        each.set_weights([weight + step for weight in network.get_weights()])
    found = blend(network, tuned, share=0.5).get_weights()
    for weight, before in zip(found, network.get_weights(), strict=True):
        np.testing.assert_allclose(weight, before + 0.1, atol=1e-5, rtol=1e-6)


@pytest.mark.slow
def test_joined_tensors_share_their_limits(
    network: campplus.keras.Model, windows: np.ndarray
) -> None:
    found = ranges_of(network, windows[:2])
    assert "xvector.block2" in found
    assert not any(name.startswith("xvector.block2.tdnnd1.rounded") for name in found)
    low, high = found["features"]
    assert -1.1 * features.FARTHEST < low < 0 < high < 1.1 * features.FARTHEST


@given(
    low=st.floats(-1e3, 0),
    high=st.floats(1e-3, 1e3),
)
def test_zero_is_one_of_the_steps(low: float, high: float) -> None:
    first, last = exact_zero(low, high)
    step = (last - first) / LEVELS
    assert first <= 0 <= last
    assert abs(first / step - round(first / step)) < 1e-6
    assert abs((last - first) - (high - low)) < 1e-6 * (high - low)


def error(values: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / LEVELS
    return float(np.mean((np.clip(np.round(values / step) * step, low, high) - values) ** 2))


@given(seed=st.integers(0, 2**32 - 1), outlier=st.floats(-1e4, 1e4))
def test_limits_keep_values_at_least_as_well_as_their_extremes(seed: int, outlier: float) -> None:
    values = np.random.default_rng(seed).normal(0, 1, 2_000).astype(np.float32)
    values = np.append(values, np.float32(outlier))
    extremes = exact_zero(min(0.0, float(values.min())), float(values.max()))
    assert error(values, *limits(values)) <= error(values, *extremes) * (1 + 1e-6)


def test_a_few_outliers_are_cut_off() -> None:
    values = np.random.default_rng(0).normal(0, 1, 1_000_000).astype(np.float32)
    values[0] = 12
    _, high = limits(values)
    assert 3 < high < 9
