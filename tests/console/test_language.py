"""Every text of the pages is there in both languages."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator

from jinja2.ext import extract_from_ast

from kaimen.console import language
from kaimen.console.exchange import TEMPLATES, environment

ROOM = TEMPLATES.parent
PLACE = re.compile(r"\{\w*\}")
# Calls whose text is shown, and which of their arguments it is.
SHOWN = {"text": 0, "say": 0, "later": 0, "audit": 0, "RefusedRequest": 1}


def of_templates() -> Iterator[str]:
    for name in environment().list_templates(extensions=["html"]):
        source, *_ = environment().loader.get_source(environment(), name)  # type: ignore[union-attr]
        for _, _, message in extract_from_ast(environment().parse(source), ["_"]):
            said = message[0] if isinstance(message, tuple) else message
            if isinstance(said, str):  # one from a variable is none
                yield said


def of_code() -> Iterator[str]:
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = [*node.args[SHOWN[name] :][:1]] if name in SHOWN else []
            if name == "Page":
                given = [each.value for each in node.keywords if each.arg == "title"]
            for each in given:
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


def test_every_text_is_there_in_chinese_and_nothing_else_is() -> None:
    assert {*of_templates(), *of_code()} ^ language.catalogue().keys() == set()


def test_a_text_stands_in_one_catalogue() -> None:
    found = Counter(
        text
        for path in language.CATALOGUES.glob("*.toml")
        for text in tomllib.loads(path.read_text(encoding="utf-8"))
    )
    assert {text for text, times in found.items() if times > 1} == set()


def test_both_languages_have_the_same_places() -> None:
    for english, chinese in language.catalogue().items():
        assert Counter(PLACE.findall(english)) == Counter(PLACE.findall(chinese)), english
