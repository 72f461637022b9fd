"""Every text that is shown in two languages is there in both."""

from __future__ import annotations

import ast
import io
import os
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen import language
from kaimen.access.decision import Decision, Verdict
from kaimen.errors import NoSpeech
from kaimen.gallery.match import Match
from kaimen.monitoring.drift_watch import ENDS, MENDED
from kaimen.screen import Screen

ROOT = language.CATALOGUES.parent
PLACE = re.compile(r"\{\w*\}")
# Sentences that the code puts together of two.
JOINED = (
    "{why}; use a microphone of 16 kHz or more, no telephone and no Bluetooth",
    "the takes of {alike} of {students} students are so alike that they seem to be of one moment: "
    "on another day these students are missed more often; {advice}",
    "{path}: this school was never calibrated; run 'kaimen calibrate'",
    "{path}: the calibration is damaged, or of another key; run 'kaimen calibrate'",
    "no scores of this calibration are kept; run 'kaimen calibrate'",
    "{path}: of another calibration, or damaged; run 'kaimen calibrate'",
    "{path}: of an earlier release, without the school's key; run 'kaimen calibrate'",
    "{counted} of {total} strangers' scores reach the threshold ({share}, at least {low}); "
    "{promise} were promised",
    "{counted} of {total} strangers' scores reach the threshold ({share}, at least {low}), more "
    "than {factor} times the {promise} that were promised",
    "turned away most: {first}, {share} ({low} to {high}), the group in the middle {median}: "
    "{why}; like another most: {other}, {alike} ({least} to {most}), the group in the middle "
    "{middle}: {told}",
    *(f"drift: {{why}}; {end}; {MENDED}" for end in ENDS),
    *(f"whether scores drift is not known: {{error}}; {end}" for end in ENDS),
    f"{{why}}; {MENDED}",
)
FILLED = re.compile(r"\{[^}]*\}")  # with a format


def trees() -> Iterator[ast.Module]:
    """Yield the code but the console's, which has catalogues of its own."""
    for path in ROOT.rglob("*.py"):
        if "console" not in path.relative_to(ROOT).parts[:-1]:
            yield ast.parse(path.read_text(encoding="utf-8"))


def texts() -> Iterator[str]:
    """Yield what the code asks for by name."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("text", "later"):
                (given,) = node.args
                if isinstance(given, ast.Constant):
                    yield str(given.value)


def strings() -> Iterator[str]:
    """Yield all that the code may say, with places that have no names."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield FILLED.sub("{}", node.value)


@pytest.fixture
def chinese() -> Iterator[None]:
    language.choose(language.CHINESE)
    yield
    language.choose(language.ENGLISH)


def test_every_text_is_there_in_chinese_and_nothing_else_is() -> None:
    shown = {*texts()}
    assert shown - language.catalogue().keys() == set()
    assert (
        language.catalogue().keys() - shown - language.texts_of(language.SENTENCES).keys() == set()
    )


def test_every_sentence_of_the_catalogue_is_one_that_the_code_says() -> None:
    said = {*strings()}
    joined = {PLACE.sub("{}", each) for each in JOINED}
    found = {PLACE.sub("{}", each) for each in language.texts_of(language.SENTENCES)}
    assert found - said - joined == set()


def test_a_sentence_is_found_by_words_and_not_by_its_places_alone() -> None:
    for english in language.texts_of(language.SENTENCES):
        assert len(re.findall(r"[A-Za-z]{2,}", PLACE.sub("", english))) >= 3, english


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        (
            "damaged after 1.5 s; copy it again, or record it again",
            "1.5 秒之后已损坏；请重新复制或重新录音",
        ),
        (
            "the door is not armed: nobody is enrolled; begin with 'kaimen enroll'",
            "门还没有启用：还没有登记任何人；请先运行 'kaimen enroll'",
        ),
        ("nobody has written this one", "nobody has written this one"),
        ("还没有登记任何人", "还没有登记任何人"),
    ],
)
def test_a_sentence_keeps_its_values(chinese: None, english: str, expected: str) -> None:
    assert language.sentence(english) == expected
    assert language.sentence(language.sentence(english)) == expected


@given(
    english=st.sampled_from(sorted(language.texts_of(language.SENTENCES))),
    value=st.text("abc123学生{}%&", min_size=1, max_size=20),
)
def test_any_value_stands_in_the_chinese_sentence_as_it_is(english: str, value: str) -> None:
    values = {
        name: "17" if name in language.VALUES else value for name in language.PLACE.findall(english)
    }
    said = english.format(**values)
    language.choose(language.CHINESE)
    try:
        found = language.sentence(said)
        assert found != said
        assert all(each in found for each in values.values())
    finally:
        language.choose(language.ENGLISH)


def test_a_program_reads_an_error_in_english_and_a_person_in_their_language(
    chinese: None, capsys: pytest.CaptureFixture[str]
) -> None:
    error = NoSpeech("no phrase is heard in it; speak closer to the microphone", "a.wav")
    assert str(error) == "a.wav: no phrase is heard in it; speak closer to the microphone"
    Screen(as_json=True).error(error)
    assert '"no phrase is heard in it; speak closer' in capsys.readouterr().out
    Screen(as_json=False).error(error)
    assert capsys.readouterr().err == "✗ a.wav: 没有听到口令；请靠近麦克风说\n"


def test_what_a_program_is_given_is_english_at_a_chinese_terminal(chinese: None) -> None:
    turned_away = Decision(Verdict.UNKNOWN, 0.8, (Match("Li", 0.5),))
    with language.for_program():
        assert turned_away.told() == "a voice nobody has, 0.300 too low: the threshold is 0.800"
        assert language.sentence("nobody is enrolled") == "nobody is enrolled"
    assert turned_away.told() == "陌生的声音，低 0.300：阈值为 0.800"


def test_the_journal_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    found = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert language.of_terminal() == language.ENGLISH
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")  # of a parent
    assert language.of_terminal() == language.CHINESE


def test_a_text_stands_in_one_catalogue() -> None:
    found = Counter(
        text
        for path in language.CATALOGUES.glob("*.toml")
        for text in tomllib.loads(path.read_text(encoding="utf-8"))
    )
    assert {text for text, times in found.items() if times > 1} == set()


def test_both_languages_have_the_same_places() -> None:
    for english, other in language.catalogue().items():
        assert Counter(PLACE.findall(english)) == Counter(PLACE.findall(other)), english


def test_who_is_turned_away_is_told_in_the_language_chosen(chinese: None) -> None:
    turned_away = Decision(Verdict.UNKNOWN, 0.8, (Match("Li", 0.5),))
    assert turned_away.told() == "陌生的声音，低 0.300：阈值为 0.800"
    assert "Li" not in turned_away.told()
    language.choose(language.ENGLISH)
    assert turned_away.told() == "a voice nobody has, 0.300 too low: the threshold is 0.800"


@pytest.mark.parametrize(
    ("asked", "encoding", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "utf-8", "zh"),
        ({"LANG": "zh_CN.GB18030"}, "gb18030", "zh"),
        ({"LANG": "zh_CN.UTF-8"}, "ascii", "en"),
        ({"LANG": "en_GB.UTF-8"}, "utf-8", "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "utf-8", "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8", "LC_ALL": ""}, "utf-8", "zh"),
        ({}, "utf-8", "en"),
    ],
)
def test_the_terminal_decides(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], encoding: str, expected: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert language.of_terminal() == expected
