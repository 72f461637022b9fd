"""Every text that is shown in two languages is there in both."""

from __future__ import annotations

import ast
import io
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator

import pytest

from kaimen import language
from kaimen.access.decision import Decision, Verdict
from kaimen.gallery.match import Match

ROOT = language.CATALOGUES.parent
PLACE = re.compile(r"\{\w*\}")


def texts() -> Iterator[str]:
    """Yield what the code shows; the console has catalogues of its own."""
    for path in ROOT.rglob("*.py"):
        if "console" in path.relative_to(ROOT).parts[:-1]:
            continue
        source = path.read_text(encoding="utf-8")
        if "kaimen.language" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("text", "later"):
                (given,) = node.args
                if isinstance(given, ast.Constant):
                    yield str(given.value)


@pytest.fixture
def chinese() -> Iterator[None]:
    language.choose(language.CHINESE)
    yield
    language.choose(language.ENGLISH)


def test_every_text_is_there_in_chinese_and_nothing_else_is() -> None:
    assert {*texts()} ^ language.catalogue().keys() == set()


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
