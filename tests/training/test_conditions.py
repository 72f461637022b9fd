"""Trials under other conditions, and the page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice.features import classic39
from kaimen_train.data import augment
from kaimen_train.data.conditions import SECONDS, SNRS, changes, under_conditions
from kaimen_train.data.corpus import Row, read_manifest
from kaimen_train.evaluation.evaluate import embedded, evaluate, hear
from kaimen_train.evaluation.protocols import pairs, verifications
from kaimen_train.peers import mfcc39
from tests.sounds import in_a_room, noise, silence, spoken

# Python 3.12 warns of every fork beside threads; numpy's own wait for work and hold no lock.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for rooms, of which three are enough."""
    pytest.importorskip("pyroomacoustics")
    monkeypatch.setattr(augment, "ROOMS", 3)
    return tmp_path


def signal_to_noise(sound: Samples, changed: Samples) -> float:
    return float(20 * np.log10(np.std(sound) / np.std(changed - sound)))


def test_noise_and_babble_are_as_loud_as_their_name_says(folder: Path) -> None:
    sound = spoken(1.0)
    found = changes([spoken(2.0, 220)], [noise(3.0, -20)], folder)
    for decibels in SNRS:
        for kind in ("noise", "babble"):
            changed = found[f"{kind}, {decibels} dB"](sound)
            assert changed.shape == sound.shape and changed.dtype == np.float32
            assert signal_to_noise(sound, changed) == pytest.approx(decibels, abs=0.1)


def test_kinds_for_which_there_is_no_sound_are_left_out(folder: Path) -> None:
    assert set(changes([], [], folder)) == {"room"}


def test_a_room_is_heard_after_the_sound_has_begun(folder: Path) -> None:
    click = np.zeros(8_000, np.float32)
    click[2_000] = 1
    heard = changes([], [], folder)["room"](click)
    assert not np.abs(heard[:1_900]).max() > 1e-3
    assert np.count_nonzero(np.abs(heard[2_100:]) > 1e-3) > 10


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """Two words by three synthetic voices, and a noise."""
    lines = ["path,corpus,split,speaker,text"]
    for number, text in enumerate(("语音", "识别")):
        for speaker in range(3):
            for take in range(1, 9):
                name = f"{number}-{speaker}-{take}.wav"
                word = spoken(0.4, 100 + 60 * speaker + take + 20 * number)
                sound = in_a_room(silence(0.2), word, silence(0.35), seed=take)
                soundfile.write(tmp_path / name, sound, SAMPLE_RATE)
                lines.append(f"{name},mandarin20,eval,s{speaker},{text}")
    soundfile.write(tmp_path / "hiss.wav", noise(1.0, -20), SAMPLE_RATE)
    lines.append("hiss.wav,noise,train,,")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_manifest(tmp_path / "manifest.csv")


@pytest.mark.slow
def test_every_condition_is_measured(rows: list[Row], folder: Path) -> None:
    found = under_conditions(embedded(hear(rows), mfcc39.embed), mfcc39.embed, rows, folder)
    assert set(found) == {"mandarin20", "phrase"}
    assert set(found["phrase"]) == {*(f"{seconds:g} s" for seconds in SECONDS), "whole"}
    pairs = found["mandarin20"]
    assert set(pairs) == {"clean", "room", *(f"noise, {decibels} dB" for decibels in SNRS)}
    # Either side of a pair may be the one that is disturbed.
    assert pairs["room"]["targets"] == 2 * pairs["clean"]["targets"]
    assert pairs["clean"]["eer"] <= pairs["noise, 5 dB"]["eer"]


def test_the_same_condition_on_both_sides_is_no_condition(rows: list[Row]) -> None:
    chosen = [row for row in rows if row.split == "eval"]
    points = np.random.default_rng(0).normal(size=(len(chosen), 4)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    assert pairs(chosen, points, points).errors()["eer"] == pytest.approx(
        pairs(chosen, points).errors()["eer"]
    )


def test_probes_come_from_the_condition_and_the_enrolled_do_not() -> None:
    from kaimen_train.evaluation.protocols import TextTakes

    here, there = np.eye(2, dtype=np.float32)
    takes = range(1, 9)
    plain = TextTakes("a", {"x": dict.fromkeys(takes, here), "y": dict.fromkeys(takes, there)})
    swapped = TextTakes("a", {"x": dict.fromkeys(takes, there), "y": dict.fromkeys(takes, here)})
    assert verifications([plain], [6]).errors()["eer"] == 0
    assert verifications([plain], [6], [swapped]).errors()["eer"] == 1


def test_cosines_of_the_classic_peer_rank_pairs_as_distances_do() -> None:
    sounds: Sequence[Samples] = [spoken(0.5, 90 + 17 * n) + noise(0.5, -40, n) for n in range(8)]
    means = np.stack([classic39(sound).mean(axis=0) for sound in sounds])
    distances = np.linalg.norm(means[:, None] - means[None], axis=2)
    points = mfcc39.embed(sounds).astype(np.float64)
    above = np.triu_indices(len(sounds), 1)
    assert np.argsort(-(points @ points.T)[above]).tolist() == np.argsort(distances[above]).tolist()


@pytest.mark.slow
def test_the_page_shows_every_encoder_and_refers_to_nothing_outside(
    rows: list[Row], folder: Path
) -> None:
    pytest.importorskip("matplotlib")
    from kaimen_train.evaluation.report import write

    made = embedded(hear(rows), mfcc39.embed)
    figures: dict[str, Any] = evaluate(made)
    figures["conditions"] = under_conditions(made, mfcc39.embed, rows, folder)
    page = folder / "page.html"
    write({"one": figures, "other <b>": figures}, page)
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 2 and "pair, mandarin20" in text
    assert "<th>other &lt;b&gt;</th>" in text
    assert "src=" not in text and 'href="http' not in text
