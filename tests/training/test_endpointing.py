"""What is measured of endpointing, on sounds whose speech is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from kaimen_train.cli import main
from kaimen_train.data.corpus import Row, read_manifest
from kaimen_train.evaluation.endpointing import every, measure, speech_frames, trimmed
from tests.sounds import in_a_room, noise, silence, spoken

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")

HEARD = {"as recorded", "tight", "offset", "hum", "noise"}


def mean_spectra(sounds: Sequence[Samples]) -> np.ndarray:
    points = [features.level_free(features.log_mel(sound)).mean(axis=0) for sound in sounds]
    return np.stack([point / np.linalg.norm(point) for point in points])


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Two speakers say two words twice, one a sentence with a long pause; a noise."""
    folder = tmp_path_factory.mktemp("speech")
    lines = ["path,corpus,split,speaker,text"]

    def record(name: str, sound: Samples, *fields: str) -> None:
        soundfile.write(folder / name, sound, SAMPLE_RATE)
        lines.append(",".join((name, *fields)))

    for number in range(8):
        speaker, text, take = number & 1, "ab"[number >> 1 & 1], number >> 2
        word = spoken(0.5, 110 + 60 * speaker + take)
        sound = in_a_room(silence(0.3), word, silence(0.3), seed=number)
        record(f"{number}.wav", sound, "mandarin20", "eval", f"s{speaker}", text)
    sentence = in_a_room(silence(0.3), spoken(0.5), silence(0.8), spoken(0.5), silence(0.3))
    record("sentence.wav", sentence, "speechocean", "eval", "s9", "c")
    record("noise.wav", noise(1.0, -30), "noise", "train", "", "")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_manifest(folder / "manifest.csv")


def test_the_reference_is_where_somebody_speaks() -> None:
    sound = in_a_room(silence(0.3), spoken(0.5), silence(0.3), noise(0.02, -20), silence(0.3))
    (speech,) = np.nonzero(speech_frames(sound))
    assert (speech[0], speech[-1]) == (pytest.approx(30, abs=1), pytest.approx(79, abs=1))
    assert len(trimmed(sound)) / SAMPLE_RATE == pytest.approx(0.56, abs=0.03)


def test_words_are_measured_under_every_condition(rows: list[Row]) -> None:
    found = measure(rows, mean_spectra)["mandarin20"]
    assert set(found) == HEARD
    for name, figures in found.items():
        assert figures["recordings"] == 8 and figures["with_pauses"] == 0
        assert 0 <= figures["eer_by_gate"] <= 1 and 0 <= figures["eer_by_energy"] <= 1
        if name != "noise":  # white, it drowns what pre-emphasis leaves of such a voice
            assert figures["phrases"] == 1, name
            assert figures["cut_off"] == 0 and figures["kept"] > 0.95, name


def test_a_long_pause_is_counted_apart(rows: list[Row]) -> None:
    figures = measure(rows, mean_spectra)["speechocean"]["as recorded"]
    assert figures["with_pauses"] == 1 and figures["cut_off"] == 0
    assert "eer_by_gate" not in figures


def test_every_other_text_is_a_quick_look(rows: list[Row]) -> None:
    some = every(rows, 2)
    assert {row.text for row in some if row.corpus == "mandarin20"} == {"a"}
    assert {row.text for row in some if row.corpus == "speechocean"} == {"c"}


@pytest.mark.slow
def test_the_command_prints_one_object(rows: list[Row], capsys: pytest.CaptureFixture[str]) -> None:
    manifest = rows[0].file.parent / "manifest.csv"
    assert main.main(["endpointing", str(manifest), "--every", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"mandarin20", "speechocean"} and set(found["mandarin20"]) == HEARD
    assert main.main(["endpointing", str(manifest), "--every", "2"]) == 0
    assert "as recorded" in capsys.readouterr().out


def test_without_speech_there_is_nothing_to_measure(rows: list[Row], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no eval rows"):
        measure([row for row in rows if row.split == "train"], mean_spectra)
