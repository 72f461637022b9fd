"""Figures of the eval split, by the shipped encoder and on the command line."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("scipy")

from kaimen.errors import EncoderError, SettingsError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from kaimen.voice.encoder import SHIPPED, Encoder
from kaimen_train import processes
from kaimen_train.cli import evaluate as evaluate_command
from kaimen_train.cli import main
from kaimen_train.data.corpus import Row, read_manifest
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.evaluate import (
    cost_of_int8,
    embedded,
    evaluate,
    hear,
    keeping,
    of_encoder,
)
from tests.sounds import in_a_room, silence, spoken

# Python 3.12 warns of every fork beside threads; numpy's own wait for work and hold no lock.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")

HEADER = "path,corpus,split,speaker,text"
WORDS = ("语音", "识别", "北京", "背景")  # one phrase, and one near-alike pair
SPEAKERS = 3

needs_encoder = pytest.mark.skipif(not SHIPPED.exists(), reason="no encoder is shipped")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All corpora of the protocols, as small as trials allow, said by synthetic voices."""
    folder = tmp_path_factory.mktemp("speech")
    lines = [HEADER]
    for corpus, texts, takes in (
        ("mandarin20", WORDS, 8),
        ("arabic40", ("wahid",), 6),
        ("commands", ("up",), 2),
    ):
        for (number, text), speaker, take in product(
            enumerate(texts), range(SPEAKERS), range(1, takes + 1)
        ):
            name = f"{corpus}-{number}-{speaker}-{take}.wav"
            word = spoken(0.3 + 0.05 * number, 100 + 50 * speaker + take)
            sound = in_a_room(silence(0.2), word, silence(0.35), seed=take)
            soundfile.write(folder / name, sound, SAMPLE_RATE)
            lines.append(f"{name},{corpus},eval,s{speaker},{text}")
    # Nothing of the train split may be heard: this file does not even exist.
    lines.append("nowhere.wav,mandarin20,train,s9,语音")
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def rows(manifest: Path) -> list[Row]:
    return read_manifest(manifest)


def mean_spectra(sounds: Sequence[Samples]) -> np.ndarray:
    """A plain encoder: the mean spectrum."""
    points = [features.level_free(features.log_mel(sound)).mean(axis=0) for sound in sounds]
    return np.stack([point / np.linalg.norm(point) for point in points])


@pytest.fixture(scope="module")
def figures(rows: list[Row]) -> dict[str, Any]:
    """What is found with the plain encoder."""
    return evaluate(embedded(hear(rows), mean_spectra))


@pytest.mark.slow
def test_every_protocol_is_measured(figures: dict[str, Any]) -> None:
    assert set(figures) == {"pair", "phrase", "open_set", "wrong_phrase"}
    assert set(figures["pair"]) == {"mandarin20", "arabic40", "commands"}
    assert set(figures["open_set"]) == {"phrase", "arabic40"}


def test_the_trials_are_those_of_the_protocols(figures: dict[str, Any]) -> None:
    assert figures["pair"]["commands"]["targets"] == 3  # a pair of takes each
    assert figures["pair"]["commands"]["strangers"] == 12  # 15 pairs of 6 recordings
    phrase = figures["phrase"]
    assert (phrase["targets"], phrase["strangers"]) == (3 * 3, 3 * 2 * 3)
    openly = figures["open_set"]["arabic40"]
    assert (openly["strangers"], openly["students"]) == (3, 3 * 2)  # one probe each: take 6
    wrong = figures["wrong_phrase"]
    assert (wrong["trials"], wrong["trials_near_alike"]) == (12 * 3 * 3, 2 * 3 * 3)


