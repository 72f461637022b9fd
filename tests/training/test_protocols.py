"""The trials of each protocol, on points made by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import product
from math import comb
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.gallery.gallery import Gallery
from kaimen.sound import SAMPLE_RATE
from kaimen_train.data.corpus import Row, speech_of
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.protocols import OpenSet, TextTakes
from tests.gallery.exact import nearest_exactly
from tests.sounds import in_a_room, silence, spoken

WORDS = ("北京", "背景", "上海")  # the first two are near-alike
ANN, BEN, CAI = "ann", "ben", "cai"
TAKES = range(1, 9)
DIMENSION = 16


def row(text: str, speaker: str, take: int, folder: Path = Path()) -> Row:
    path = f"{text}/{speaker}-{take:02d}.wav"
    return Row(path, folder / path, "mandarin20", "eval", speaker, text)


def rows_of(texts: Sequence[str] = WORDS, speakers: Sequence[str] = (ANN, BEN, CAI)) -> list[Row]:
    return [row(*which) for which in product(texts, speakers, TAKES)]


def axis(number: int) -> np.ndarray:
    return np.eye(DIMENSION, dtype=np.float32)[number]


def unit(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float32)


def perfect(rows: list[Row]) -> np.ndarray:
    """A point for each speaker saying each text, at right angles to all others."""
    voices = sorted({(row.text, row.speaker) for row in rows})
    return np.stack([axis(voices.index((row.text, row.speaker))) for row in rows])


def scattered(rows: list[Row], spread: float, seed: int = 0) -> np.ndarray:
    """Takes around a point for each speaker saying each text."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((len(rows), DIMENSION)) / np.sqrt(DIMENSION)
    return unit(perfect(rows) + spread * noise)


def test_the_scores_of_trials_are_those_of_the_gate() -> None:
    texts = protocols.by_text(rows_of(("a",)), scattered(rows_of(("a",)), 1.0))
    gallery = Gallery("encoder", DIMENSION)
    for speaker in texts[0].takes:
        gallery.enroll(speaker, list(texts[0].enrolled(speaker)))
    at_the_gate = {
        match.score
        for speaker in texts[0].takes
        for probe in texts[0].probes(speaker, (6, 7, 8))
        for match in nearest_exactly(gallery, probe, 3)
    }
    found = protocols.verifications(texts, (6, 7, 8)).scores
    np.testing.assert_allclose(np.sort(found), sorted(at_the_gate), atol=1e-6)


def test_a_probe_that_is_no_number_is_turned_away_and_an_error_of_a_students() -> None:
    rows = rows_of(("a",))
    points = perfect(rows)
    points[7] = np.nan  # ann's last
    texts = protocols.by_text(rows, points)
    trials = protocols.verifications(texts, (6, 7, 8))
    assert not np.isnan(trials.scores).any()
    assert int(np.isneginf(trials.scores).sum()) == 3  # at each of the students
    assert trials.errors()["eer"] > 0
    openly = protocols.open_set(texts, (6, 7, 8))
    assert openly.students[ANN].tolist().count(-np.inf) == 2  # at two galleries without a stranger
    assert openly.fnir(0.01)[0] > 0


def test_recordings_are_sorted_by_text_speaker_and_take() -> None:
    rows = rows_of(texts=("b", "a"))
    points = np.arange(len(rows), dtype=np.float32)[:, None]
    first, second = protocols.by_text(rows, points)
    assert (first.text, second.text) == ("a", "b")
    assert set(second.takes) == {ANN, BEN, CAI}
    assert second.enrolled(BEN).ravel().tolist() == [8, 9, 10, 11, 12]  # takes 1 to 5
    assert second.probes(BEN, (6, 8, 9)).ravel().tolist() == [13, 15]  # there is no ninth


def test_pairs_are_all_pairs_of_a_text() -> None:
    rows = rows_of()
    found = protocols.pairs(rows, perfect(rows)).errors()
    within = 3 * comb(8, 2)
    assert found["targets"] == 3 * within  # three texts
    assert found["strangers"] == 3 * (comb(24, 2) - within)


def test_recordings_of_two_texts_are_no_pair() -> None:
    # Ann says one text as ben says the other: a pair across texts would be an error.
    rows = rows_of(texts=("a", "b"), speakers=(ANN, BEN))
    points = np.stack([axis(int((row.text == "a") == (row.speaker == ANN))) for row in rows])
    assert protocols.pairs(rows, points).errors()["eer"] == 0


def test_perfect_points_make_no_pair_errors() -> None:
    rows = rows_of()
    found = protocols.pairs(rows, perfect(rows)).errors()
    assert (found["eer"], found["min_dcf"]) == (0, 0)


