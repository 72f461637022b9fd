"""The self-test: models that do here what they did where the bundle was made, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.bundle.selftest import AGREE, TABLE, TAKES, VOICES, parts_of, require_passed, takes_in
from kaimen.errors import BundleError, FailedSelfTest, UnfitBundle
from kaimen.rehearsal import RECORDINGS
from kaimen.sound.recording import main_phrase, read
from kaimen.voice import LOUDSPEAKER, PHRASE, SHIPPED
from kaimen.voice.encoder import RUNTIMES, Encoder
from kaimen.voice.features import constants
from kaimen.voice.loudspeaker import LoudspeakerDetector
from kaimen.voice.models import Models
from tests.bundle.made import card_of, parts


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    for name, content in parts().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def changed(slot: Path, how: Callable[[list[dict[str, Any]]], object]) -> None:
    table = json.loads((slot / TABLE).read_text())
    how(table)
    (slot / TABLE).write_text(json.dumps(table))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_it_passes_in_every_runtime(slot: Path, runtime: str) -> None:
    models = require_passed(slot, runtime)
    assert (models.encoder.card.name, models.encoder.runtime) == ("second", runtime)
    assert models.encoder.identity != Encoder().identity


def test_another_point_than_expected_fails_it(slot: Path) -> None:
    def another(table: list[dict[str, Any]]) -> None:
        point = np.array(table[2]["point"])
        table[2]["point"] = np.roll(point, 1).tolist()

    changed(slot, another)
    with pytest.raises(FailedSelfTest, match=r"anning-other-1\.mp3 gives another point here"):
        require_passed(slot)


def test_a_point_of_another_dimension_fails_it(slot: Path) -> None:
    changed(slot, lambda table: table[0]["point"].pop())
    with pytest.raises(FailedSelfTest, match="another point"):
        require_passed(slot)


@pytest.mark.parametrize(
    ("measured", "alike", "passes"),
    [
        ({"runtimes_least_cosine": 0.99}, 0.975, True),  # runtimes round it otherwise
        ({"runtimes_least_cosine": 0.99}, 0.965, False),
        ({"runtimes_least_cosine": AGREE}, 0.9985, False),
        ({}, 0.9985, False),
        ({}, 0.9995, True),
    ],
)
def test_a_point_may_differ_by_as_much_as_the_card_says_of_runtimes(
    slot: Path, measured: dict[str, float], alike: float, passes: bool
) -> None:
    def moved(table: list[dict[str, Any]]) -> None:
        point = np.array(table[0]["point"])
        aside = np.roll(point, 1)
        aside -= (aside @ point) * point
        aside /= np.linalg.norm(aside)
        table[0]["point"] = (alike * point + (1 - alike**2) ** 0.5 * aside).tolist()

    changed(slot, moved)
    card = card_of((slot / "encoder.tflite").read_bytes(), measured=measured)
    (slot / "encoder.json").write_bytes(card)
    with nullcontext() if passes else pytest.raises(FailedSelfTest, match="another point"):
        require_passed(slot)


@pytest.mark.parametrize("what", ["voice", "words"])
def test_models_that_tell_nothing_apart_fail_it(slot: Path, what: str) -> None:
    def mixed(table: list[dict[str, Any]]) -> None:
        kinds = [each[what] for each in table]
        for each, kind in zip(table, kinds[1:] + kinds[:1], strict=True):
            each[what] = kind

    changed(slot, mixed)
    named = {"voice": "voices", "words": "words"}[what]
    with pytest.raises(FailedSelfTest, match=f"do not tell {named} apart"):
        require_passed(slot)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1]", "\ud7ff"])
def test_a_bundle_without_a_self_test_fails_it(slot: Path, content: str) -> None:
    (slot / TABLE).write_text(content)
    with pytest.raises(BundleError, match="no self-test that tells anything"):
        require_passed(slot)


@pytest.mark.parametrize(
    ("voices", "words", "passes"),
    [
        (["anning", "bowen"], ["phrase", "other"], True),
        (["anning"], ["phrase", "other"], False),
        (["anning", "bowen"], ["phrase"], False),
    ],
)
def test_two_voices_with_two_words_tell_something(
    slot: Path, voices: list[str], words: list[str], passes: bool
) -> None:
    def kept(table: list[dict[str, Any]]) -> None:
        table[:] = [each for each in table if each["voice"] in voices and each["words"] in words]

    changed(slot, kept)
    with nullcontext() if passes else pytest.raises(BundleError, match="no self-test"):
        require_passed(slot)


def test_recordings_that_cannot_be_heard_fail_it(slot: Path) -> None:
    (slot / "bowen-phrase-1.mp3").write_bytes(b"")
    with pytest.raises(FailedSelfTest, match="cannot be heard"):
        require_passed(slot)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("encoder.tflite", SHIPPED.read_bytes(), "not the file its card describes"),
        ("encoder.tflite", b"", "not the file its card describes"),
        ("encoder.json", b"{}", "not an encoder's card"),
        ("phrase.tflite", SHIPPED.read_bytes(), "not the file its card describes"),
        ("phrase.json", b"{}", "not a phrase encoder's card"),
        ("loudspeaker.npz", PHRASE.read_bytes(), "not the file its card describes"),
        ("loudspeaker.json", b"{}", "not a detector's card"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(
    slot: Path, name: str, content: bytes, said: str
) -> None:
    (slot / name).write_bytes(content)
    with pytest.raises(UnfitBundle, match=f"do not fit this program: .*{said}"):
        require_passed(slot)


def test_what_is_missing_is_not_taken_from_what_ships(slot: Path) -> None:
    (slot / LOUDSPEAKER.name).unlink()
    with pytest.raises(UnfitBundle, match="do not fit"):
        require_passed(slot)


def test_an_encoder_of_other_features_or_shapes_is_refused(slot: Path) -> None:
    network = (slot / "encoder.tflite").read_bytes()
    for more, said in (
        ({"features": {**constants(), "mels": 40}}, "trained with other features"),
        ({"dimension": 64}, "shapes .* are not the card's"),
        ({"frames": 100}, "shapes .* are not the card's"),
    ):
        (slot / "encoder.json").write_bytes(card_of(network, **more))
        with pytest.raises(UnfitBundle, match=said):
            require_passed(slot)


def test_a_runtime_that_refuses_the_network_is_heard(slot: Path) -> None:
    network = b"no flatbuffer" * 100
    (slot / "encoder.tflite").write_bytes(network)
    (slot / "encoder.json").write_bytes(card_of(network))
    with pytest.raises(UnfitBundle, match="the runtime refuses it"):
        require_passed(slot)


@pytest.mark.parametrize(
    ("part", "size", "said"),
    [(12, 30_000, "gives another point here"), (3, 20_000, "a model cannot be run here")],
)
def test_a_spoilt_network_does_not_pass(slot: Path, part: int, size: int, said: str) -> None:
    network = bytearray((slot / "encoder.tflite").read_bytes())
    start = len(network) // part
    network[start : start + size] = bytes(size)
    (slot / "encoder.tflite").write_bytes(network)
    (slot / "encoder.json").write_bytes(card_of(bytes(network)))
    with pytest.raises(FailedSelfTest, match=said):
        require_passed(slot)


def test_it_is_made_of_a_few_takes_of_a_few_voices_and_their_points() -> None:
    takes = takes_in(RECORDINGS)
    assert [(path.parent.name, path.name, voice, words) for path, voice, words in takes[:4]] == [
        ("anning", "phrase-1.mp3", "anning", "phrase"),
        ("anning", "phrase-2.mp3", "anning", "phrase"),
        ("anning", "other-1.mp3", "anning", "other"),
        ("bowen", "phrase-1.mp3", "bowen", "phrase"),
    ]
    assert len(takes) == VOICES * len(TAKES)
    encoder = Encoder()
    made = parts_of(Models(encoder), takes[2:4])
    assert made["anning-other-1.mp3"] == takes[2][0].read_bytes()
    table = json.loads(made[TABLE])
    assert [(each["recording"], each["voice"], each["words"]) for each in table] == [
        ("anning-other-1.mp3", "anning", "other"),
        ("bowen-phrase-1.mp3", "bowen", "phrase"),
    ]
    for each, (path, _, _) in zip(table, takes[2:4], strict=True):
        point = encoder.embed(main_phrase(read(path)).samples)
        np.testing.assert_allclose(each["point"], point, atol=1e-6)


@pytest.mark.parametrize("knows", [True, False])
def test_loudspeakers_are_listened_for_beside_points_that_the_detector_knows(
    slot: Path, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    beside = []
    suspect = LoudspeakerDetector.suspect

    def heard(self: LoudspeakerDetector, features: Any, point: Any, known: Any) -> Any:
        beside.append((len(known), point is not None))
        return suspect(self, features, point, [])

    monkeypatch.setattr(LoudspeakerDetector, "knows", lambda *_: knows)
    monkeypatch.setattr(LoudspeakerDetector, "suspect", heard)
    require_passed(slot)
    takes = len(json.loads((slot / TABLE).read_text()))
    assert beside[-takes:] == [(takes if knows else 0, True)] * takes
