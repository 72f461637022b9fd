"""Which encoder a gate hears with: a named one, an active bundle's, or the settings' model."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaimen import voice
from kaimen.installation import encoder_of, load_encoder, model_of, models_of, slots_of
from kaimen.settings import BundleSettings, EncoderSettings, GallerySettings, Settings
from kaimen.voice import SMALL
from kaimen.voice.encoder import Encoder
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


def settings_of(place: Place, **encoder: str) -> Settings:
    return Settings(
        encoder=EncoderSettings(**encoder),
        bundle=BundleSettings(str(place.slots.folder), str(place.folder)),
        gallery=GallerySettings(str(place.folder / "gallery.sqlite"), str(place.folder / "key")),
    )


def test_a_named_encoder_wins_then_a_bundles_then_the_model(large: Path, place: Place) -> None:
    named, small = (
        settings_of(place, path="a.tflite", model="small"),
        settings_of(place, model="small"),
    )
    assert encoder_of(settings_of(place)) == large
    assert encoder_of(small) == SMALL
    slot = place.install(1)
    assert encoder_of(small) == place.slots.path(slot) / "encoder.tflite"
    assert encoder_of(named) == Path("a.tflite")
    slots_of(small).roll_back()
    assert encoder_of(small) == SMALL


def test_a_gate_says_which_model_it_hears_with(large: Path, place: Place) -> None:
    for model, path in (("large", large), ("small", SMALL)):
        settings = settings_of(place, model=model)
        encoder = load_encoder(settings)
        assert encoder.path == path and model_of(settings, encoder) == model
    assert model_of(settings_of(place, path=str(large), model="small"), Encoder(large)) == ""


def test_the_small_model_comes_along_with_its_own_detector(place: Place) -> None:
    # That of the large one is still to be trained; until then it hears each phrase alone.
    settings = settings_of(place, model="small")
    models = models_of(settings, load_encoder(settings))
    assert models.phrase is not None and models.loudspeaker is not None
    assert models.loudspeaker.knows(models.encoder)