def test_points_that_know_nobody_err_as_a_coin_does() -> None:
    rows = rows_of(speakers=[f"s{n}" for n in range(8)])
    points = unit(np.random.default_rng(3).normal(size=(len(rows), DIMENSION)))
    assert protocols.pairs(rows, points).errors()["eer"] == pytest.approx(0.5, abs=0.06)


def test_every_probe_is_verified_against_every_student_of_its_text() -> None:
    rows = rows_of()
    found = protocols.verifications(protocols.by_text(rows, perfect(rows)), (6, 7, 8)).errors()
    assert found["targets"] == 3 * 3 * 3  # texts, speakers, probes
    assert found["strangers"] == 3 * (3 * 2) * 3
    assert (found["eer"], found["min_dcf"]) == (0, 0)


def test_a_probe_that_is_nobody_is_an_error_of_verification() -> None:
    rows = rows_of(texts=("a",), speakers=(ANN, BEN))
    points = perfect(rows)
    points[7] = axis(9)  # ann's last probe scores zero, as a stranger does
    found = protocols.verifications(protocols.by_text(rows, points), (6, 7, 8)).errors()
    # One of 6 targets lies among the strangers: from (0, 1) to (1/6, 0).
    assert found["eer"] == pytest.approx(1 / 7)


def test_numbers_of_probes_may_be_given_once() -> None:
    said = protocols.by_text(rows_of(), perfect(rows_of()))
    once, again = (
        protocols.verifications(said, numbers).errors() for numbers in (iter((6, 7, 8)), (6, 7, 8))
    )
    assert once == again


def test_everybody_is_once_a_stranger_and_else_a_student() -> None:
    rows = rows_of()
    openly = protocols.open_set(protocols.by_text(rows, perfect(rows)), (6, 7, 8))
    assert {name: len(found) for name, found in openly.strangers.items()} == {
        ANN: 9, BEN: 9, CAI: 9,
    }  # fmt: skip
    # A student of a text comes with 3 probes to each gallery that somebody else is left out of.
    assert {name: len(found) for name, found in openly.students.items()} == {
        ANN: 18, BEN: 18, CAI: 18,
    }  # fmt: skip


def test_perfect_points_miss_no_student() -> None:
    rows = rows_of()
    openly = protocols.open_set(protocols.by_text(rows, perfect(rows)), (6, 7, 8))
    fnir, threshold = openly.fnir(0.01)
    assert fnir == 0
    assert 0 < threshold < 1


def test_a_stranger_scores_against_the_nearest_of_the_others() -> None:
    said = TextTakes("a", {
        ANN: dict.fromkeys(TAKES, unit(axis(0) + axis(1))),
        BEN: dict.fromkeys(TAKES, axis(1)),
        CAI: dict.fromkeys(TAKES, axis(2)),
    })  # fmt: skip
    openly = protocols.open_set([said], (6,))
    assert openly.strangers[ANN].tolist() == pytest.approx([np.sqrt(0.5)])
    assert openly.strangers[CAI].tolist() == pytest.approx([0])


def test_a_student_who_is_nearer_to_somebody_else_is_missed() -> None:
    ben = axis(1)
    said = TextTakes("a", {
        ANN: {**dict.fromkeys(range(1, 6), axis(0)), 6: unit(0.5 * axis(0) + ben)},
        BEN: dict.fromkeys(TAKES, ben),
        CAI: dict.fromkeys(TAKES, axis(2)),
    })  # fmt: skip
    openly = protocols.open_set([said], (6,))
    # Ann is missed where ben is enrolled, and found where it is ben who is left out.
    assert sorted(openly.students[ANN].tolist()) == [-np.inf, pytest.approx(np.sqrt(0.2))]
    assert openly.students[BEN].tolist() == pytest.approx([1, 1])


def test_a_student_below_the_threshold_is_missed() -> None:
    openly = OpenSet(
        strangers={ANN: np.array([0.1, 0.2]), BEN: np.array([0.3, 0.6])},
        students={ANN: np.array([0.5, 0.9]), BEN: np.array([-np.inf, 0.7])},
    )
    fnir, threshold = openly.fnir(0.25)  # one of four strangers may pass: the one with 0.6
    assert 0.3 < threshold <= 0.5
    assert fnir == 0.25
    assert openly.fnir(0)[0] == 0.5


