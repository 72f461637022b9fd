"""The trials of the protocol *gate*: phrases, takes in turn, groups, and calls of other days."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from kaimen.sound import Samples
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation import gate_protocol
from kaimen_train.evaluation.evaluate import EvalSpeech
from kaimen_train.evaluation.gate_phrases import TEXTS, GatePhrases, SpeakerFacts, hear, orders
from kaimen_train.evaluation.gate_protocol import evaluate, takes_in_turn, tried
from kaimen_train.evaluation.protocols import TextTakes

DIMENSION = 8


def rows_of(corpus: str, texts: Sequence[str], speakers: int, takes: int) -> list[Row]:
    return [
        Row(path, Path(path), corpus, "eval", f"s{speaker}", text)
        for text, speaker, take in product(texts, range(speakers), range(1, takes + 1))
        for path in [f"{corpus}/s{speaker}/{text}-{take:02d}.wav"]
    ]


def sound_of(number: int) -> Samples:
    return np.full(10 + number, 0.1 * number, np.float32)


def heard(rows: list[Row]) -> EvalSpeech:
    corpora = {row.corpus for row in rows}
    by_corpus = {corpus: [row for row in rows if row.corpus == corpus] for corpus in corpora}
    sounds = {corpus: list(map(sound_of, range(len(own)))) for corpus, own in by_corpus.items()}
    return EvalSpeech(by_corpus, sounds, [], [])


def by_name(phrases: GatePhrases, spread: float = 0.3) -> np.ndarray:
    """Points near an axis of the speaker's own."""
    made = []
    for number, (_, speaker, _) in enumerate(phrases.names):
        point = np.random.default_rng(number).normal(0, spread, DIMENSION)
        point[int(speaker[1:]) % DIMENSION] += 1
        made.append(point / np.linalg.norm(point))
    return np.array(made, np.float32)


def test_longer_phrases_begin_with_the_shorter_ones() -> None:
    rows = rows_of("arabic40", "abcdef", speakers=3, takes=2)
    read = heard(rows)
    phrases, _ = hear(rows, read)
    assert [each.length for each in phrases] == ["1", "2", "3", "4"]
    words = {
        (row.text, row.speaker, row.take): sound
        for row, sound in zip(rows, read.speech["arabic40"], strict=True)
    }
    for each in phrases:
        assert each.names == phrases[0].names
        for (text, speaker, take), sound in zip(each.names, each.sounds, strict=True):
            said = [words[word, speaker, take] for word in text.split()[: int(each.length)]]
            assert len(sound) == sum(map(len, said)) + 800 * (len(said) - 1)  # 0.05 s between
            np.testing.assert_array_equal(sound[: len(said[0])], said[0])
            np.testing.assert_array_equal(sound[-len(said[-1]) :], said[-1])


def test_the_orders_are_always_the_same_and_those_that_most_say() -> None:
    said = {f"s{n}": set("abcdef") for n in range(3)} | {"s9": set("abcd")}
    chosen = orders(said, "arabic40")
    assert chosen == orders(dict(reversed(said.items())), "arabic40")
    assert len(set(chosen)) == TEXTS
    assert all(set(order) == set("abcd") for order in chosen)
    assert orders({"s0": set("ab")}, "b")[0] in (("a", "b"), ("b", "a"))


def test_a_speaker_without_two_takes_of_every_word_is_left_out() -> None:
    rows = [*rows_of("commands", "abcd", 3, 3), *rows_of("commands", "abc", 4, 2)[-2:]]
    phrases, _ = hear(rows, heard(rows))
    assert {speaker for each in phrases for _, speaker, _ in each.names} == {"s0", "s1", "s2"}


def said_by(takes: dict[str, int]) -> TextTakes:
    """Takes on axes of their own, so that a score says who enrolled."""
    points = iter(np.eye(sum(takes.values()), dtype=np.float32))
    return TextTakes(
        "a", {name: {n: next(points) for n in range(count)} for name, count in takes.items()}
    )


def test_each_take_comes_once_and_all_takes_of_others_do() -> None:
    trials = takes_in_turn([said_by({"ann": 6, "ben": 8})], ("ann", "ben"))
    assert trials.same.sum() == 6 + 8
    assert (~trials.same).sum() == 6 * 8 + 8 * 6
    assert trials.scores.max() == 0  # what comes never enrolled


