"""Which encoder a gate hears with: a named one, an active bundle's, or the settings' model."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge import voice
from edge.commands.common import by_another, encoder_of, load_encoder, model_of, models_of, slots_of
from edge.commands.spaces import ears_of, forget
from edge.gallery.evidence import Evidence
from edge.gallery.registry import Registry
from edge.gallery.vault import Vault
from edge.settings import BundleSettings, EncoderSettings, GallerySettings, Settings
from edge.slots import State
from edge.voice import ENCODERS, SMALL
from edge.voice.encoder import Card, Encoder
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


@pytest.mark.parametrize("model", sorted(ENCODERS))
def test_every_model_comes_along_with_its_own_detector(model: str, place: Place) -> None:
    settings = settings_of(place, model=model)
    models = models_of(settings, load_encoder(settings))
    assert models.phrase is not None and models.loudspeaker is not None
    assert models.loudspeaker.knows(models.encoder)


def test_where_no_bundle_is_active_the_school_is_known_by_the_model(
    large: Path, place: Place
) -> None:
    for model, path in (("large", large), ("small", SMALL)):
        ears = ears_of(slots_of(settings_of(place, model=model)), State(), None)
        assert ears.encoder == Card.read(path.with_suffix(".json")).sha256


def test_what_either_model_made_of_the_school_is_kept(large: Path, place: Place) -> None:
    settings = settings_of(place, model="small")
    vault = Vault()
    vault.save(settings.gallery.key_file)
    identities = [Card.read(path.with_suffix(".json")).sha256 for path in (large, SMALL)]
    point = np.eye(1, 192, dtype=np.float32)[0]
    with closing(Registry(settings.gallery.file, vault)) as registry:
        registry.enroll("anna", [point], "another")
        for identity in (*identities, "gone"):
            (known,) = registry.known(identity)
            registry.add_points([(known, point, Evidence())], identity)
        forget(settings, slots_of(settings))
        for identity, placed in ((identities[0], True), (identities[1], True), ("gone", False)):
            assert [each.placed for each in registry.known(identity)] == [placed]


def test_a_school_of_the_other_model_says_which(large: Path, place: Place) -> None:
    settings = settings_of(place)
    vault = Vault()
    vault.save(settings.gallery.key_file)
    with closing(Registry(settings.gallery.file, vault)) as registry:
        registry.enroll("anna", np.eye(1, 192, dtype=np.float32), Encoder(SMALL).identity)
    said = by_another(settings, encoder_of(settings))
    assert said.startswith('made by the small encoder; set [encoder] model = "small"')
    assert "small" not in by_another(settings, place.slots.path("a") / "encoder.tflite")


def test_a_bundle_is_made_of_the_model_of_the_settings(
    large: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge.bundle import Bundle
    from edge.cli import main

    config, out = place.folder / "kaimen.toml", place.folder / "new.kaimen"
    config.write_text('[encoder]\nmodel = "small"\n')
    options = ["--key", str(place.folder / "maker.pem"), "--version", "1", "--config", str(config)]
    assert main(["bundle", "make", str(out), *options]) == 0, capsys.readouterr().err
    parts = {
        part.name: part.sha256 for part in Bundle.open(out, place.slots.trusted).manifest.parts
    }
    assert parts["encoder.tflite"] == Encoder(SMALL).identity