def test_errors_are_shares_and_lie_in_their_intervals(figures: dict[str, Any]) -> None:
    for measured in [figures["phrase"], *figures["pair"].values()]:
        assert 0 <= measured["eer"] <= 1
        assert 0 <= measured["min_dcf"] <= 1
    for openly in figures["open_set"].values():
        for fpir in ("0.01", "0.05"):
            low, high = openly[f"interval_at_fpir_{fpir}"]
            assert 0 <= low <= openly[f"fnir_at_fpir_{fpir}"] <= high <= 1
            assert -1 <= openly[f"threshold_at_fpir_{fpir}"] <= 1 + 1e-5
    assert 0 <= figures["wrong_phrase"]["opened"] <= 1
    assert 0 <= figures["wrong_phrase"]["opened_near_alike"] <= 1


def test_pairs_are_of_the_points_the_encoder_gave(rows: list[Row]) -> None:
    commands = [row for row in rows if row.corpus == "commands"]

    def by_order(sounds: Sequence[Samples]) -> np.ndarray:
        """Two recordings of one speaker follow each other in the manifest."""
        return np.repeat(np.eye(SPEAKERS, dtype=np.float32), 2, axis=0)[: len(sounds)]

    assert evaluate(embedded(hear(commands), by_order))["pair"]["commands"]["eer"] == 0


def test_protocols_without_their_corpus_are_left_out(rows: list[Row]) -> None:
    commands = [row for row in rows if row.corpus == "commands"]
    found = evaluate(embedded(hear(commands), mean_spectra))
    assert set(found["pair"]) == {"commands"}
    assert (found["phrase"], found["open_set"], found["wrong_phrase"]) == ({}, {}, {})


@pytest.mark.parametrize(("corpus", "split"), [("mandarin20", "train"), ("others", "eval")])
def test_with_nothing_to_measure_it_is_said(corpus: str, split: str) -> None:
    rows = [Row("a.wav", Path("a.wav"), corpus, split, "s0", "a")]
    with pytest.raises(SettingsError, match="no eval rows of mandarin20, arabic40, commands"):
        hear(rows)


def test_what_int8_costs_is_measured_on_the_same_trials(rows: list[Row]) -> None:
    heard = hear(rows)
    exact = embedded(heard, mean_spectra)
    same = cost_of_int8(exact, exact)
    assert set(same) == {"pair, mandarin20", "pair, arabic40", "pair, commands", "phrase"}
    for found in same.values():
        assert found["eer"] == found["eer_float"]
        assert found["flipped"] == 0

    def coarse(sounds: Sequence[Samples]) -> np.ndarray:
        points = np.round(mean_spectra(sounds) * 8)
        return points / np.linalg.norm(points, axis=1, keepdims=True)

    found = cost_of_int8(embedded(heard, coarse), exact)["pair, mandarin20"]
    assert 0 < found["flipped"] < 0.5
    assert 0.9 < found["mean_cosine"] < 0.999


def test_points_are_kept_and_not_made_again(tmp_path: Path) -> None:
    asked: list[int] = []

    def embed(sounds: Sequence[Samples]) -> np.ndarray:
        asked.append(len(sounds))
        return mean_spectra(sounds)

    sounds = [spoken(0.5, 100), spoken(0.6, 120)]
    first = keeping(embed, tmp_path, "one")(sounds)
    np.testing.assert_array_equal(keeping(embed, tmp_path, "one")(sounds), first)
    assert asked == [2]
    keeping(embed, tmp_path, "another")(sounds)
    keeping(embed, tmp_path, "one")(sounds[::-1])
    keeping(embed, tmp_path, "one")([np.concatenate(sounds)])  # the same samples, cut otherwise
    assert asked == [2, 2, 2, 1]


@needs_encoder
def test_an_encoder_in_other_processes_gives_the_same_points() -> None:
    sounds = [spoken(0.5 + 0.1 * number, 100 + 20 * number) for number in range(4)]
    found = of_encoder(SHIPPED)(sounds)
    encoder = Encoder(SHIPPED)
    np.testing.assert_array_equal(found, np.stack([encoder.embed(sound) for sound in sounds]))