@pytest.mark.parametrize(("takes", "enrolled"), [(2, 1), (4, 3), (6, 5), (9, 5)])
def test_five_takes_enroll_or_as_many_as_there_are(
    takes: int, enrolled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = set()

    def scores(own: np.ndarray, probes: np.ndarray) -> np.ndarray:
        counts.add(len(own))
        return np.zeros(len(probes), np.float32)

    monkeypatch.setattr(gate_protocol, "score_of", scores)
    takes_in_turn([said_by({"ann": takes, "ben": takes})], ("ann", "ben"))
    assert counts == {enrolled}


def test_a_single_take_is_a_stranger_and_never_a_student() -> None:
    trials = takes_in_turn([said_by({"ann": 6, "ben": 1})], ("ann", "ben"))
    students, visitors = trials.sides
    assert set(students) == {0} and set(visitors) == {0, 1}


def test_children_and_adults_are_no_strangers_to_each_other() -> None:
    names = [("", f"s{speaker}", take) for speaker, take in product(range(5), range(1, 9))]
    phrases = GatePhrases("speechocean", "sentence", names, [])
    known = SpeakerFacts({"s0": 8, "s1": 15, "s2": 16, "s3": 40, "s4": 41}, {})
    found = tried(phrases, by_name(phrases), known)
    assert {name: int((~each.same).sum()) for name, each in found.items()} == {
        "children": 2 * 8 * 8, "adults": 3 * 8 * 2 * 8,
    }  # fmt: skip
    figures = evaluate([phrases], known, lambda _: by_name(phrases))
    fixed = figures["sentences"]["adults"]
    assert (fixed["targets"], fixed["strangers"]) == (3 * 3, 3 * 2 * 3)  # 1 to 5 enroll


def test_calls_are_tried_by_day_and_by_phone() -> None:
    days = {
        1: ("monday", "cell"),
        2: ("monday", "cell"),
        3: ("friday", "cell"),
        4: ("friday", "land"),
    }
    names = [(word, f"s{who}", call) for who, call, word in product(range(2), days, "abcde")]
    phrases = GatePhrases("calls", "1", names, [])
    known = SpeakerFacts(
        {}, {(f"s{who}", call): day for who, (call, day) in product(range(2), days.items())}
    )
    found = tried(phrases, by_name(phrases), known)
    targets = {name: int(each.same.sum()) for name, each in found.items()}
    assert targets == {
        "another day": 2 * 2 * 5,
        "same phone": 2 * 5,
        "other phone": 2 * 5,
        "same call, four": 2 * 5,
        "another day, four": 2 * 2 * 5,
    }
    strangers = {name: int((~each.same).sum()) for name, each in found.items()}
    assert strangers["another day"] == 2 * 4 * 5
    assert strangers["same phone"] + strangers["other phone"] == 2 * 4 * 5
    assert strangers["same call, four"] == strangers["another day, four"] == 2 * 4 * 5


def test_without_days_there_are_no_trials_of_another() -> None:
    names = [(word, f"s{who}", call) for who, call, word in product(range(2), (1, 2), "abcde")]
    phrases = GatePhrases("calls", "2", names, [])
    assert tried(phrases, by_name(phrases), SpeakerFacts({}, {})) == {}


def test_keywords_of_a_call_are_joined_in_a_circle(tmp_path: Path) -> None:
    rows = [
        Row(path, tmp_path / path, "calls", "eval", "s0", text)
        for text in ("go", "on", "up", "go-sentence")
        for path in [f"calls/eval/s0/{text}-02-01.opus"]
    ]
    (tmp_path / "calls").mkdir()
    table = "speaker,call,date,phone\ns0,02,2001-12-27,cellphone\n"
    (tmp_path / "calls" / "calls.csv").write_text(table, encoding="utf-8")
    phrases, known = hear(rows, heard(rows))
    said = {each.length: [name for name, _, _ in each.names] for each in phrases}
    assert said["2"] == ["go on", "on up", "up go"]
    assert said["sentence"] == ["go-sentence"]
    assert {call for each in phrases for _, _, call in each.names} == {2}
    assert known.calls == {("s0", 2): ("2001-12-27", "cellphone")}


def test_figures_are_json_and_say_what_four_words_leave() -> None:
    rows = rows_of("mandarin20", "abcdef", speakers=6, takes=6)
    phrases, known = hear(rows, heard(rows))
    spreads = {len(each.sounds[0]): 0.6 / int(each.length) for each in phrases}
    points = {len(each.sounds[0]): by_name(each, spreads[len(each.sounds[0])]) for each in phrases}
    found = evaluate(phrases, known, lambda sounds: points[len(sounds[0])])
    found = json.loads(json.dumps(found, allow_nan=False))
    lengths = found["by_corpus"]["mandarin20"]["everybody"]
    one, four = (lengths[each]["fnir"]["0.0001"] for each in ("1", "4"))
    assert one["share"] > four["share"]
    assert found["left_by_four_words"]["mean"] == pytest.approx(four["share"] / one["share"])
    assert lengths["1"]["fnir"]["0.001"]["counted"] and not lengths["1"]["fnir"]["1e-05"]["counted"]
    for figures in lengths["2"]["fnir"].values():
        assert 0 <= figures["interval"][0] <= figures["interval"][1] <= 1
