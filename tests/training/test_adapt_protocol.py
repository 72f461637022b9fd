"""The check of adapting, on synthetic points whose nuisance is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from kaimen.registry.space_map import SpaceMap
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import SHIPPED
from kaimen_train.adapt import protocol, tables
from kaimen_train.cli import adapt as command
from kaimen_train.cli import main
from kaimen_train.data import bad_microphone
from kaimen_train.data.corpus import Row
from tests.sounds import spoken

DIMENSION = 24


def said(corpus: str, speakers: int, first: int, takes: int) -> protocol.RecordedRows:
    """Sounds that hold nothing but the numbers of speaker and take."""
    rows, sounds = [], []
    for speaker in range(first, first + speakers):
        for text in "ab":
            for take in range(1, takes + 1):
                rows.append(Row("", Path(f"{text}-{take:02d}.mp3"), corpus, "", f"{speaker}", text))
                sounds.append(np.array([speaker, take + 10 * (text == "b")], np.float32))
    return protocol.RecordedRows(rows, sounds)


def place(sound: Samples, scale: float) -> np.ndarray:
    """A point: the speaker's direction, a nuisance of the take, and what is everybody's."""
    speaker, take = int(sound[0]), int(sound[1])
    point = np.random.default_rng(speaker).normal(size=DIMENSION)
    random = np.random.default_rng((speaker, take))
    point += random.normal(0, 0.6, DIMENSION)
    point[0], point[1] = random.normal(0, 15), 20
    point[:2] *= scale
    return (point / np.linalg.norm(point)).astype(np.float32)


def embedder(path: Path) -> Callable[[Sequence[Samples]], np.ndarray]:
    scale = 1.0 if path == SHIPPED else 0.3
    return lambda sounds: np.stack([place(sound, scale) for sound in sounds])


@pytest.mark.slow
def test_what_adapting_buys_and_what_carrying_costs_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    kinds = ("phrase", "mandarin20", "commands")
    monkeypatch.setattr(
        protocol, "_train", lambda *_: {name: said(name, 12, 0, 5) for name in kinds}
    )
    monkeypatch.setattr(
        protocol, "_eval", lambda *_: {name: said(name, 5, 100, 8) for name in kinds}
    )
    monkeypatch.setattr(protocol, "at_bad_microphone", lambda sounds, _: list(sounds))
    monkeypatch.setattr(protocol, "long_enough", lambda sound: sound)
    monkeypatch.setattr(protocol, "of_encoder", embedder)
    monkeypatch.setattr(protocol, "Encoder", lambda path: None)

    def adapted(*arguments: Any) -> SimpleNamespace:
        out = arguments[-1]
        out.touch()
        way = np.diag([0.3, 0.3] + [1.0] * (DIMENSION - 2)).astype(np.float32)
        SpaceMap("old", "new", way).save(out.with_suffix(".npz"))
        return SimpleNamespace(measured={"runtimes_least_cosine": 1.0})

    monkeypatch.setattr(protocol, "adapt", adapted)
    monkeypatch.setattr(command, "read_manifest", lambda _: [])
    assert main.main(["adapt", "--check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for condition in ("intercom, simulated", "as recorded"):
        for name in kinds:
            figures = found[condition][name]
            assert figures["schools"] == (1 if name == "commands" else 2)
            assert figures["students"] == 12 and figures["speakers"] == 5
            assert figures["after"]["eer"] < 0.8 * figures["before"]["eer"]
            assert figures["change"] < -0.2
            assert figures["adapted_by_the_rule"] == figures["schools"]
    gallery = found["handed on"]["files"]["phrase"]["gallery"]
    again, exact, _few, others = gallery.values()
    assert exact["mean_cosine"] == pytest.approx(1, abs=1e-5)
    assert exact["eer"] == pytest.approx(again["eer"]) and exact["fnir"] == again["fnir"]
    assert others["mean_cosine"] > 0.95
    shown = list(tables.checked(found))
    assert [table.row_count for table in shown] == [3, 3, 3, 8]


def test_the_intercom_lets_only_a_narrow_band_pass() -> None:
    sound: Sequence[Samples] = [spoken(0.8, 110.0)]
    (heard,) = bad_microphone.at_bad_microphone(sound, 0)
    (again,) = bad_microphone.at_bad_microphone(sound, 0)
    np.testing.assert_array_equal(heard, again)

    def shares(samples: Samples) -> np.ndarray:
        power = np.abs(np.fft.rfft(samples)) ** 2
        hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
        bands = [(0, 250), (300, 3_400), (4_500, 8_000)]
        return np.array([power[(hertz >= a) & (hertz < b)].sum() for a, b in bands]) / power.sum()

    assert shares(sound[0])[0] > 0.2
    assert shares(heard)[1] > 0.9