def test_a_missing_encoder_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="card"):
        of_encoder(tmp_path / "nowhere.tflite")


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """A command sets up the log; what was there before comes back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.slow
@needs_encoder
def test_the_command_prints_one_json_object(manifest: Path, capsys: pytest.CaptureFixture) -> None:
    folder = manifest.parent / "work"
    assert main.main(["evaluate", str(manifest), "--json", "--folder", str(folder)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line, parse_constant=refuse)
    assert set(found) >= {"pair", "phrase", "open_set", "wrong_phrase", "gate"}
    assert set(found["pair"]) == set(protocols.PAIRED)
    assert set(found["gate"]["by_corpus"]) == set(protocols.PAIRED)


@pytest.fixture
def few(manifest: Path) -> Path:
    """The manifest of one corpus."""
    lines = manifest.read_text(encoding="utf-8").splitlines()
    few = manifest.with_name("few.csv")
    few.write_text("\n".join([HEADER, *(line for line in lines if "commands" in line)]))
    return few


@needs_encoder
def test_the_command_starts_its_processes_once(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def counted(workers: int) -> ProcessPoolExecutor:
        started.append(workers)
        return ProcessPoolExecutor(workers)

    monkeypatch.setattr(processes, "ProcessPoolExecutor", counted)
    assert main.main(["evaluate", str(few), "--folder", str(tmp_path)]) == 0
    assert len(started) == 1


@needs_encoder
def test_the_command_shows_a_table_to_a_person(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    again = ["evaluate", str(few), "--folder", str(tmp_path)]
    assert main.main(again) == 0
    shown = capsys.readouterr().out
    assert "commands" in shown and "3 / 12" in shown and "EER" in shown
    assert "FNIR in %" in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert main.main([*again, "--markdown"]) == 0
    assert "| commands | 3 | 1 |" in capsys.readouterr().out


def failure(capsys: pytest.CaptureFixture, *arguments: str | Path) -> tuple[int, str]:
    """Exit code, and the one sentence that is said."""
    code = main.main(list(map(str, arguments)))
    said = capsys.readouterr()
    assert said.out == ""
    (sentence,) = said.err.splitlines()
    assert sentence.startswith("✗ ")
    return code, sentence


@pytest.mark.parametrize("command", ["fit", "export", "ladder", "evaluate"])
def test_a_manifest_that_is_missing_is_said_in_a_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    if command != "evaluate":
        pytest.importorskip("tensorflow")
    code, said = failure(capsys, command, tmp_path / "none.csv")
    assert code == 2
    assert "cannot be read as a manifest" in said


def test_a_manifest_with_no_eval_rows_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(f"{HEADER}\na.wav,mandarin20,train,s0,a\n", encoding="utf-8")
    if not SHIPPED.exists():
        pytest.skip("no encoder is shipped")
    code, said = failure(capsys, "evaluate", path, "--json")
    assert code == 2
    assert "no eval rows" in said


@pytest.mark.parametrize("damage", ["missing", "without a card", "not what its card says"])
def test_an_encoder_that_cannot_be_trusted_is_said_in_a_sentence(
    damage: str, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    encoder = tmp_path / "encoder.tflite"
    if damage != "missing":
        encoder.write_bytes(b"damaged")
    if damage == "not what its card says":
        if not SHIPPED.exists():
            pytest.skip("no encoder is shipped")
        shutil.copy(SHIPPED.with_suffix(".json"), tmp_path)
    code, said = failure(capsys, "evaluate", manifest, "--encoder", encoder)
    assert code == 4
    assert str(encoder.with_suffix("")) in said


def test_a_name_in_brackets_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    _, said = failure(capsys, "evaluate", tmp_path / "[old]" / "[/old].csv")
    assert "[old]/[/old].csv" in said


def test_a_command_that_is_interrupted_says_so_by_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate_command, "read_manifest", interrupted)
    assert main.main(["evaluate"]) == 130


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_shows_an_example_in_its_help(
    command: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main.main([command, "--help"])
    assert stopped.value.code == 0
    assert f"example:\n  kaimen-train {command}" in capsys.readouterr().out