def test_speakers_may_be_chosen_twice() -> None:
    openly = OpenSet(
        strangers={ANN: np.array([0.1]), BEN: np.array([0.2])},
        students={ANN: np.array([0.0]), BEN: np.array([1.0])},
    )
    assert openly.fnir(0, [ANN, BEN, BEN, BEN])[0] == 0.25


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_brackets_the_estimate(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "ROUNDS", 200)
    rows = rows_of(texts=("a",), speakers=[f"s{n}" for n in range(12)])
    openly = protocols.open_set(protocols.by_text(rows, scattered(rows, 1.2, seed)), (6, 7, 8))
    low, high = openly.interval(0.05)
    assert 0 <= low < openly.fnir(0.05)[0] < high <= 1
    assert openly.interval(0.05) == (low, high)  # the same draws each time


def test_perfect_points_have_an_interval_without_width() -> None:
    rows = rows_of()
    openly = protocols.open_set(protocols.by_text(rows, perfect(rows)), (6, 7, 8))
    assert openly.interval(0.05) == (0, 0)


def test_a_wrong_phrase_is_every_other_text_by_the_same_speaker() -> None:
    rows = rows_of()
    found = protocols.wrong_phrase(protocols.by_text(rows, perfect(rows)), threshold=0.5)
    assert found["trials"] == (3 * 2) * 3 * 3  # pairs of texts, speakers, probes
    assert found["trials_near_alike"] == (1 * 2) * 3 * 3  # 北京 and 背景, both ways
    assert (found["opened"], found["opened_near_alike"]) == (0, 0)


def test_near_alike_phrases_are_counted_apart() -> None:
    rows = rows_of()
    texts = {"北京": 0, "背景": 0, "上海": 1}
    points = np.stack([axis(texts[row.text]) for row in rows])
    found = protocols.wrong_phrase(protocols.by_text(rows, points), threshold=0.5)
    assert found["opened_near_alike"] == 1
    assert found["opened"] == pytest.approx(2 / 6)


def test_a_speaker_who_did_not_say_the_other_phrase_makes_no_trial() -> None:
    rows = [each for each in rows_of() if (each.text, each.speaker) != ("上海", CAI)]
    found = protocols.wrong_phrase(protocols.by_text(rows, perfect(rows)), threshold=0.5)
    assert found["trials"] == (6 * 3 - 4) * 3


@pytest.fixture
def words(tmp_path: Path) -> list[Row]:
    """Both halves of two phrases by ann, one half of one by ben."""
    said = [("语音", ANN, 1), ("识别", ANN, 1), ("语音", ANN, 2), ("识别", ANN, 2)]
    said += [("北京", ANN, 1), ("饭店", ANN, 1), ("语音", BEN, 1), ("识别", BEN, 2)]
    rows = [row(*which, folder=tmp_path) for which in said]
    for number, each in enumerate(rows):
        each.file.parent.mkdir(exist_ok=True)
        sound = in_a_room(silence(0.3), spoken(0.4 + 0.03 * number), silence(0.4))
        soundfile.write(each.file, sound, SAMPLE_RATE)
    return rows


def spoken_words(words: list[Row]) -> list[np.ndarray]:
    return [speech_of(each.file) for each in words]


def test_phrases_are_joined_within_a_speaker_and_a_take(words: list[Row]) -> None:
    names, sounds = protocols.joined(words, spoken_words(words))
    assert sorted(names) == [("北京饭店", ANN, 1), ("语音识别", ANN, 1), ("语音识别", ANN, 2)]
    assert len(sounds) == len(names)


def test_a_joined_phrase_is_its_halves_with_a_pause_between(words: list[Row]) -> None:
    names, sounds = protocols.joined(words, spoken_words(words))
    sound = sounds[names.index(("语音识别", ANN, 2))]
    first, second = speech_of(words[2].file), speech_of(words[3].file)
    pause = round(0.05 * SAMPLE_RATE)
    assert len(first) < 0.7 * SAMPLE_RATE  # trimmed: the file lasts 1.16 s
    np.testing.assert_array_equal(sound[: len(first)], first)
    assert not sound[len(first) : len(first) + pause].any()
    np.testing.assert_array_equal(sound[len(first) + pause :], second)


def test_joined_phrases_are_embedded_in_their_order(words: list[Row]) -> None:
    names, sounds = protocols.joined(words, spoken_words(words))
    lengths = np.array([[len(sound)] for sound in sounds], np.float32)
    found = {said.text: said.takes for said in protocols.by_phrase(names, lengths)}
    assert set(found) == {"语音识别", "北京饭店"}
    for (text, speaker, take), sound in zip(names, sounds, strict=True):
        assert found[text][speaker][take] == len(sound)


def test_rows_and_points_must_be_as_many() -> None:
    rows = rows_of()
    with pytest.raises(ValueError, match="shorter"):
        protocols.by_text(rows, perfect(rows)[:-1])


def test_said_is_not_changed_by_accident() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TextTakes("a").text = "b"  # type: ignore[misc]
