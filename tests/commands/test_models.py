"""Which encoder a gate hears with: a named one, an active bundle's, or the settings' model."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaimen import voice
from kaimen.installation import Installation
from kaimen.settings import BundleSettings, EncoderSettings, GallerySettings, Settings
from kaimen.voice import SMALL
from tests.bundle.made import second
from tests.bundle.test_slots import Place


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another encoder comes along as the large one."""
    path = tmp_path / "large" / "encoder.tflite"
    path.parent.mkdir()
    network, card = second()
    path.write_bytes(network)
    path.with_suffix(".json").write_bytes(card)
    monkeypatch.setitem(voice.ENCODERS, "large", path)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def gate(place: Place, **encoder: str) -> Installation:
    settings = Settings(
        encoder=EncoderSettings(**encoder),
        bundle=BundleSettings(str(place.slots.folder), str(place.folder)),
        gallery=GallerySettings(str(place.folder / "gallery.sqlite"), str(place.folder / "key")),
    )
    return Installation.open(settings)


def test_a_named_encoder_wins_then_a_bundles_then_the_model(large: Path, place: Place) -> None:
    named, small = gate(place, path="a.tflite", model="small"), gate(place, model="small")
    assert gate(place).encoder_path == large
    assert small.encoder_path == SMALL
    slot = place.install(1)
    assert small.encoder_path == place.slots.path(slot) / "encoder.tflite"
    assert named.encoder_path == Path("a.tflite")
    small.slots.roll_back()
    assert small.encoder_path == SMALL


def test_a_gate_says_which_model_it_hears_with(large: Path, place: Place) -> None:
    for model, path in (("large", large), ("small", SMALL)):
        here = gate(place, model=model)
        assert here.encoder.path == path and here.model == model
    assert gate(place, path=str(large), model="small").model == ""


def test_the_small_model_comes_along_with_its_own_detector(place: Place) -> None:
    # That of the large one is still to be trained; until then it hears each phrase alone.
    models = gate(place, model="small").models
    assert models.phrase is not None and models.loudspeaker is not None
    assert models.loudspeaker.knows(models.encoder)
